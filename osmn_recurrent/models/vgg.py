"""VGG16 blocks, their widths, and pooling as the OSMN release has them."""

import dataclasses

import keras
from keras import ops

from osmn_recurrent.models import pieces

CONVS_PER_BLOCK = (2, 2, 3, 3, 3)
"""3x3 convolutions in VGG16's blocks conv1 to conv5."""

GUIDE_SIZE = 224
"""Side of the visual guide in pixels (OSMN section 3.5)."""


@dataclasses.dataclass(frozen=True)
class Width:
    """Channel counts of a network size.

    Attributes:
        blocks: channels of conv1 to conv5.
        fc: channels of the visual modulator's fc6 and fc7.
        side: channels of each side output.
        atrous: channels of MaskTrack's fc6_k and fc7_k.
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

    def new_kernel(self):
        """Initialiser of kernels that VGG16 does not have."""
        if self.new_stddev is None:
            return keras.initializers.GlorotUniform()
        return keras.initializers.RandomNormal(stddev=self.new_stddev)


SIZES = {
    # The papers' widths.
    "full": Width((64, 128, 256, 512, 512), 4096, 16, 1024, 1, 0.001, 1.0),
    # Trains from scratch on a laptop. The visual guide is halved first,
    # because at these widths it would cost more than the frame.
    "compact": Width((16, 32, 64, 96, 128), 256, 16, 64, 2, None, 0.00787),
}


def width_of(size):
    """The `Width` called `size` ("full" or "compact")."""
    if size not in SIZES:
        raise ValueError(f"size must be one of {sorted(SIZES)}. Received: {size!r}")
    return SIZES[size]


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class ConvBlock(keras.layers.Layer):
    """A VGG16 block: 3x3 convolutions with ReLU, each one modulated.

        y_i = gamma_i * relu(conv_i(y_{i-1})) + beta_i

    (OSMN equation 2; release `osmn.py: modulated_conv_block`). With the batch
    of a gamma or beta larger than that of the input, a single frame serves
    all objects: the first convolution runs once.

    Args:
        filters: channels C of every convolution.
        convs: number of convolutions L; they are called `<name>_1` ...
        dilation: dilation of the convolutions.

    Attributes:
        rematerialise: True computes the block again for the gradient instead
            of keeping its feature maps: less memory, more time.
    """

    rematerialise = False

    def __init__(self, filters, convs, dilation=1, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.dilation = filters, dilation
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

    def build(self, input_shape):
        """Makes the variables; only the channels of `input_shape` matter."""
        channels = input_shape[-1]
        for conv in self.convs:
            conv.build((None, None, None, channels))
            channels = self.filters

    def call(self, x, gamma=None, beta=None):
        """Runs the block.

        Args:
            x: (B, H, W, C_in).
            gamma: (N, L*C) scales of the L convolutions in order, or None.
            beta: list of L shifts (N, H, W, C), or None.

        Returns:
            (max(B, N), H, W, C).
        """
        # Gradients reach arguments only, and those must be tensors.
        values = [*([] if gamma is None else [gamma]), *(beta or [])]

        def forward(x, *values):
            values = list(values)
            own = values.pop(0) if gamma is not None else None
            return self._forward(x, own, values or None)

        if self.rematerialise:
            forward = keras.remat(forward)
        return forward(x, *values)

    def _forward(self, x, gamma, beta):
        for i, conv in enumerate(self.convs):
            own = slice(i * self.filters, (i + 1) * self.filters)
            kernel, bias = (
                ops.cast(v, self.compute_dtype) for v in (conv.kernel, conv.bias)
            )
            x = pieces.conv(x, kernel, bias, self.dilation, ops.relu)
            if gamma is not None:
                x = x * gamma[:, None, None, own]
            if beta is not None:
                x = x + beta[i]
        return x

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "convs": len(self.convs),
            "dilation": self.dilation,
        }


def conv_blocks(width, dilations=(1, 1, 1, 1, 1), dtype=None):
    """VGG16's five convolution blocks, named conv1 to conv5."""
    return [
        ConvBlock(filters, convs, dilation, dtype=dtype, name=f"conv{number}")
        for number, (filters, convs, dilation) in enumerate(
            zip(width.blocks, CONVS_PER_BLOCK, dilations, strict=True), 1
        )
    ]


def build_blocks(blocks, channels):
    """Builds a chain of `ConvBlock`s whose input has `channels` channels."""
    for block in blocks:
        block.build((None, None, None, channels))
        channels = block.filters


def max_pool(x, size=2, stride=2):
    """Max-pooling, SAME padding: (B, H, W, C) to (B, ceil(H/stride), ...)."""
    return ops.max_pool(x, size, stride, padding="same", data_format="channels_last")


def average_pool(x):
    """2x2 average pooling with stride 2, SAME padding (padding not counted)."""
    return ops.average_pool(x, 2, 2, padding="same", data_format="channels_last")
