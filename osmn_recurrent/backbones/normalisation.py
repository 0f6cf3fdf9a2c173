"""Batch normalisation as the release trains it."""

from keras import ops


def normalised_as_released(norm, x):
    """Batch norm in training mode, its moving variance as slim moves it.

    Both normalise by the biased variance of the batch; slim's fused form moves the
    average by the variance times N / (N - 1), N the values per channel.

    Args:
        norm: a built `keras.layers.BatchNormalization`.
        x: (B, h, w, C).

    Returns:
        Of x's shape.
    """
    before = norm.moving_variance * norm.momentum
    y = norm(x, training=True)
    if norm.trainable:
        batch, height, width = ops.shape(x)[:3]
        others = ops.cast(ops.maximum(batch * height * width - 1, 1), "float32")
        share = norm.moving_variance - before  # (1 - momentum) * variance
        norm.moving_variance.assign(norm.moving_variance + share / others)
    return y
