"""VGG16, in the papers' widths and in small ones, and pooling as released."""

import dataclasses

import keras

from osmn_recurrent import backbones
from osmn_recurrent.backbones import cpu_convolutions
from osmn_recurrent.backbones.backbone import (
    SMALL_FINETUNING,
    Backbone,
    Level,
    Place,
    max_pool,
    modulate,
)

CONVS_PER_BLOCK = (2, 2, 3, 3, 3)
"""3x3 convolutions in VGG16's blocks conv1 to conv5."""


@dataclasses.dataclass(frozen=True)
class Width:
    """Channel counts of a VGG16.

    Attributes:
        blocks: channels of conv1 to conv5.
        fc: channels of the visual modulator's fc6 and fc7.
        side: channels of each side output.
        atrous: channels of DeepLab's fc6_k and fc7_k.
        guide_stride: average pooling of the visual guide before its conv1.
        new_stddev: standard deviation of the normal distribution from which
            kernels are drawn that VGG16 does not have. The release's 0.001
            suits the large activations of ImageNet weights; None draws them
            by Glorot's rule, for networks trained from scratch.
        input_scale: factor of images and visual guides. The release has 1
            for VGG16 and 0.00787 for its MobileNet; networks trained from
            scratch need inputs of about that size, or the first steps throw
            the gammas far from one.
    """

    blocks: tuple
    fc: int
    side: int
    atrous: int
    guide_stride: int
    new_stddev: float | None
    input_scale: float


FULL = Width((64, 128, 256, 512, 512), 4096, 16, 1024, 1, 0.001, 1.0)
"""The papers' widths."""

COMPACT = Width((16, 32, 64, 96, 128), 256, 16, 64, 2, None, 0.00787)
"""Trains from scratch on a laptop. The visual guide is halved first, because at
these widths it would cost more than the frame."""


class VGG16(Backbone):
    """The five convolution blocks of VGG16.

    Args:
        name: of the backbone.
        width: `Width`.
        dilations: of the blocks' convolutions.
        pools: `(size, stride)` of the max-pooling before blocks 2 to 5.
    """

    modulated_early = (1, 2, 3, 4, 5)
    channelwise = {  # noqa: RUF012 - a constant
        "logarithm": True,
        "bound": 3.0,
        "initial_scale": 0.3,
        "gradient": True,
        "guide_pool": 2,
    }

    def __init__(self, name, width, dilations=(1,) * 5, pools=((2, 2),) * 4):
        self.name = self.modulator_trunk = name
        self.width = width
        self.dilations, self.pools = dilations, (None, *pools)
        if width.new_stddev is None:
            self.finetuning = SMALL_FINETUNING
        levels, stride = [], 1
        for number, channels in enumerate(width.blocks, 1):
            stride *= self.pools[number - 1][1] if number > 1 else 1
            places = tuple(
                Place(f"conv{number}_{i + 1}", channels)
                for i in range(CONVS_PER_BLOCK[number - 1])
            )
            levels.append(Level(number, f"conv{number}", channels, stride, places))
        self.levels = tuple(levels)

    def make_levels(self, dtype=None):
        """`ConvBlock`s named conv1 to conv5."""
        return [
            ConvBlock(
                level.channels,
                len(level.places),
                self.dilations[level.number - 1],
                self.pools[level.number - 1],
                dtype=dtype,
                name=level.name,
            )
            for level in self.levels
        ]

    def new_kernel(self):
        """Initialiser of kernels that VGG16 does not have."""
        if self.width.new_stddev is None:
            return keras.initializers.GlorotUniform()
        return keras.initializers.RandomNormal(stddev=self.width.new_stddev)

    def network_input(self, image):
        """The image times `Width.input_scale`."""
        return image * self.width.input_scale


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class ConvBlock(keras.layers.Layer):
    """A VGG16 block: 3x3 convolutions with ReLU, each one modulated.

        y_i = gamma_i * relu(conv_i(y_{i-1})) + beta_i

    (OSMN equation 2; release `model_func.py: modulated_conv_block`.)

    Args:
        filters: channels C of every convolution.
        convs: number of convolutions L; they are called `<name>_1` ...
        dilation: dilation of the convolutions.
        pool: `(size, stride)` of a max-pooling of the input, or None.

    Attributes:
        rematerialise: True computes the block again for the gradient instead
            of keeping its feature maps: less memory, more time.
    """

    rematerialise = False

    def __init__(self, filters, convs, dilation=1, pool=None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.dilation = filters, dilation
        self.pool = tuple(pool) if pool else None
        self.convs = [
            keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                dilation_rate=dilation,
                kernel_initializer="he_normal",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=f"{self.name}_{i + 1}",
            )
            for i in range(convs)
        ]

    @property
    def channels(self):
        """Channels of the output."""
        return self.filters

    def build(self, input_shape):
        """Makes the variables; only the channels of `input_shape` matter."""
        channels = input_shape[-1]
        for conv in self.convs:
            conv.build((None, None, None, channels))
            channels = self.filters

    def call(self, x, gamma=None, beta=None, with_maps=False, training=False):
        """Runs the block; see `backbone.Backbone`.

        Args:
            x: (B, H, W, C_in).
            gamma: (N, L*C) scales of the L convolutions in order, or None.
            beta: list of L shifts (N, h, w, C), or None.
            with_maps: whether the maps before modulation are given too.

        Returns:
            (max(B, N), h, w, C); with maps, also a list of L such.
        """
        # Gradients reach arguments only, and those must be tensors.
        values = [*([] if gamma is None else [gamma]), *(beta or [])]

        def forward(x, *values):
            values = list(values)
            own = values.pop(0) if gamma is not None else None
            return self._forward(x, own, values or None, with_maps)

        if self.rematerialise:
            forward = keras.remat(forward)
        return forward(x, *values)

    def _forward(self, x, gamma, beta, with_maps):
        maps = []
        if self.pool:
            x = max_pool(x, *self.pool)
        for i, conv in enumerate(self.convs):
            own = slice(i * self.filters, (i + 1) * self.filters)
            x = cpu_convolutions.run(conv, x)
            maps.append(x)
            x = modulate(
                x, None if gamma is None else gamma[:, own], beta[i] if beta else None
            )
        return (x, maps) if with_maps else x

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "convs": len(self.convs),
            "dilation": self.dilation,
            "pool": self.pool,
        }


for _suffix, _width in (("", FULL), ("_compact", COMPACT)):
    _vgg16 = backbones.register(VGG16(f"vgg16{_suffix}", _width))
    _vgg16.masktrack_form = f"deeplab_masktrack{_suffix}"
