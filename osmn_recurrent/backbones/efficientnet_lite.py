"""EfficientNet-Lite 0 to 2 (Tan and Le 2019; Google's Lite variants, 2020).

EfficientNets without squeeze-and-excitation, with ReLU6; stem and head are never
widened. Batch norm is folded into kernels and biases: the ImageNet weights' own
statistics stand, and training moves what is left.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from osmn_recurrent import backbones
from osmn_recurrent.backbones.backbone import Backbone, Level, Place, modulate
from osmn_recurrent.colours import MEAN_BGR

STEM = 32
"""Channels of the first convolution."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """Blocks of one kind.

    Attributes:
        kernel: side of the depthwise kernel.
        stride: of the first block.
        expansion: channels within a block, in multiples of its input's.
        channels: of the output.
        blocks: how many.
    """

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


_FORMS = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))
"""`(kernel, stride, expansion)` of stages 0 to 6."""

VERSIONS = {
    0: ((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    1: ((16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
    2: ((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
}
"""Channels and numbers of blocks of the stages."""

STAGES_OF_LEVELS = ((0,), (1,), (2,), (3, 4), (5, 6))
"""Stages that make up levels 1 to 5, at strides 2, 4, 8, 16 and 32."""


LITE_FINETUNING = {
    "iterations": 60,
    "learning_rate": 1e-4,
    "loss": "cross_entropy_lovasz",
    "clip_norm": 1.0,
}
"""On four training sequences of DAVIS-2016 (`train_stop`) J&F went from 75.4 to 85.9,
and to 76.7 at three times the rate with the Lovasz hinge, which forgets other views."""


class EfficientNetLite(Backbone):
    """EfficientNet-Lite's trunk up to its head.

    Every block's output from stride 8 on can be modulated, behind its skip
    connection. Strided SAME convolutions see to the right and bottom only: while
    all sizes are even, which padding to 32 makes them, value i of a map of stride
    s stands over pixel s * i + s - 1.

    Args:
        version: 0, 1 or 2.
    """

    decoder = "concatenated"
    modulator = "trunk"
    visual_modulator = "channelwise"
    spatial = "linear"
    finetuning = LITE_FINETUNING
    finetune_by_default = True
    multiple = 32

    def __init__(self, version):
        self.name = self.pretrained = f"efficientnet_lite{version}"
        channels, blocks = VERSIONS[version]
        self.stages = tuple(
            Stage(*form, c, n)
            for form, c, n in zip(_FORMS, channels, blocks, strict=True)
        )
        levels, number = [], 0
        for n, own in enumerate(STAGES_OF_LEVELS, 1):
            places = []
            for stage in own:
                for _ in range(self.stages[stage].blocks):
                    channels = self.stages[stage].channels
                    places.append(Place(f"block{number}", channels))
                    number += 1
            channels = self.stages[own[-1]].channels
            levels.append(Level(n, f"level{n}", channels, 2**n, tuple(places)))
        self.levels = tuple(levels)

    def make_levels(self, dtype=None):
        """`InvertedResidualLevel`s named level1 to level5."""
        return [
            InvertedResidualLevel(
                [dataclasses.astuple(self.stages[s]) for s in own],
                int(level.places[0].name.removeprefix("block")),
                STEM if level.number == 1 else 0,
                dtype=dtype,
                name=level.name,
            )
            for level, own in zip(self.levels, STAGES_OF_LEVELS, strict=True)
        ]

    def new_kernel(self):
        """Glorot's rule: what is new here is trained at a rate of its own."""
        return keras.initializers.GlorotUniform()

    def network_input(self, image):
        """RGB, (x - 127) / 128, of BGR minus mean; see `Backbone`.

        Channels before the three colours (a mask guide, 0 to 255) are divided
        alike.
        """
        # A 1x1 convolution by constants: reversed, added and divided step by step it
        # took 6 ms for 480x854 in place of 1.
        more = image.shape[-1] - 3
        kernel = np.zeros((1, 1, more + 3, more + 3), np.float32)
        order = [*range(more), more + 2, more + 1, more]
        kernel[0, 0, order, range(more + 3)] = 1.0 / 128.0
        shift = [0.0] * more + [(value - 127.0) / 128.0 for value in MEAN_BGR[::-1]]
        x = ops.conv(
            image,
            ops.convert_to_tensor(kernel, image.dtype),
            padding="valid",
            data_format="channels_last",
        )
        return x + ops.convert_to_tensor(shift, image.dtype)


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class InvertedResidual(keras.layers.Layer):
    """An inverted residual block: expand, depthwise, project (linear), skip.

    Args:
        kernel: side of the depthwise kernel.
        stride: of the depthwise convolution.
        expansion: factor of the channels in between; 1: no expanding layer.
        channels: of the output.
    """

    def __init__(self, kernel, stride, expansion, channels, **kwargs):
        super().__init__(**kwargs)
        self.kernel_side, self.stride = kernel, stride
        self.expansion, self.channels = expansion, channels
        self.depthwise = keras.layers.DepthwiseConv2D(
            kernel,
            stride,
            padding="same",
            activation="relu6",
            depthwise_initializer="he_normal",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="depthwise",
        )
        self.project = self._pointwise(channels, None, "project")

    def _pointwise(self, channels, activation, name):
        return keras.layers.Conv2D(
            channels,
            1,
            activation=activation,
            kernel_initializer="he_normal",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape):
        """Makes the variables; only the channels of `input_shape` matter."""
        given = input_shape[-1]
        self.skips = self.stride == 1 and given == self.channels
        wide = given * self.expansion
        if self.expansion > 1:
            self.expand = self._pointwise(wide, "relu6", "expand")
            self.expand.build((None, None, None, given))
        self.depthwise.build((None, None, None, wide))
        self.project.build((None, None, None, wide))

    def call(self, x):
        """(B, H, W, C_in) to (B, ceil(H/stride), ceil(W/stride), C)."""
        y = self.expand(x) if self.expansion > 1 else x
        y = self.project(self.depthwise(y))
        return x + y if self.skips else y

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "kernel": self.kernel_side,
            "stride": self.stride,
            "expansion": self.expansion,
            "channels": self.channels,
        }


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class InvertedResidualLevel(keras.layers.Layer):
    """Blocks of one or two stages, each one's output modulated.

        y_i = gamma_i * block_i(y_{i-1}) + beta_i

    Args:
        stages: list of `(kernel, stride, expansion, channels, blocks)`.
        first: number of the first block, for the names `block<number>`.
        stem: channels of a 3x3 convolution of stride 2 in front; 0: none.

    Attributes:
        rematerialise: see `vgg16.ConvBlock`.
    """

    rematerialise = False

    def __init__(self, stages, first, stem=0, **kwargs):
        super().__init__(**kwargs)
        self.stages, self.first = [tuple(stage) for stage in stages], first
        self.stem_channels = stem
        self.stem = None
        if stem:
            self.stem = keras.layers.Conv2D(
                stem,
                3,
                2,
                padding="same",
                activation="relu6",
                kernel_initializer="he_normal",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name="stem",
            )
        self.blocks = []
        for kernel, stride, expansion, channels, count in self.stages:
            for i in range(count):
                self.blocks.append(
                    InvertedResidual(
                        kernel,
                        stride if i == 0 else 1,
                        expansion,
                        channels,
                        dtype=self.dtype_policy,
                        name=f"block{first + len(self.blocks)}",
                    )
                )

    @property
    def channels(self):
        """Channels of the output."""
        return self.stages[-1][3]

    def build(self, input_shape):
        """Makes the variables; only the channels of `input_shape` matter."""
        channels = input_shape[-1]
        if self.stem is not None:
            self.stem.build((None, None, None, channels))
            channels = self.stem_channels
        for block in self.blocks:
            block.build((None, None, None, channels))
            channels = block.channels

    def call(self, x, gamma=None, beta=None, with_maps=False, training=False):
        """Runs the level; see `backbone.Backbone`."""
        values = [*([] if gamma is None else [gamma]), *(beta or [])]

        def forward(x, *values):
            values = list(values)
            own = values.pop(0) if gamma is not None else None
            return self._forward(x, own, values or None, with_maps)

        if self.rematerialise:
            forward = keras.remat(forward)
        return forward(x, *values)

    def _forward(self, x, gamma, beta, with_maps):
        maps, start = [], 0
        if self.stem is not None:
            x = self.stem(x)
        for i, block in enumerate(self.blocks):
            x = block(x)
            maps.append(x)
            own = slice(start, start + block.channels)
            start += block.channels
            x = modulate(
                x, None if gamma is None else gamma[:, own], beta[i] if beta else None
            )
        return (x, maps) if with_maps else x

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "stages": self.stages,
            "first": self.first,
            "stem": self.stem_channels,
        }


for _version in VERSIONS:
    backbones.register(EfficientNetLite(_version))
