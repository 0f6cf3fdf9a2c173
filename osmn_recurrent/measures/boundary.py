"""Contour accuracy F: how well two outlines agree."""

import functools

import cv2
import numpy as np

from osmn_recurrent.measures.region import as_binary


def contour_accuracy(true, predicted, bound=0.008):
    """F-measure of the boundary pixels of two masks (DAVIS "F").

    A boundary pixel of one mask is matched if a boundary pixel of the other
    lies within a disc of radius ceil(bound * image diagonal). F = 2PR / (P+R)
    with precision P and recall R of the matches (Perazzi et al. 2016; the
    official evaluator's figures).

    Args:
        true: (H, W), non-zero pixels are the object.
        predicted: (H, W), likewise.
        bound: tolerance as a share of the image diagonal, or in pixels if it
            is 1 or more.

    Returns:
        float in [0, 1]; 1 where neither mask has a boundary, 0 where one has.
    """
    true, predicted = as_binary(true, predicted)
    radius = bound if bound >= 1 else int(np.ceil(bound * np.linalg.norm(true.shape)))
    rows, columns = _region_of_interest(true, predicted)
    true = _boundary(true, rows, columns)
    predicted = _boundary(predicted, rows, columns)
    true_count = cv2.countNonZero(true)
    predicted_count = cv2.countNonZero(predicted)
    if true_count == 0 or predicted_count == 0:
        return float(true_count == predicted_count)
    disc = _disc(int(radius))
    matched = cv2.bitwise_and(predicted, cv2.dilate(true, disc))
    precision = cv2.countNonZero(matched) / predicted_count
    found = cv2.bitwise_and(true, cv2.dilate(predicted, disc))
    recall = cv2.countNonZero(found) / true_count
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


@functools.lru_cache(maxsize=8)
def _disc(radius):
    offsets = np.arange(-radius, radius + 1)
    return (offsets[:, None] ** 2 + offsets[None] ** 2 <= radius**2).astype(np.uint8)


def _region_of_interest(true, predicted):
    """Slices that hold every boundary pixel of both masks.

    Boundary pixels lie on the mask or directly above or left of it; matching
    only ever looks at boundary pixels, so the rest of the image need not be
    dilated.
    """
    left, top, width, height = cv2.boundingRect(cv2.bitwise_or(true, predicted))
    return (
        slice(max(top - 1, 0), min(top + height + 1, true.shape[0])),
        slice(max(left - 1, 0), min(left + width + 1, true.shape[1])),
    )


def _boundary(mask, rows, columns):
    """Pixels that differ from their east, south or south-east neighbour.

    In the last row only the east neighbour counts, in the last column only
    the south one, and the corner is none. Where the slices end inside the
    image the mask is empty, so the same rule holds there.
    """
    mask = np.ascontiguousarray(mask[rows, columns])
    if mask.size == 0:
        return mask
    edge = np.zeros_like(mask)
    edge[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    edge[:-1] |= mask[:-1] ^ mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return edge
