"""From feature maps to one logit per pixel.

Every decoder has two steps: `side(features, number)` for each level that it reads,
as the trunk reaches it (a level without object once for all of them), and
`fuse(sides, size)` for the logits.
"""

import keras
from keras import ops

from osmn_recurrent import backbones
from osmn_recurrent.backbones.backbone import max_pool
from osmn_recurrent.models.enlargement import enlarge, resize_as_tf1, upsample

ALIGNMENTS = ("release", "exact")


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class ScaleFusion(keras.layers.Layer):
    """The 1x1 convolution `upscore-fuse`, one scale at a time.

    The release upsamples all side channels of all scales, concatenates them
    and fuses them by a linear 1x1 convolution. Fusion and upsampling commute,
    so each scale is fused first and a single map is upsampled: the same sums
    in another order. Always float32, since the result is a logit.

    Args:
        scales: number of scales S.
        side: channels of each side output.
        initializer: initialiser of the kernel (1, 1, S * side, 1).
    """

    def __init__(self, scales, side, initializer, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.scales, self.side = scales, side
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape=None):
        """Makes kernel and bias."""
        self.kernel = self.add_weight(
            shape=(1, 1, self.scales * self.side, 1),
            initializer=self.initializer,
            name="kernel",
        )
        self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")

    def call(self, side, index=None):
        """One scale's part of the logits, or the bias added to an enlarged part.

        Args:
            side: (B, h, w, side); an enlarged part (B, H, W, 1) without index.
            index: number of the scale.

        Returns:
            (B, h, w, 1) without the bias; (B, H, W, 1) with it.
        """
        if index is None:
            return side + self.bias
        own = slice(index * self.side, (index + 1) * self.side)
        return ops.conv(
            side, self.kernel[:, :, own], padding="valid", data_format="channels_last"
        )

    def get_config(self):
        """Constructor arguments."""
        config = super().get_config()
        del config["dtype"]  # always float32
        return {
            **config,
            "scales": self.scales,
            "side": self.side,
            "initializer": keras.initializers.serialize(self.initializer),
        }


class Decoder(keras.layers.Layer):
    """Base of the decoders.

    Args:
        backbone: name of the `Backbone` whose levels it reads.
        alignment: see `enlargement.upsample`; for decoders that have such a choice.
    """

    def __init__(self, backbone, alignment="release", **kwargs):
        super().__init__(**kwargs)
        if alignment not in ALIGNMENTS:
            raise ValueError(
                f"alignment must be one of {ALIGNMENTS}. Received: {alignment!r}"
            )
        self.backbone, self.alignment = backbone, alignment
        self.trunk = backbones.find(backbone)
        self.numbers = self.trunk.sides

    def side(self, features, number, training=False):
        """What the decoder takes from a level.

        Args:
            features: (B, h, w, C) output of level `number`.
            number: one of `numbers`.
            training: whether dropout is active.
        """
        # Profiles tell the parts of a network by these scopes.
        with keras.name_scope(self.name):
            return self._side(features, number, training)

    def fuse(self, sides, size):
        """The logits.

        Args:
            sides: `{number: what side gave}`, batches of one or of N.
            size: `(H, W)` of the image.

        Returns:
            (N, H, W, 1) float32.
        """
        with keras.name_scope(self.name):
            return self._fuse(sides, size)

    def call(self, features, size, training=False):
        """Logits of all levels at once.

        Args:
            features: `{number: (B, h, w, C)}`.
            size: `(H, W)` of the image.
            training: whether dropout is active.
        """
        sides = {n: self.side(x, n, training) for n, x in features.items()}
        return self.fuse(sides, size)

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "backbone": self.backbone,
            "alignment": self.alignment,
        }


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class HypercolumnDecoder(Decoder):
    """OSVOS' and OSMN's decoder: linear side outputs of blocks 2 to 5.

    Release `model_func.py: osmn`, from `conv2_2_16` to `upscore-fuse`.
    """

    def __init__(self, backbone, alignment="release", **kwargs):
        super().__init__(backbone, alignment, **kwargs)
        channels = self.trunk.width.side
        self.sides = [
            keras.layers.Conv2D(
                channels,
                3,
                padding="same",
                kernel_initializer=self.trunk.new_kernel(),
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=f"{self.trunk.level(number).places[-1].name}_16",
            )
            for number in self.numbers
        ]
        self.fusion = ScaleFusion(
            len(self.numbers), channels, self.trunk.new_kernel(), name="upscore-fuse"
        )

    def build(self, input_shape=None):
        """Makes the variables; no input shape is needed."""
        for number, side in zip(self.numbers, self.sides, strict=True):
            side.build((None, None, None, self.trunk.level(number).channels))
        self.fusion.build()

    def _side(self, features, number, training):
        """(B, h, w, 1): the level's share of the logits, at its own size."""
        index = self.numbers.index(number)
        return self.fusion(self.sides[index](features), index=index)

    def _fuse(self, sides, size):
        """The sum of all levels' shares, enlarged."""
        logits = 0.0
        for number in self.numbers:
            share = upsample(
                sides[number], self.trunk.level(number).stride, size, self.alignment
            )
            # After the enlargement, which weakens values at the border.
            first = number == self.numbers[0]
            logits = logits + (self.fusion(share) if first else share)
        return logits


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class AtrousPyramidDecoder(Decoder):
    """MaskTrack's decoder: four dilated branches, summed (DeepLab-LargeFOV).

    Release `model_func.py: osmn_masktrack`: pool5 3x3 with stride 1; for dilation
    r in 6, 12, 18, 24: fc6_k 3x3, fc7_k 1x1 (ReLU, dropout 0.5), fc8_k 1x1 linear;
    the sum is enlarged eight times by the fixed bilinear kernel.
    """

    DILATIONS = (6, 12, 18, 24)

    def __init__(self, backbone, alignment="release", **kwargs):
        super().__init__(backbone, alignment, **kwargs)

        def conv(name, filters, kernel, dilation, dtype, **options):
            return keras.layers.Conv2D(
                filters,
                kernel,
                padding="same",
                dilation_rate=dilation,
                kernel_initializer=self.trunk.new_kernel(),
                data_format="channels_last",
                dtype=dtype,
                name=name,
                **options,
            )

        relu, policy = {"activation": "relu"}, self.dtype_policy
        width = self.trunk.width.atrous
        self.branches = [
            [
                conv(f"fc6_{k}", width, 3, dilation, policy, **relu),
                conv(f"fc7_{k}", width, 1, 1, policy, **relu),
                conv(f"{self.trunk.classifier}_{k}", 1, 1, 1, "float32"),
            ]
            for k, dilation in enumerate(self.DILATIONS, 1)
        ]
        self.dropout = keras.layers.Dropout(0.5, dtype=policy, name="dropout")

    def build(self, input_shape=None):
        """Makes the variables for the channels of block 5."""
        for fc6, fc7, fc8 in self.branches:
            fc6.build((None, None, None, self.trunk.levels[-1].channels))
            fc7.build((None, None, None, self.trunk.width.atrous))
            fc8.build((None, None, None, self.trunk.width.atrous))

    def _side(self, features, number, training):
        """(B, h, w, 1): the sum of the branches, at the level's size."""
        features, score = max_pool(features, 3, 1), 0.0
        for fc6, fc7, fc8 in self.branches:
            x = self.dropout(fc6(features), training=training)
            score = score + fc8(self.dropout(fc7(x), training=training))
        return score

    def _fuse(self, sides, size):
        """The one level's score, enlarged."""
        (number,) = self.numbers
        return upsample(sides[number], self.trunk.level(number).stride, size)


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class ConcatenatedDecoder(Decoder):
    """A small head at the finest level's stride, for EfficientNet-Lite.

    Every level goes through a 1x1 convolution to `CHANNELS` channels and is
    enlarged to the finest one's stride with the offset of `enlarge`; concatenated,
    ReLU, 3x3 to `HIDDEN` channels, ReLU, 3x3 to one logit, enlarged to the image.

    The logit's bias starts at `FIRST_LOGIT`, about the share of pixels that belong
    to an object, so that the first steps need not learn it.
    """

    CHANNELS, HIDDEN, FIRST_LOGIT = 24, 32, -1.5

    def __init__(self, backbone, alignment="release", **kwargs):
        super().__init__(backbone, alignment, **kwargs)

        def conv(name, filters, kernel, dtype=self.dtype_policy, **options):
            return keras.layers.Conv2D(
                filters,
                kernel,
                padding="same",
                kernel_initializer=self.trunk.new_kernel(),
                data_format="channels_last",
                dtype=dtype,
                name=name,
                **options,
            )

        self.laterals = [conv(f"lateral{n}", self.CHANNELS, 1) for n in self.numbers]
        self.hidden = conv("hidden", self.HIDDEN, 3, activation="relu")
        self.score = conv(
            "score",
            1,
            3,
            "float32",
            bias_initializer=keras.initializers.Constant(self.FIRST_LOGIT),
        )

    def build(self, input_shape=None):
        """Makes the variables; no input shape is needed."""
        for number, lateral in zip(self.numbers, self.laterals, strict=True):
            lateral.build((None, None, None, self.trunk.level(number).channels))
        self.hidden.build((None, None, None, len(self.numbers) * self.CHANNELS))
        self.score.build((None, None, None, self.HIDDEN))

    def _side(self, features, number, training):
        """(B, h, w, CHANNELS) at the finest level's size."""
        lateral = self.laterals[self.numbers.index(number)](features)
        finest = self.trunk.level(self.numbers[0]).stride
        stride = self.trunk.level(number).stride
        if stride > finest:
            lateral = enlarge(lateral, stride, finest)
        return ops.relu(lateral)

    def _fuse(self, sides, size):
        """Head and enlargement."""
        maps = [sides[n] for n in self.numbers]
        # Zeros of the objects' batch pair what is of the frame with all of them.
        objects = ops.zeros_like(maps[-1][:, :1, :1])
        maps = [x if x.shape[0] == maps[-1].shape[0] else x + objects for x in maps]
        x = self.hidden(ops.concatenate(maps, axis=-1))
        score = self.score(x)
        stride = self.trunk.level(self.numbers[0]).stride
        height, width = ops.shape(score)[1:3]
        score = enlarge(score, stride, 1, (height * stride, width * stride))
        return score[:, : size[0], : size[1]]


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class HalfSizeDecoder(Decoder):
    """Linear side outputs, fused at half the image's size.

    Release `model_func.py`, base model `lite`: 3x3 to 16 channels, enlarged to half
    the image by TensorFlow 1's bilinear rule, which puts the first values of all maps
    over the same pixel; 1x1 `score`, enlarged to the image likewise. As in
    `HypercolumnDecoder` each scale is fused before it is enlarged.

    With alignment "exact" maps are enlarged by `enlarge` instead, which puts values
    where they stand at sizes that are multiples of 32.
    """

    CHANNELS = 16

    def __init__(self, backbone, alignment="release", **kwargs):
        super().__init__(backbone, alignment, **kwargs)
        self.sides = [
            keras.layers.Conv2D(
                self.CHANNELS,
                3,
                padding="same",
                kernel_initializer=self.trunk.new_kernel(),
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=f"{self.trunk.short_name(number)}_16",
            )
            for number in self.numbers
        ]
        self.score = ScaleFusion(
            len(self.numbers), self.CHANNELS, self.trunk.new_kernel(), name="score"
        )

    def build(self, input_shape=None):
        """Makes the variables; no input shape is needed."""
        for number, side in zip(self.numbers, self.sides, strict=True):
            side.build((None, None, None, self.trunk.level(number).channels))
        self.score.build()

    def _side(self, features, number, training):
        """(B, h, w, 1): the level's share of the logits, at its own size."""
        index = self.numbers.index(number)
        return self.score(self.sides[index](features), index=index)

    def _fuse(self, sides, size):
        """The sum of all levels' shares at half size, enlarged."""
        half, exact = (size[0] // 2, size[1] // 2), self.alignment == "exact"
        logits = 0.0
        for number in self.numbers:
            stride, share = self.trunk.level(number).stride, sides[number]
            if exact:
                share = enlarge(share, stride, 2, half)
            else:
                share = resize_as_tf1(share, half)
            logits = logits + share
        logits = self.score(logits)
        return enlarge(logits, 2, 1, size) if exact else resize_as_tf1(logits, size)


DECODERS = {
    "mobilenet": HalfSizeDecoder,
    "hypercolumn": HypercolumnDecoder,
    "atrous": AtrousPyramidDecoder,
    "concatenated": ConcatenatedDecoder,
}
"""By the kind that a backbone names."""


def make_decoder(backbone, alignment, dtype=None):
    """The decoder of a backbone, called "decoder"."""
    kind = DECODERS[backbone.decoder]
    return kind(backbone.name, alignment, dtype=dtype, name="decoder")
