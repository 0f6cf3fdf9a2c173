"""The part of a frame that a network sees: around where the objects were.

As trackers have it (Bertinetto et al. 2016, arXiv:1606.09549, section 2: a search image
centred at the target's last position): a small object is then seen larger.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

SMALLEST = 0.5
"""Least share of a frame's sides, so that an object that moves fast stays inside."""


class SearchArea(NamedTuple):
    """A rectangle of a frame, in pixels.

    Attributes:
        top: its first row.
        left: its first column.
        height: rows.
        width: columns.
        frame: `(height, width)` of the frame.
    """

    top: int
    left: int
    height: int
    width: int
    frame: tuple[int, int]

    def of_frame(self, frame):
        """The area's part of a frame (H, W, 3)."""
        return frame[
            self.top : self.top + self.height, self.left : self.left + self.width
        ]

    def of_masks(self, masks):
        """The area's part of masks (N, H, W)."""
        rows = slice(self.top, self.top + self.height)
        return masks[:, rows, self.left : self.left + self.width]

    def placed(self, maps):
        """Maps (..., h, w) of the area in the frame, which is 0 elsewhere."""
        if self.frame == (self.height, self.width):
            return maps
        below = self.frame[0] - self.top - self.height
        right = self.frame[1] - self.left - self.width
        edges = [[self.top, below], [self.left, right]]
        return tf.pad(maps, [[0, 0]] * (len(maps.shape) - 2) + edges)


def around(masks, factor):
    """The area around masks.

    Args:
        masks: (N, H, W) bool tensor.
        factor: sides of the area in sides of the box around all masks; the area has the
            frame's aspect, is at least `SMALLEST` of it and lies inside of it. None:
            the whole frame.

    Returns:
        `SearchArea`; the whole frame where all masks are empty. Where only some are,
        their objects can be found again in the area of the others alone.
    """
    height, width = size = tuple(masks.shape[1:])
    if factor is None:
        return SearchArea(0, 0, height, width, size)
    places = [
        np.flatnonzero(tf.reduce_any(masks, axes).numpy()) for axes in ((0, 2), (0, 1))
    ]
    if not places[0].size:
        return SearchArea(0, 0, height, width, size)
    boxes = [(each[0], each[-1] + 1) for each in places]
    shares = [
        factor * (end - begin) / length
        for (begin, end), length in zip(boxes, size, strict=True)
    ]
    share = min(1.0, max(SMALLEST, *shares))
    sides = [round(share * length) for length in size]
    firsts = [
        int(np.clip(round((begin + end - side) / 2), 0, length - side))
        for (begin, end), side, length in zip(boxes, sides, size, strict=True)
    ]
    return SearchArea(*firsts, *sides, size)


def check(factor, model):
    """Raises `ValueError` for a factor that makes no sense for a network."""
    if factor is None:
        return
    if not factor >= 1:
        raise ValueError(f"search_area must be None or at least 1. Received: {factor}")
    if model.memorizes:
        raise ValueError(
            f"{type(model).__name__} remembers places of whole frames; leave "
            "search_area out."
        )


def moved(state, before, area):
    """The state of a network that saw one area, for another.

    Args:
        state: nest of maps (N, h, w, C).
        before: `SearchArea` that they belong to, or None: of no frame yet.
        area: the next frame's.

    Returns:
        The maps at the new area's places, bilinear, 0 where nothing was seen.
    """
    if before is None or before == area:
        return state
    return tf.nest.map_structure(lambda maps: _moved_maps(maps, before, area), state)


def _moved_maps(maps, before, area):
    count, *size = maps.shape[:3]
    ends = []
    for k, length in enumerate(size):
        # Centres of the first and the last cell, in cells of the area before.
        cells = np.array([0.5, length - 0.5]) * area[2 + k] / length
        cells = (cells + area[k] - before[k]) * length / before[2 + k] - 0.5
        ends.append(cells / max(length - 1, 1))
    box = np.stack(ends, axis=1).reshape(1, 4).astype(np.float32)
    found = tf.image.crop_and_resize(
        tf.cast(maps, tf.float32), np.repeat(box, count, 0), np.arange(count), size
    )
    return tf.cast(found, maps.dtype)
