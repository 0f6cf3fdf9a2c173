"""Enlarging maps to the image, by the rules of each trunk."""

import numpy as np
from keras import ops


def bilinear_kernel(stride):
    """Weights of bilinear interpolation as a transposed convolution.

    Args:
        stride: upsampling factor s (even).

    Returns:
        (2s, 2s) float32, the release's `model_func.py: upsample_filt`.
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


def enlarge(x, stride, finer=1, size=None):
    """Enlarges a map of a trunk whose SAME convolutions pad at the end only.

    Value i of a map of stride s stands over pixel s * i + s - 1 there (see
    `EfficientNetLite`); bilinear interpolation between these positions, constant
    beyond them. One matrix product per axis.

    Args:
        x: (B, h, w, C) of stride s.
        stride: s.
        finer: stride of the result; each of its values stands over pixel
            finer * j + finer - 1, a single pixel for 1.
        size: `(rows, columns)` of the result; by default those of x times
            s / finer.

    Returns:
        (B, rows, columns, C).
    """
    height, width = ops.shape(x)[1:3]
    if size is None:
        size = height * (stride // finer), width * (stride // finer)
    down = _interpolation(height, size[0], stride, finer, x.dtype)
    right = _interpolation(width, size[1], stride, finer, x.dtype)
    return ops.einsum("ih,bhwc,jw->bijc", down, x, right)


def _interpolation(given, wanted, stride, finer, dtype):
    """(wanted, given) weights of bilinear interpolation along an axis."""
    there = ops.arange(wanted, dtype="float32")
    position = (finer * there + float(finer - stride)) / float(stride)
    return _weights(position, given, dtype)


def _weights(position, given, dtype):
    """(len(position), given) bilinear weights of `given` values at positions."""
    position = ops.clip(position, 0.0, ops.cast(given - 1, "float32"))
    own = ops.arange(given, dtype="float32")
    weights = 1.0 - ops.abs(position[:, None] - own[None])
    return ops.cast(ops.maximum(weights, 0.0), dtype)


def resize_as_tf1(x, size):
    """TensorFlow 1's `resize_bilinear`: value i stands at i * wanted / given.

    Neither half pixels nor aligned corners, as `tf.compat.v1.image.resize_bilinear`
    does by default; constant beyond the last value. One matrix product per axis.

    Args:
        x: (B, h, w, C).
        size: `(rows, columns)` of the result.

    Returns:
        (B, rows, columns, C).
    """
    height, width = ops.shape(x)[1:3]
    down, right = (
        _weights(
            ops.arange(wanted, dtype="float32") * (_number(given) / _number(wanted)),
            given,
            x.dtype,
        )
        for given, wanted in ((height, size[0]), (width, size[1]))
    )
    return ops.einsum("ih,bhwc,jw->bijc", down, x, right)


def _number(count):
    return ops.cast(count, "float32")
