"""What visual modulators share, and the spatial modulator, as released."""

import keras
from keras import ops

from osmn_recurrent import backbones
from osmn_recurrent.backbones.backbone import GUIDE_SIZE
from osmn_recurrent.backbones.normalisation import normalised_as_released


def check_guide(guide):
    """Raises `ValueError` for visual guides of another shape than (N, 224, 224, 3)."""
    if tuple(guide.shape[1:]) != (GUIDE_SIZE, GUIDE_SIZE, 3):
        raise ValueError(
            "visual_guide must have the shape (N, 224, 224, 3). "
            f"Received: shape={tuple(guide.shape)}"
        )


def average_pool(x, size=2, padding="same"):
    """Average pooling with stride `size`; SAME padding is not counted."""
    return ops.average_pool(x, size, size, padding=padding, data_format="channels_last")


class ModulatorNetwork(keras.layers.Layer):
    """Base of the networks that turn a visual guide into scales per channel.

    Args:
        backbone: name of the `Backbone` of its own trunk.
        outputs: gammas of the segmentation network, 3840 for OSMN on VGG16.
        recurrent_outputs: gammas of ConvLSTM outputs (ReConvNet: 1280). They
            come from a layer of their own, `fc8_convlstm`, so that OSMN's part
            loads whole and the new one is trained at its own rate.
        batch_statistics: normalise what enters the output layers over the batch
            (batch norm without centre and scale). Without ImageNet weights the
            gradients of all objects' gammas point the same way, and within a few
            steps the trunk pays for what the outputs' bias should learn; batch
            statistics take the common part away. Not in the papers.
    """

    def __init__(
        self, backbone, outputs, recurrent_outputs=0, batch_statistics=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.backbone, self.outputs = backbone, outputs
        self.recurrent_outputs = recurrent_outputs
        self.batch_statistics = batch_statistics
        self.trunk = backbones.find(backbone)
        # The scales themselves stay float32: every channel is multiplied by
        # them. Zeros and ones: release, `weights_initializer` of fc8.
        self.linear = {
            "padding": "valid",
            "kernel_initializer": "zeros",
            "bias_initializer": "ones",
            "data_format": "channels_last",
            "dtype": "float32",
        }
        self.fc8_convlstm = None
        if recurrent_outputs:
            self.fc8_convlstm = keras.layers.Conv2D(
                recurrent_outputs, 1, name="fc8_convlstm", **self.linear
            )
        self.norm = None
        if batch_statistics:
            self.norm = keras.layers.BatchNormalization(
                center=False, scale=False, dtype="float32", name="norm"
            )

    def features(self, guide, training):
        """(N, 1, 1, F) that the output layers read."""
        raise NotImplementedError

    def activations(self, guide, training=False):
        """What each layer of the trunk makes of the visual guides, in order.

        Args:
            guide: (N, 224, 224, 3) BGR minus mean, background 0.
            training: whether dropout is active.

        Yields:
            `(layer's name, (N, h, w, C))`.
        """
        raise NotImplementedError

    def heads(self):
        """The segmentation network's output layers, in the order of the gammas."""
        raise NotImplementedError

    def build_heads(self, channels):
        """Makes the variables of the output layers."""
        for layer in (*self.heads(), self.fc8_convlstm, self.norm):
            if layer is not None:
                layer.build((None, None, None, channels))

    def call(self, guide, training=False):
        """Computes the modulation.

        Args:
            guide: (N, 224, 224, 3) BGR minus mean, background 0
                (`guides.visual_guide`).
            training: whether dropout and batch statistics are active.

        Returns:
            (N, outputs + recurrent_outputs) float32.
        """
        check_guide(guide)
        x = self.features(guide, training)
        if self.norm is not None:
            x = self.norm(x, training=training)
        outputs = [layer(x) for layer in self.heads()]
        if self.fc8_convlstm is not None:
            outputs.append(self.fc8_convlstm(x))
        return ops.squeeze(ops.concatenate(outputs, axis=-1), axis=(1, 2))

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "backbone": self.backbone,
            "outputs": self.outputs,
            "recurrent_outputs": self.recurrent_outputs,
            "batch_statistics": self.batch_statistics,
        }


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class SpatialModulator(keras.layers.Layer):
    """Turns the heat map of the last position into shifts per location.

    OSMN section 3.4. The map is average-pooled to the stride of each level; a
    1x1 convolution makes the shifts of all its places.

    Args:
        backbone: name of the `Backbone`.
        levels: numbers of the modulated levels, (3, 4, 5) for OSMN.
        form: "release": convolution without bias, batch normalisation and ReLU,
            which the released weights need (`model_func.py: osmn`). "linear":
            scale and shift alone, the paper's equation 3; scales start from
            N(0, 0.05), shifts at zero.

    Attributes:
        freeze_statistics: True normalises by the moving averages even in
            training and keeps them (the release's `fix_bn`); scale and centre
            are still trained.
    """

    FORMS = ("release", "linear")
    MOMENTUM = 0.99

    def __init__(self, backbone, levels, form="release", **kwargs):
        super().__init__(**kwargs)
        if form not in self.FORMS:
            raise ValueError(f"form must be one of {self.FORMS}. Received: {form!r}")
        self.backbone, self.levels, self.form = backbone, tuple(levels), form
        self.freeze_statistics = False
        self.trunk = backbones.find(backbone)
        self.convs, self.norms = [], []
        for number in self.levels:
            places = self.trunk.level(number).places
            initializer = self.trunk.new_kernel()
            if form == "linear":
                initializer = keras.initializers.RandomNormal(stddev=0.05)
            self.convs.append(
                keras.layers.Conv2D(
                    sum(place.channels for place in places),
                    1,
                    use_bias=form == "linear",
                    kernel_initializer=initializer,
                    data_format="channels_last",
                    dtype=self.dtype_policy,
                    name=self.trunk.short_name(number),
                )
            )
            if form == "release":
                self.norms.append(
                    keras.layers.BatchNormalization(
                        momentum=self.MOMENTUM,
                        epsilon=0.001,
                        dtype=self.dtype_policy,
                        name=f"{self.trunk.short_name(number)}_BatchNorm",
                    )
                )

    def build(self, input_shape=None):
        """Makes the variables for heat maps of one channel."""
        for conv in self.convs:
            conv.build((None, None, None, 1))
        for conv, norm in zip(self.convs, self.norms, strict=False):
            norm.build((None, None, None, conv.filters))

    def pooled(self, guide):
        """`{number: heat map at the level's stride}`."""
        maps, stride = {}, 1
        for number in self.levels:
            while stride < self.trunk.level(number).stride:
                factor = self.trunk.first_pool if stride == 1 else 2
                guide, stride = average_pool(guide, factor), factor * stride
            maps[number] = guide
        return maps

    def call(self, guide, training=False):
        """Computes the shifts.

        Args:
            guide: (N, H, W, 1) heat map in [0, 1] (`guides.spatial_guide`).
            training: whether batch statistics are used and updated.

        Returns:
            `{level's number: list of (N, ceil(H/s), ceil(W/s), C)}`, one per
            place of the level, in their order, s its stride.
        """
        batch_statistics = training and not self.freeze_statistics
        shifts = {}
        maps = self.pooled(guide)
        for index, number in enumerate(self.levels):
            sizes = [p.channels for p in self.trunk.level(number).places]
            conv = self.convs[index]
            if self.form == "linear":
                shifts[number] = self._folded(
                    maps[number], conv.kernel, conv.bias, sizes, lambda x: x
                )
            elif batch_statistics:
                norm = self.norms[index]
                whole = ops.relu(normalised_as_released(norm, conv(maps[number])))
                shifts[number] = _split(whole, sizes)
            else:
                # The normalisation is part of kernel and bias.
                norm = self.norms[index]
                scale = norm.gamma * ops.rsqrt(norm.moving_variance + norm.epsilon)
                bias = norm.beta - norm.moving_mean * scale
                kernel = conv.kernel * scale
                shifts[number] = self._folded(
                    maps[number], kernel, bias, sizes, ops.relu
                )
        return shifts

    def _folded(self, guide, kernel, bias, sizes, finish):
        """One product for each shift, written once, not cut out of a larger one."""
        kernel, guide, bias = (
            ops.cast(value, self.compute_dtype) for value in (kernel, guide, bias)
        )
        kernels, biases = _split(kernel, sizes), _split(bias, sizes)
        # A 1x1 convolution of one channel is an outer product.
        return [finish(guide * k[0] + b) for k, b in zip(kernels, biases, strict=True)]

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "backbone": self.backbone,
            "levels": self.levels,
            "form": self.form,
        }


def _split(x, sizes):
    """Parts of the last axis."""
    if len(sizes) == 1:
        return [x]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return ops.split(x, ends, axis=-1)
