"""Wide convolutions in slices that fit a CPU core's cache.

The one place where a layer's kernel is used apart from its layer. With one picture
oneDNN takes up to twice as long for a 3x3 convolution of 512 channels whole
as in eight (two cores, AVX-512); with three pictures it takes the same time.
"""

import contextlib
import contextvars

import numpy as np
from keras import ops

SLICE_BYTES = 1_200_000
"""Largest float32 kernel of a slice: it stays in a core's level-2 cache (1 to 2
MB in today's servers)."""

_ON = contextvars.ContextVar("sliced_convolutions", default=False)


@contextlib.contextmanager
def sliced_convolutions(on=True):
    """While it lasts, wide convolutions are made of narrower ones.

    Meant for tracing a function that runs on CPUs. Results are the same but
    for the order of sums.

    Args:
        on: False leaves convolutions whole.
    """
    token = _ON.set(on)
    try:
        yield
    finally:
        _ON.reset(token)


def slices_of(kernel_shape):
    """Number of equal slices of the output channels of a kernel.

    Args:
        kernel_shape: (k, k, C_in, C_out).

    Returns:
        1 where slices are off or the kernel is small enough, or else the
        smallest power of two that suits and divides C_out.
    """
    count = 1
    if _ON.get():
        size = 4 * int(np.prod(kernel_shape))
        while size > count * SLICE_BYTES and kernel_shape[-1] % (2 * count) == 0:
            count *= 2
    return count


def run(layer, x):
    """`layer(x)`, in slices where these are on.

    Args:
        layer: a built `keras.layers.Conv2D` of stride 1, SAME padding.
        x: (B, H, W, C_in).

    Returns:
        (B, H, W, C_out).
    """
    if slices_of(layer.kernel.shape) == 1:
        return layer(x)
    kernel = ops.cast(layer.kernel, layer.compute_dtype)
    bias = None if layer.bias is None else ops.cast(layer.bias, layer.compute_dtype)
    x = ops.cast(x, layer.compute_dtype)
    return conv(x, kernel, bias, layer.dilation_rate, layer.activation)


def conv(x, kernel, bias=None, dilation=1, finish=lambda y: y):
    """A SAME convolution of stride 1, in slices where these are on.

    Args:
        x: (B, H, W, C_in).
        kernel: (k, k, C_in, C_out), of x's type.
        bias: (C_out,), or None.
        dilation: of the kernel.
        finish: function of each slice of the output, such as `ops.relu`.

    Returns:
        (B, H, W, C_out).
    """
    count = slices_of(kernel.shape)
    biases = [None] * count if bias is None else ops.split(bias, count)
    parts = []
    for k, b in zip(ops.split(kernel, count, axis=-1), biases, strict=True):
        y = ops.conv(
            x, k, padding="same", dilation_rate=dilation, data_format="channels_last"
        )
        parts.append(finish(y if b is None else y + b))
    return parts[0] if count == 1 else ops.concatenate(parts, axis=-1)
