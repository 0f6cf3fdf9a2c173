"""MobileNet v1 (Howard et al. 2017), the base model `lite` of the OSMN release.

Release `mobilenet_v1.py` and `model_func.py`: batch norm and ReLU6 behind every
convolution, modulation behind pointwise 3, 5, 11 and 13. Two things are wider here:

- Any image size. The release pools the heat map without padding, which fits the maps
  of its SAME convolutions at multiples of 32 only; SAME pooling gives the same there.
- Without the visual modulator the betas are still added, as on every trunk; the
  release then modulates nothing.
"""

import keras

from osmn_recurrent import backbones
from osmn_recurrent.backbones.backbone import (
    SMALL_FINETUNING,
    Backbone,
    Level,
    Place,
    modulate,
)
from osmn_recurrent.backbones.normalisation import normalised_as_released

CHANNELS = (32, 64, 128, 128, 256, 256, *(6 * (512,)), 1024, 1024)
"""Output channels of `Conv2d_0` and of pointwise 1 to 13."""

STRIDED = (2, 4, 6, 12)
"""Numbers of the depthwise convolutions of stride 2; `Conv2d_0` has it too."""

LAST_OF_LEVELS = (1, 3, 5, 11, 13)
"""The pointwise convolutions that end levels 1 to 5, at strides 2 to 32."""

LOGITS = 2048
"""Channels of the visual modulator between its trunk and its outputs."""

INPUT_SCALE = 0.00787
"""Factor of images and visual guides (the release's `--scale_value`)."""

EPSILON, MOMENTUM = 0.001, 0.997


class MobileNet(Backbone):
    """MobileNet v1 up to its last pointwise convolution.

    Args:
        name: of the backbone.
        share: of the published channels that there are.
    """

    modulated, sides = (2, 3, 4, 5), (2, 3, 4, 5)
    decoder = modulator = "mobilenet"
    first_pool = 4

    def __init__(self, name, share=1.0):
        self.name = name
        if share != 1.0:
            self.finetuning = SMALL_FINETUNING
        self.filters = tuple(int(count * share) for count in CHANNELS)
        self.logits = int(LOGITS * share)
        self.levels = tuple(
            Level(
                number,
                f"level{number}",
                self.filters[last],
                2**number,
                (Place(f"Conv2d_{last}_pointwise", self.filters[last]),),
            )
            for number, last in enumerate(LAST_OF_LEVELS, 1)
        )

    def make_levels(self, dtype=None):
        """`MobileNetLevel`s named level1 to level5."""
        layers, first = [], 0
        for level, last in zip(self.levels, LAST_OF_LEVELS, strict=True):
            own = range(first, last + 1)
            layers.append(
                MobileNetLevel(
                    [self.filters[number] for number in own],
                    first,
                    dtype=dtype,
                    name=level.name,
                )
            )
            first = last + 1
        return layers

    def new_kernel(self):
        """Slim's truncated normal distribution, deviation 0.09."""
        return keras.initializers.TruncatedNormal(stddev=0.09)

    def network_input(self, image):
        """The image times `INPUT_SCALE`."""
        return image * INPUT_SCALE

    def short_name(self, number):
        """By its pointwise convolution: conv3, conv5, conv11 and conv13."""
        return f"conv{LAST_OF_LEVELS[number - 1]}"


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class MobileNetLevel(keras.layers.Layer):
    """Depthwise and pointwise convolutions, each with batch norm and ReLU6.

    The last one's output is modulated, gamma * relu6(norm(conv(x))) + beta, and may
    exceed six.

    Args:
        filters: channels of the pointwise convolutions (of `Conv2d_0` too).
        first: number of the first one; 0 is `Conv2d_0`, a 3x3 convolution.

    Attributes:
        rematerialise: see `vgg16.ConvBlock`; in training without effect, where
            computing batch statistics again would move the averages twice.
    """

    rematerialise = False

    def __init__(self, filters, first, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.first = list(filters), first
        self.convs, self.norms = [], []
        for number, count in enumerate(self.filters, first):
            stride = 2 if number in (0, *STRIDED) else 1
            if number == 0:
                self._add(keras.layers.Conv2D, "Conv2d_0", filters=count, side=3)
                continue
            self._add(
                keras.layers.DepthwiseConv2D,
                f"Conv2d_{number}_depthwise",
                side=3,
                strides=stride,
                kernel="depthwise_initializer",
            )
            name = f"Conv2d_{number}_pointwise"
            self._add(keras.layers.Conv2D, name, filters=count, side=1, strides=1)

    def _add(self, kind, name, side, strides=2, kernel="kernel_initializer", **own):
        """A convolution and its batch norm."""
        own[kernel] = keras.initializers.TruncatedNormal(stddev=0.09)
        shared = {"dtype": self.dtype_policy}
        self.convs.append(
            kind(
                kernel_size=side,
                strides=strides,
                padding="same",
                use_bias=False,
                data_format="channels_last",
                name=name,
                **own,
                **shared,
            )
        )
        self.norms.append(
            keras.layers.BatchNormalization(
                momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_BatchNorm", **shared
            )
        )

    @property
    def channels(self):
        """Channels of the output."""
        return self.filters[-1]

    def build(self, input_shape):
        """Makes the variables; only the channels of `input_shape` matter."""
        shape = (None, None, None, input_shape[-1])
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build(shape)
            if isinstance(conv, keras.layers.Conv2D):
                shape = (None, None, None, conv.filters)
            norm.build(shape)

    def call(self, x, gamma=None, beta=None, with_maps=False, training=False):
        """Runs the level; see `backbone.Backbone`."""
        values = [*([] if gamma is None else [gamma]), *(beta or [])]

        def forward(x, *values):
            values = list(values)
            own = values.pop(0) if gamma is not None else None
            return self._forward(x, own, values or None, with_maps, training)

        if self.rematerialise and not training:
            forward = keras.remat(forward)
        return forward(x, *values)

    def _forward(self, x, gamma, beta, with_maps, training):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = conv(x)
            x = normalised_as_released(norm, x) if training else norm(x, training=False)
            x = keras.ops.relu6(x)
        y = modulate(x, gamma, beta[0] if beta else None)
        return (y, [x]) if with_maps else y

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "filters": self.filters, "first": self.first}


backbones.register(MobileNet("mobilenet"))
backbones.register(MobileNet("mobilenet_compact", 0.25))
