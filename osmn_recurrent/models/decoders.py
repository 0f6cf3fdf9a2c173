"""From feature maps to one logit per pixel."""

import keras
import numpy as np
from keras import ops

from osmn_recurrent.models import vgg

ALIGNMENTS = ("release", "exact")


def bilinear_kernel(stride):
    """Weights of bilinear interpolation as a transposed convolution.

    Args:
        stride: upsampling factor s (even).

    Returns:
        (2s, 2s) float32, the release's `osmn.py: upsample_filt`.
    """
    offset = np.abs(np.arange(2 * stride) - (stride - 0.5)) / stride
    return np.outer(1 - offset, 1 - offset).astype(np.float32)


def upsample(score, stride, size, alignment="release"):
    """Enlarges a map by a fixed bilinear transposed convolution and crops it.

    Args:
        score: (B, h, w, 1) float32, h = ceil(H / stride), w likewise.
        stride: upsampling factor.
        size: `(H, W)` of the result.
        alignment: "release" crops the centre, as released; that shifts a map
            by up to (stride - 1) / 2 pixels where the size is no multiple of
            the stride. "exact" crops `stride / 2`, which puts each value over
            the middle of the pixels it was pooled from.

    Returns:
        (B, H, W, 1) float32.
    """
    kernel = bilinear_kernel(stride)[:, :, None, None]
    score = ops.conv_transpose(
        score, kernel, stride, padding="valid", data_format="channels_last"
    )
    height, width = size
    if alignment == "exact":
        top = left = stride // 2
    else:
        _, full_height, full_width, _ = ops.shape(score)
        top, left = (full_height - height) // 2, (full_width - width) // 2
    return score[:, top : top + height, left : left + width]


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class ScaleFusion(keras.layers.Layer):
    """The 1x1 convolution `upscore-fuse`, applied one scale at a time.

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

    def call(self, side, index, stride, size, alignment):
        """One scale's part of the logits, enlarged.

        Args:
            side: (B, h, w, side).
            index: number of the scale; the first one carries the bias.
            stride: see `upsample`, as are `size` and `alignment`.
            size: `(H, W)`.
            alignment: "release" or "exact".

        Returns:
            (B, H, W, 1).
        """
        own = slice(index * self.side, (index + 1) * self.side)
        score = ops.conv(
            side, self.kernel[:, :, own], padding="valid", data_format="channels_last"
        )
        score = upsample(score, stride, size, alignment)
        # After the enlargement, which weakens values at the border.
        return score + self.bias if index == 0 else score

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


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class HypercolumnDecoder(keras.layers.Layer):
    """OSVOS' and OSMN's decoder: linear side outputs of blocks 2 to 5.

    Release `osmn.py: osmn`, from `conv2_2_16` to `upscore-fuse`.

    Args:
        size: "full" or "compact".
        alignment: see `upsample`.
    """

    BLOCKS = (2, 3, 4, 5)

    def __init__(self, size, alignment="release", **kwargs):
        super().__init__(**kwargs)
        if alignment not in ALIGNMENTS:
            raise ValueError(
                f"alignment must be one of {ALIGNMENTS}. Received: {alignment!r}"
            )
        self.size, self.alignment = size, alignment
        self.width = vgg.width_of(size)
        self.sides = [
            keras.layers.Conv2D(
                self.width.side,
                3,
                padding="same",
                kernel_initializer=self.width.new_kernel(),
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=f"conv{number}_{vgg.CONVS_PER_BLOCK[number - 1]}_16",
            )
            for number in self.BLOCKS
        ]
        self.fusion = ScaleFusion(
            len(self.BLOCKS),
            self.width.side,
            self.width.new_kernel(),
            name="upscore-fuse",
        )

    def build(self, input_shape=None):
        """Makes the variables for the channels of blocks 2 to 5."""
        for number, side in zip(self.BLOCKS, self.sides, strict=True):
            side.build((None, None, None, self.width.blocks[number - 1]))
        self.fusion.build()

    def call(self, features, number, size):
        """One block's part of the logits.

        Args:
            features: (B, h, w, C) output of block `number`.
            number: 2 to 5.
            size: `(H, W)` of the image.

        Returns:
            (B, H, W, 1) float32; the logits are the sum over the blocks (the
            first one carries the bias).
        """
        index = self.BLOCKS.index(number)
        return self.fusion(
            self.sides[index](features),
            index=index,
            stride=2 ** (number - 1),
            size=size,
            alignment=self.alignment,
        )

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "alignment": self.alignment,
        }


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class AtrousPyramidDecoder(keras.layers.Layer):
    """MaskTrack's decoder: four dilated branches, summed (DeepLab-LargeFOV).

    Release `osmn.py: osmn_masktrack`: for dilation r in 6, 12, 18, 24: fc6_k
    3x3, fc7_k 1x1 (ReLU, dropout 0.5), fc8_k 1x1 linear; the sum is enlarged
    eight times by the fixed bilinear kernel.

    Args:
        size: "full" or "compact".
    """

    DILATIONS = (6, 12, 18, 24)
    STRIDE = 8

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.width = vgg.width_of(size)

        def conv(name, filters, kernel, dilation, dtype, **options):
            return keras.layers.Conv2D(
                filters,
                kernel,
                padding="same",
                dilation_rate=dilation,
                kernel_initializer=self.width.new_kernel(),
                data_format="channels_last",
                dtype=dtype,
                name=name,
                **options,
            )

        relu, policy = {"activation": "relu"}, self.dtype_policy
        width = self.width.atrous
        self.branches = [
            [
                conv(f"fc6_{k}", width, 3, dilation, policy, **relu),
                conv(f"fc7_{k}", width, 1, 1, policy, **relu),
                conv(f"fc8_{k}", 1, 1, 1, "float32"),
            ]
            for k, dilation in enumerate(self.DILATIONS, 1)
        ]
        self.dropout = keras.layers.Dropout(0.5, dtype=policy, name="dropout")

    def build(self, input_shape=None):
        """Makes the variables for the channels of block 5."""
        for fc6, fc7, fc8 in self.branches:
            fc6.build((None, None, None, self.width.blocks[-1]))
            fc7.build((None, None, None, self.width.atrous))
            fc8.build((None, None, None, self.width.atrous))

    def call(self, features, size, training=False):
        """(B, h, w, C) at stride 8 to logits (B, H, W, 1) float32."""
        score = 0.0
        for fc6, fc7, fc8 in self.branches:
            x = self.dropout(fc6(features), training=training)
            score = score + fc8(self.dropout(fc7(x), training=training))
        return upsample(score, self.STRIDE, size)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "size": self.size}
