"""The visual modulator of the release's VGG16 networks."""

import collections

import keras

from osmn_recurrent import backbones
from osmn_recurrent.backbones.backbone import GUIDE_SIZE, build_levels, max_pool
from osmn_recurrent.models.modulation import ModulatorNetwork, average_pool


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class VisualModulator(ModulatorNetwork):
    """VGG16 with its classifier as convolutions.

    OSMN section 3.3; release `model_func.py: visual_modulator`. conv1 to conv5 with
    max-pooling, fc6 and fc7 as convolutions with ReLU and dropout 0.5, and a linear
    fc8 whose kernel starts at zero and bias at one, so that a new modulator changes
    nothing. Arguments: `ModulatorNetwork`.
    """

    def __init__(self, backbone, outputs, recurrent_outputs=0, **kwargs):
        super().__init__(backbone, outputs, recurrent_outputs, **kwargs)
        # A plain VGG16 whatever the segmentation network's dilations.
        self.vgg = backbones.find(self.trunk.modulator_trunk)
        self.width = self.vgg.width
        policy = self.dtype_policy
        self.blocks = self.vgg.make_levels(policy)

        def dense(name, kernel):
            return keras.layers.Conv2D(
                self.width.fc,
                kernel,
                padding="valid",
                activation="relu",
                kernel_initializer="he_normal",
                data_format="channels_last",
                dtype=policy,
                name=name,
            )

        self.fc6, self.fc7 = dense("fc6", self.final_side), dense("fc7", 1)
        self.fc8 = keras.layers.Conv2D(outputs, 1, name="fc8", **self.linear)
        self.dropout6 = keras.layers.Dropout(0.5, dtype=policy, name="dropout6")
        self.dropout7 = keras.layers.Dropout(0.5, dtype=policy, name="dropout7")

    @property
    def final_side(self):
        """Side of the map after five poolings: 7 at the papers' widths."""
        side = GUIDE_SIZE // self.width.guide_stride
        for _ in self.width.blocks:
            side = -(-side // 2)
        return side

    def heads(self):
        """fc8 alone."""
        return [self.fc8]

    def build(self, input_shape=None):
        """Makes the variables for guides (N, 224, 224, 3)."""
        build_levels(self.blocks, 3)
        self.fc6.build((None, None, None, self.width.blocks[-1]))
        self.fc7.build((None, None, None, self.width.fc))
        self.build_heads(self.width.fc)

    def features(self, guide, training):
        """Output of fc7."""
        ((_, x),) = collections.deque(self.activations(guide, training), maxlen=1)
        return x

    def activations(self, guide, training=False):
        """Outputs of the blocks, fc6 and fc7; see `ModulatorNetwork`."""
        x = self.vgg.network_input(guide)
        if self.width.guide_stride == 2:
            x = average_pool(x)
        for block in self.blocks:
            x = block(x)
            yield block.name, x
        x = self.dropout6(self.fc6(max_pool(x)), training=training)
        yield self.fc6.name, x
        yield self.fc7.name, self.dropout7(self.fc7(x), training=training)
