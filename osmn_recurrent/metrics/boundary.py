"""Contour accuracy F: how well the outlines of two masks agree."""

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from osmn_recurrent.metrics.region import as_binary

DAVIS_BOUND = 0.008
"""Tolerance of the DAVIS evaluation, as a share of the image diagonal."""


def contour_accuracy(
    true: ArrayLike, predicted: ArrayLike, bound: float = DAVIS_BOUND
) -> float:
    """F-measure of the boundaries of two masks, F = 2PR / (P + R).

    Precision P is the share of predicted boundary pixels with a true one at
    most `bound` away, recall R the reverse (DAVIS 2016, section 5.1; every
    pixel may match any number of others, as in the official evaluation).
    Symmetric.

    Args:
        true: (H, W) of any dtype; non-zero pixels are the object.
        predicted: the same shape.
        bound: tolerance (Euclidean). Below 1 it is a share of the image
            diagonal, rounded up to whole pixels; from 1 on it is in pixels.

    Returns:
        float in [0, 1]; 1 where neither mask has a boundary, 0 where only
        one has. A mask that fills the image has no boundary.

    Raises:
        InputError: the masks are not (H, W), differ in shape or hold NaN.

    Example:

    >>> true = np.zeros((100, 100))
    >>> true[20:60, 20:60] = 1
    >>> moved = np.roll(true, 2, axis=1)  # by two pixels, which the bound allows
    >>> contour_accuracy(true, moved)
    1.0
    >>> contour_accuracy(true, moved, bound=1) < 0.6
    True
    """
    masks = as_binary(true, predicted)
    radius = tolerance(masks[0].shape, bound)
    own, other = map(boundary, crop_to_objects(*masks))
    of_true, of_predicted = np.count_nonzero(own), np.count_nonzero(other)
    if not of_true or not of_predicted:
        return float(of_true == of_predicted)
    precision = _matched(other, own, radius) / of_predicted
    recall = _matched(own, other, radius) / of_true
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def tolerance(shape, bound=DAVIS_BOUND):
    """`bound` in pixels for an image of `shape` (H, W); int."""
    # The norm and not math.hypot: the official code rounds this very float.
    return math.ceil(bound if bound >= 1 else bound * np.linalg.norm(shape))


def boundary(mask):
    """Boundary of a mask: pixels unlike the next one east, south or south-east.

    In the last row only the pixel to the east counts, in the last column
    only the one to the south, and the last corner is never boundary.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) uint8, 0 or 1.
    """
    edge = np.zeros(mask.shape, bool)
    here = mask[:-1, :-1]
    edge[:-1, :-1] = here ^ mask[:-1, 1:]
    edge[:-1, :-1] |= here ^ mask[1:, :-1]
    edge[:-1, :-1] |= here ^ mask[1:, 1:]
    edge[-1, :-1] = mask[-1, :-1] ^ mask[-1, 1:]
    edge[:-1, -1] = mask[:-1, -1] ^ mask[1:, -1]
    return edge.view(np.uint8)


def crop_to_objects(true, predicted):
    """Cuts two masks to the smallest box that leaves J and F as they are.

    That is the box of their union and, where the image continues, the pixel
    around it: the boundaries of both lie inside. F needs the tolerance of
    the whole image; give it in pixels.

    Args:
        true: (H, W) bool.
        predicted: (H, W) bool.

    Returns:
        Two views, (h, w) bool; one pixel if both masks are empty.
    """
    left, top, width, height = cv2.boundingRect((true | predicted).view(np.uint8))
    if not width:
        return true[:1, :1], predicted[:1, :1]
    box = (
        slice(max(top - 1, 0), top + height + 1),
        slice(max(left - 1, 0), left + width + 1),
    )
    return true[box], predicted[box]


def _matched(edge, other, radius):
    """How many pixels of `edge` have one of `other` within `radius`."""
    return np.count_nonzero(edge & _dilate(other, radius))


def _dilate(edge, radius):
    """Dilates (H, W) uint8 `edge` by the disc x^2 + y^2 <= radius^2.

    Row by row of the disc, the work grows with the radius and not with its
    square as that of a dilation by the disc's own kernel.
    """
    spread = edge.copy()
    half_width = row = None
    for dy in range(radius, -1, -1):
        if dy >= edge.shape[0]:
            continue
        if half_width != (half_width := math.isqrt(radius**2 - dy**2)):
            row = cv2.dilate(edge, np.ones((1, 2 * half_width + 1), np.uint8))
        spread[dy:] |= row[: len(row) - dy]
        spread[: len(row) - dy] |= row[dy:]
    return spread
