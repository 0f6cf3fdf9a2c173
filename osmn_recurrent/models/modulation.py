"""The visual and the spatial modulator of OSMN."""

import keras
from keras import ops

from osmn_recurrent.models import vgg


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class VisualModulator(keras.layers.Layer):
    """VGG16 that turns one look at the object into scales per channel.

    OSMN section 3.3; release `osmn.py: visual_modulator`. conv1 to conv5 with
    max-pooling, fc6 and fc7 as convolutions with ReLU and dropout 0.5, and
    linear outputs whose kernels start at zero and biases at one, so that a
    new modulator changes nothing.

    Args:
        size: "full" or "compact".
        outputs: gammas of the segmentation network (fc8), 3840 for OSMN.
        recurrent_outputs: gammas of ConvLSTM outputs (ReConvNet: 1280). They
            come from a layer of their own, `fc8_convlstm`, so that OSMN's fc8
            loads whole and the new part is trained at its own rate.
    """

    def __init__(self, size, outputs, recurrent_outputs=0, **kwargs):
        super().__init__(**kwargs)
        self.size, self.outputs = size, outputs
        self.recurrent_outputs = recurrent_outputs
        self.width = vgg.width_of(size)
        policy = self.dtype_policy
        self.blocks = vgg.conv_blocks(self.width, dtype=policy)

        def dense(name, filters, kernel, **options):
            return keras.layers.Conv2D(
                filters,
                kernel,
                padding="valid",
                data_format="channels_last",
                name=name,
                **options,
            )

        relu = {
            "activation": "relu",
            "kernel_initializer": "he_normal",
            "dtype": policy,
        }
        # The scales themselves stay float32: every channel is multiplied by
        # them. Zeros and ones: release, `weights_initializer` of fc8.
        linear = {
            "kernel_initializer": "zeros",
            "bias_initializer": "ones",
            "dtype": "float32",
        }
        self.fc6 = dense("fc6", self.width.fc, self.final_side, **relu)
        self.fc7 = dense("fc7", self.width.fc, 1, **relu)
        self.fc8 = dense("fc8", outputs, 1, **linear)
        self.fc8_convlstm = (
            dense("fc8_convlstm", recurrent_outputs, 1, **linear)
            if recurrent_outputs
            else None
        )
        self.dropout6 = keras.layers.Dropout(0.5, dtype=policy, name="dropout6")
        self.dropout7 = keras.layers.Dropout(0.5, dtype=policy, name="dropout7")

    @property
    def final_side(self):
        """Side of the map after five poolings: 7 for "full"."""
        side = vgg.GUIDE_SIZE // self.width.guide_stride
        for _ in self.width.blocks:
            side = -(-side // 2)
        return side

    def build(self, input_shape=None):
        """Makes the variables for guides (N, 224, 224, 3)."""
        vgg.build_blocks(self.blocks, 3)
        self.fc6.build((None, None, None, self.width.blocks[-1]))
        for layer in (self.fc7, self.fc8, self.fc8_convlstm):
            if layer is not None:
                layer.build((None, None, None, self.width.fc))

    def call(self, guide, training=False):
        """Computes the modulation.

        Args:
            guide: (N, 224, 224, 3) BGR minus mean, background 0
                (`guides.visual_guide`).
            training: whether dropout is active.

        Returns:
            (N, outputs + recurrent_outputs) float32.
        """
        if tuple(guide.shape[1:]) != (vgg.GUIDE_SIZE, vgg.GUIDE_SIZE, 3):
            raise ValueError(
                "visual_guide must have the shape (N, 224, 224, 3). "
                f"Received: shape={tuple(guide.shape)}"
            )
        x = guide * self.width.input_scale
        if self.width.guide_stride == 2:
            x = vgg.average_pool(x)
        for block in self.blocks:
            x = vgg.max_pool(block(x))
        x = self.dropout6(self.fc6(x), training=training)
        x = self.dropout7(self.fc7(x), training=training)
        outputs = [self.fc8(x)]
        if self.fc8_convlstm is not None:
            outputs.append(self.fc8_convlstm(x))
        return ops.squeeze(ops.concatenate(outputs, axis=-1), axis=(1, 2))

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "outputs": self.outputs,
            "recurrent_outputs": self.recurrent_outputs,
        }


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class SpatialModulator(keras.layers.Layer):
    """Turns the heat map of the last position into shifts per location.

    OSMN section 3.4. The map is average-pooled to the scale of each block; a
    1x1 convolution without bias, batch normalisation and ReLU make (number of
    convolutions) x (channels) shifts. The paper's equation 3 names a plain
    scale and shift; the released weights need this form (`osmn.py: osmn`).

    Args:
        size: "full" or "compact".
        blocks: numbers of the modulated blocks, (3, 4, 5) for OSMN.

    Attributes:
        freeze_statistics: True normalises by the moving averages even in
            training and keeps them (the release's `fix_bn`); scale and centre
            are still trained.
    """

    def __init__(self, size, blocks, **kwargs):
        super().__init__(**kwargs)
        self.size, self.blocks = size, tuple(blocks)
        self.freeze_statistics = False
        self.width = vgg.width_of(size)
        self.convs, self.norms = [], []
        for number in self.blocks:
            self.convs.append(
                keras.layers.Conv2D(
                    self.width.blocks[number - 1] * vgg.CONVS_PER_BLOCK[number - 1],
                    1,
                    use_bias=False,
                    kernel_initializer=self.width.new_kernel(),
                    data_format="channels_last",
                    dtype=self.dtype_policy,
                    name=f"conv{number}",
                )
            )
            self.norms.append(
                keras.layers.BatchNormalization(
                    momentum=0.99,
                    epsilon=0.001,
                    dtype=self.dtype_policy,
                    name=f"conv{number}_BatchNorm",
                )
            )

    def build(self, input_shape=None):
        """Makes the variables for heat maps of one channel."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build((None, None, None, 1))
            norm.build((None, None, None, conv.filters))

    def call(self, guide, training=False):
        """Computes the shifts.

        Args:
            guide: (N, H, W, 1) heat map in [0, 1] (`guides.spatial_guide`).
            training: whether batch statistics are used and updated.

        Returns:
            `{block number: list of L (N, ceil(H/s), ceil(W/s), C)}`, in the
            order of the block's convolutions, s = 2^(block-1).
        """
        batch_statistics = training and not self.freeze_statistics
        shifts, scale = {}, 1
        for number, conv, norm in zip(self.blocks, self.convs, self.norms, strict=True):
            while scale < number:
                guide, scale = vgg.average_pool(guide), scale + 1
            count = vgg.CONVS_PER_BLOCK[number - 1]
            if batch_statistics:
                whole = ops.relu(norm(conv(guide), training=True))
                shifts[number] = ops.split(whole, count, axis=-1)
            else:
                shifts[number] = self._folded(guide, conv, norm, count)
        return shifts

    def _folded(self, guide, conv, norm, count):
        """The same with known statistics: one convolution for each shift.

        The normalisation is part of kernel and bias then, so that large maps
        are written once and need not be cut into parts.
        """
        scale = norm.gamma * ops.rsqrt(norm.moving_variance + norm.epsilon)
        bias = norm.beta - norm.moving_mean * scale
        kernel, guide, bias = (
            ops.cast(value, self.compute_dtype)
            for value in (conv.kernel * scale, guide, bias)
        )
        parts = []
        for k, b in zip(
            ops.split(kernel, count, axis=-1), ops.split(bias, count), strict=True
        ):
            shift = ops.conv(guide, k, padding="same", data_format="channels_last")
            parts.append(ops.relu(shift + ops.reshape(b, (1, 1, 1, -1))))
        return parts

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "size": self.size, "blocks": self.blocks}
