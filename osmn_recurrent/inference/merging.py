"""One id map from the probabilities of several objects."""

from keras import ops

SMALLEST_PROBABILITY = 1e-7
"""Clamp of soft aggregation (STM, Oh et al. 2019), float32."""


def argmax_merge(probabilities):
    """The most probable object, against a background of constantly 0.5.

    OSMN's rule for several objects; for one object it is the threshold 0.5.
    A pixel is an object's where its probability is above 0.5 and above that
    of every other object. Between equal objects the first one wins, against
    an object of exactly 0.5 the background.

    Args:
        probabilities: (N, H, W) float32 in [0, 1], objects sorted by id.

    Returns:
        (H, W) int32: 0 for the background, k for the k-th object (from 1).
    """
    return _winner(0.5, probabilities)


def soft_aggregation(probabilities):
    """Probabilities of background and objects that sum to one.

    The background's is the product of all 1 - p_k; all are clamped to
    [1e-7, 1 - 1e-7] and the soft-max of their logits is taken (Oh et al.,
    "Video Object Segmentation using Space-Time Memory Networks", section
    3.4). The soft-max of logits is the odds divided by their sum.

    Args:
        probabilities: (N, H, W) float32 in [0, 1].

    Returns:
        (N + 1, H, W) float32, the background first.
    """
    background = ops.prod(1.0 - probabilities, axis=0, keepdims=True)
    stacked = ops.clip(
        ops.concatenate([background, probabilities], axis=0),
        SMALLEST_PROBABILITY,
        1.0 - SMALLEST_PROBABILITY,
    )
    odds = stacked / (1.0 - stacked)
    return odds / ops.sum(odds, axis=0, keepdims=True)


def soft_merge(probabilities):
    """The largest of `soft_aggregation`; arguments as of `argmax_merge`.

    Several weak objects push the background down together, so that an object
    may win with a probability below 0.5. For one object this is the
    threshold 0.5 too.

    Returns:
        (H, W) int32: 0 for the background, k for the k-th object (from 1).
    """
    aggregated = soft_aggregation(probabilities)
    return _winner(aggregated[0], aggregated[1:])


def _winner(background, objects):
    """Arg-max over background and (N, H, W) objects, the first of equals.

    Made of maxima, because TensorFlow's `argmax` over the first axis takes
    several times as long on CPUs.
    """
    best = ops.max(objects, axis=0)
    ranks = ops.arange(ops.shape(objects)[0], 0, -1)[:, None, None]
    rank = ops.max(ops.where(objects == best, ranks, 0), axis=0)
    index = ops.shape(objects)[0] + 1 - rank
    return ops.where(best > background, ops.cast(index, "int32"), 0)


MERGES = {"argmax": argmax_merge, "soft": soft_merge}
"""Merges by the name that users give."""
