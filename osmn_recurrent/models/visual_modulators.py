"""Visual modulators by the kind that a backbone names."""

import collections

import keras
from keras import ops

from osmn_recurrent.backbones.backbone import GUIDE_SIZE, build_levels
from osmn_recurrent.models.modulation import ModulatorNetwork, average_pool
from osmn_recurrent.models.vgg16_modulator import VisualModulator


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class TrunkVisualModulator(ModulatorNetwork):
    """A trunk of its own, averaged over the guide, and linear outputs.

    The release's idea for trunks that have no released modulator: a second network
    whose last map is averaged, with kernels of zeros and biases of ones behind.
    Arguments: `ModulatorNetwork`.
    """

    def __init__(self, backbone, outputs, recurrent_outputs=0, **kwargs):
        super().__init__(backbone, outputs, recurrent_outputs, **kwargs)
        self.blocks = self.trunk.make_levels(self.dtype_policy)
        self.fc8 = keras.layers.Conv2D(outputs, 1, name="fc8", **self.linear)

    def heads(self):
        """fc8 alone."""
        return [self.fc8]

    def build(self, input_shape=None):
        """Makes the variables for guides (N, 224, 224, 3)."""
        build_levels(self.blocks, 3)
        self.build_heads(self.trunk.levels[-1].channels)

    def features(self, guide, training):
        """The last level's map, averaged."""
        ((_, x),) = collections.deque(self.activations(guide, training), maxlen=1)
        return ops.mean(ops.cast(x, "float32"), axis=(1, 2), keepdims=True)

    def activations(self, guide, training=False):
        """Outputs of the levels; see `ModulatorNetwork`."""
        x = self.trunk.network_input(guide)
        for block in self.blocks:
            x = block(x, training=training)
            yield block.name, x


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class MobileNetVisualModulator(ModulatorNetwork):
    """MobileNet v1 with one linear output layer per modulated level.

    Release `model_func.py`, base model `lite`: the last map, 7x7, is averaged; a 1x1
    convolution to 2048 channels with ReLU (kernel zeros, bias ones at the start), and
    from there the gammas. Arguments: `ModulatorNetwork`.
    """

    def __init__(self, backbone, outputs, recurrent_outputs=0, **kwargs):
        super().__init__(backbone, outputs, recurrent_outputs, **kwargs)
        trunk = self.trunk
        self.blocks = trunk.make_levels(self.dtype_policy)
        self.logits = keras.layers.Conv2D(
            trunk.logits, 1, activation="relu", name="Conv2d_1c_1x1", **self.linear
        )
        self.outs = [
            keras.layers.Conv2D(
                trunk.level(number).channels, 1, name=f"Conv2d_out_{k}", **self.linear
            )
            for k, number in enumerate(trunk.modulated, 1)
        ]

    def heads(self):
        """Conv2d_out_1 to Conv2d_out_4."""
        return self.outs

    def build(self, input_shape=None):
        """Makes the variables for guides (N, 224, 224, 3)."""
        build_levels(self.blocks, 3)
        self.logits.build((None, None, None, self.trunk.levels[-1].channels))
        self.build_heads(self.trunk.logits)

    def features(self, guide, training):
        """Output of the 1x1 convolution behind the average."""
        ((_, x),) = collections.deque(self.activations(guide, training), maxlen=1)
        return x

    def activations(self, guide, training=False):
        """Outputs of the levels and the convolution; see `ModulatorNetwork`."""
        x = self.trunk.network_input(guide)
        for block in self.blocks:
            x = block(x, training=training)
            yield block.name, x
        x = average_pool(ops.cast(x, "float32"), GUIDE_SIZE // 32, "valid")
        yield self.logits.name, self.logits(x)


VISUAL_MODULATORS = {
    "vgg16": VisualModulator,
    "mobilenet": MobileNetVisualModulator,
    "trunk": TrunkVisualModulator,
}
"""The release's form by the kind that a backbone names."""
