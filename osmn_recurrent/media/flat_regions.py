"""What is flat in a picture that should be a mask, and what is a soft border.

Drawn masks are flat: every object has one colour. Smoothing, scaling and JPEG put
pixels of other colours along their outlines. A soft pixel is one between its
neighbours: in some channel one neighbour is lower and another one higher.
"""

import cv2
import numpy as np

NEAR = 16
"""Levels this near to a stronger one are the same: ringing and ends of slopes."""

_SMOOTH = 4
"""Largest difference among nine pixels that lie inside a region of a JPEG."""

_FEWEST = 16
"""Smooth pixels that a region of a JPEG must have."""

_AROUND = np.ones((3, 3), np.uint8)


def soft_pixels(pixels):
    """Where a pixel lies between its neighbours.

    Args:
        pixels: (H, W) or (H, W, C) uint8.

    Returns:
        (H, W) bool.
    """
    between = (cv2.erode(pixels, _AROUND) < pixels) & (
        pixels < cv2.dilate(pixels, _AROUND)
    )
    return between if between.ndim == 2 else between.any(-1)


def soft_shares(labels, soft, count):
    """Share of each label's pixels that are soft.

    Args:
        labels: (H, W) integers from 0 to `count` - 1.
        soft: (H, W) bool, see `soft_pixels`.
        count: number of labels.

    Returns:
        `(shares, totals)`, (count,) float and (count,) int.
    """
    totals = np.bincount(labels.ravel(), minlength=count)
    own = np.bincount(labels[soft], minlength=count)
    return own / np.maximum(totals, 1), totals


def merged_levels(levels, weights):
    """The stronger ones of levels that lie near each other.

    Args:
        levels: (N,) ints.
        weights: (N,) numbers; the heaviest is kept first.

    Returns:
        Sorted list of ints, no two of them within `NEAR`.
    """
    kept = []
    for place in np.argsort(-np.asarray(weights), kind="stable"):
        level = int(levels[place])
        if all(abs(level - other) > NEAR for other in kept):
            kept.append(level)
    return sorted(kept)


def smooth_levels(values):
    """The levels of a JPEG's regions.

    Args:
        values: (H, W) uint8.

    Returns:
        Sorted list of ints.
    """
    spread = cv2.dilate(values, _AROUND) - cv2.erode(values, _AROUND)
    weights = np.bincount(values[spread <= _SMOOTH], minlength=256)
    # What falls on a peak's sides is the peak's.
    near = np.convolve(weights, np.ones(2 * _SMOOTH + 1, int), "same")
    there = np.flatnonzero(near * (weights > 0) >= _FEWEST)
    return merged_levels(there, weights[there])


def smooth_colours(pixels):
    """The colours of a JPEG's regions.

    Args:
        pixels: (H, W, 3) uint8.

    Returns:
        List of `(r, g, b)`, the largest region first.
    """
    spread = cv2.dilate(pixels, _AROUND) - cv2.erode(pixels, _AROUND)
    inside = pixels[(spread <= _SMOOTH).all(-1)]
    colours, weights = np.unique(inside, axis=0, return_counts=True)
    found = []
    for place in np.argsort(-weights, kind="stable"):
        colour = colours[place].astype(int)
        if all(np.abs(colour - other).max() > 2 * NEAR for other, _ in found):
            near = np.abs(colours.astype(int) - colour).max(1) <= NEAR
            found.append((colour, weights[near].sum()))
        if len(found) > 255:
            break
    return [tuple(c.tolist()) for c, weight in found if weight >= _FEWEST]


def nearest_flat(labels, flat):
    """Gives every pixel the label of the flat pixel that is nearest to it.

    Args:
        labels: (H, W) integers.
        flat: (H, W) bool, at least one True.

    Returns:
        (H, W), `labels` where `flat`.
    """
    seeds = (~flat).astype(np.uint8)
    _, places = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_place = np.zeros(places.max() + 1, labels.dtype)
    of_place[places[flat]] = labels[flat]
    return of_place[places]
