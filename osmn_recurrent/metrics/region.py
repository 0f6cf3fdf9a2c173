"""Region similarity J: how much of the object two masks share."""

import numpy as np
from numpy.typing import ArrayLike

from osmn_recurrent.errors import InputError


def region_similarity(true: ArrayLike, predicted: ArrayLike) -> float:
    """Intersection over union of two masks, J = |P & G| / |P | G|.

    DAVIS 2016 (Perazzi et al.), section 5.1. Symmetric.

    Args:
        true: (H, W) of any dtype; non-zero pixels are the object.
        predicted: the same shape.

    Returns:
        float in [0, 1]; 1 where both masks are empty.

    Raises:
        InputError: the masks are not (H, W) or differ in shape.

    Example:

    >>> region_similarity([[1, 1, 0]], [[0, 1, 1]])
    0.3333333333333333
    """
    first, second = as_binary(true, predicted)
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 1.0


def as_binary(true, predicted):
    """Two masks as (H, W) bool; `InputError` if they differ in size or hold NaN."""
    true, predicted = as_same_size(true, predicted)
    return true.astype(bool, copy=False), predicted.astype(bool, copy=False)


def as_same_size(true, predicted):
    """Two masks as (H, W) arrays; `InputError` if they differ in size or hold NaN."""
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.ndim != 2 or not true.size or true.shape != predicted.shape:
        raise InputError(
            f"masks of shapes {true.shape} and {predicted.shape} cannot be "
            "compared; expected the same size, (height, width), twice."
        )
    for mask in (true, predicted):
        if mask.dtype.kind in "fc" and np.isnan(mask).any():
            raise InputError(
                "a mask holds NaN, which is neither object nor background; expected "
                "ids, or 0 and 1."
            )
    return true, predicted
