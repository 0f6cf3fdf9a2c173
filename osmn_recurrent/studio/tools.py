"""What a person does to a frame's mask: paint, erase, outline, complete, click.

Every tool gives a `Said`: the painted map and the dropped objects of the frame. All
coordinates are (x, y) pixels of the full frame, pixel centres at whole numbers.
"""

import dataclasses
from importlib.util import find_spec

import cv2
import numpy as np

from osmn_recurrent import masks
from osmn_recurrent.datasets.projects import compose
from osmn_recurrent.errors import InputError

MOST_COMPLETED = 480
"""Longer side, in pixels, at which GrabCut works; it takes seconds on full HD."""

ROUNDS = 5
SMALLEST_AREA = 64
"""Pixels at the network's size, below which an object is usually lost."""


@dataclasses.dataclass(frozen=True)
class Said:
    """What a person said of a frame.

    Attributes:
        painted: (H, W) uint8: every id in it has exactly these pixels.
        dropped: frozenset of the ids that are followed no longer.
    """

    painted: np.ndarray
    dropped: frozenset = frozenset()

    def shown(self, base):
        """(H, W) uint8 ids of the frame, over the prediction `base`."""
        return compose(base, self.painted, self.dropped)


def disc(size, points, radius):
    """The region of a round brush drawn along a line.

    Args:
        size: (height, width).
        points: list of (x, y).
        radius: pixels.

    Returns:
        (H, W) bool.
    """
    rows, columns = np.ogrid[: size[0], : size[1]]
    region = np.zeros(size, bool)
    previous = points[0]
    for x, y in points:
        dx, dy = x - previous[0], y - previous[1]
        low = np.floor(np.minimum((x, y), previous) - radius).astype(int)
        high = np.ceil(np.maximum((x, y), previous) + radius).astype(int) + 1
        part = np.s_[max(low[1], 0) : max(high[1], 0), max(low[0], 0) : max(high[0], 0)]
        own_x, own_y = columns[:, part[1]], rows[part[0]]
        along = (own_x - previous[0]) * dx + (own_y - previous[1]) * dy
        share = np.clip(along / ((dx * dx + dy * dy) or 1), 0, 1)
        distance = (own_x - previous[0] - share * dx) ** 2
        distance = distance + (own_y - previous[1] - share * dy) ** 2
        region[part] |= distance <= radius * radius
        previous = (x, y)
    return region


def outline(size, points):
    """The region inside a polygon, its border included.

    Args:
        size: (height, width).
        points: list of (x, y), at least three.

    Returns:
        (H, W) bool.

    Raises:
        InputError: fewer points.
    """
    if len(points) < 3:
        raise InputError("a polygon needs at least three corners; draw it again.")
    region = np.zeros(size, np.uint8)
    cv2.fillPoly(region, [np.round(points).astype(np.int32)], 1)
    return region > 0


def paint(said, base, region, object_id):
    """Gives an object the pixels of a region, in addition to those it has.

    Args:
        said: `Said` until now.
        base: (H, W) uint8, the prediction.
        region: (H, W) bool.
        object_id: 1 to 254.

    Returns:
        `Said`. An object of the prediction that loses all its pixels is followed on;
        one that was painted in this frame alone is dropped.
    """
    painted = said.painted.copy()
    painted[said.shown(base) == object_id] = object_id
    painted[region] = object_id
    return _said(said, painted, {object_id})


def erase(said, base, region, object_id=None):
    """Makes a region background; an object without pixels left is dropped.

    Args:
        said: see `paint`.
        base: see `paint`.
        region: (H, W) bool.
        object_id: the one that is erased, or None for all.

    Returns:
        `Said`.
    """
    shown, painted = said.shown(base), said.painted.copy()
    if object_id is not None:
        region = region & (shown == object_id)
    touched = set(masks.object_ids(np.where(region, shown, 0)))
    for each in touched:
        painted[shown == each] = each
    painted[region] = 0
    return _said(said, painted, touched)


def drop(said, object_id):
    """Follows an object no longer from this frame on; arguments as of `paint`."""
    painted = np.where(said.painted == object_id, 0, said.painted).astype(np.uint8)
    return _said(said, painted, {object_id})


def _said(before, painted, touched):
    """`Said`; what was painted or touched and has no pixel now is dropped."""
    there = set(masks.object_ids(painted))
    known = touched | set(masks.object_ids(before.painted))
    return Said(painted, frozenset((before.dropped | known) - there))


def complete(frame, region, box=False, background=None):
    """The object that a box or a scribble means, by GrabCut (Rother et al. 2004).

    Args:
        frame: (H, W, 3) uint8 RGB.
        region: (H, W) bool: the box, or pixels that are surely the object's.
        box: which of the two; outside a box all is background.
        background: (H, W) bool, pixels that surely are not the object's, or None.

    Returns:
        (H, W) bool; the same for the same arguments.

    Raises:
        InputError: nothing, or too little, is marked.
    """
    height, width = region.shape
    scale = min(1.0, MOST_COMPLETED / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))

    def shrunk(values):
        return cv2.resize(values.astype(np.uint8), small, interpolation=cv2.INTER_AREA)

    marked = shrunk(region * np.uint8(255)) > 127 if box else shrunk(region * 255) > 0
    if marked.sum() < 4 or (box and marked.all()):
        raise InputError(
            "the box or scribble marks too little (or everything), expected one around "
            "or on the object; draw it again."
        )
    labels = np.full(marked.shape, cv2.GC_PR_BGD, np.uint8)
    if box:
        labels[:] = cv2.GC_BGD
        labels[marked] = cv2.GC_PR_FGD
    else:
        near = cv2.dilate(marked.astype(np.uint8), np.ones((3, 3)), iterations=12) > 0
        labels[near], labels[marked] = cv2.GC_PR_FGD, cv2.GC_FGD
        labels[[0, -1]] = np.where(marked[[0, -1]], cv2.GC_FGD, cv2.GC_BGD)
    if background is not None and background.any():
        labels[(shrunk(background * 255) > 0) & ~marked] = cv2.GC_BGD
    picture = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(
            picture[..., ::-1].copy(),
            labels,
            None,
            np.zeros((1, 65)),
            np.zeros((1, 65)),
            ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error:
        raise InputError(
            "nothing tells the object from its background here; paint it with the "
            "brush."
        ) from None
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    found = cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    return found & region if box else found | region


def click_missing():
    """Why one click cannot find an object here, or None if it can."""
    if find_spec("osam") is None:
        return (
            "one click needs the package osam; install it with pip install "
            "'osmn_recurrent[click]'"
        )
    from osam import apis

    if apis.get_model_type_by_name("efficientsam").get_size() is None:
        return "one click needs EfficientSAM's weights (osam pull efficientsam)"
    return None


def click(frame, point):
    """The object at a point, by EfficientSAM through osam.

    Args:
        frame: (H, W, 3) uint8 RGB.
        point: (x, y).

    Returns:
        (H, W) bool.

    Raises:
        InputError: see `click_missing`, or it finds nothing.
    """
    missing = click_missing()
    if missing:
        raise InputError(f"{missing}; use the box.")
    from osam import apis, types

    prompt = types.Prompt(points=np.array([point], float), point_labels=np.array([1]))
    answer = apis.generate(
        types.GenerateRequest(model="efficientsam", image=frame, prompt=prompt)
    )
    region = np.zeros(frame.shape[:2], bool)
    for found in answer.annotations[:1]:
        box = found.bounding_box
        region[box.ymin : box.ymax + 1, box.xmin : box.xmax + 1] = found.mask
    if not region.any():
        raise InputError("no object was found there; click on its middle, or box it.")
    return region


def too_small(ids, network_size):
    """Objects that are too small to be followed.

    Args:
        ids: (H, W) uint8.
        network_size: (height, width) at which the network sees the frame.

    Returns:
        `{object id: pixels that the network sees}`, rounded.
    """
    share = network_size[0] * network_size[1] / ids.size
    areas = {i: float((ids == i).sum() * share) for i in masks.object_ids(ids)}
    return {i: round(area) for i, area in areas.items() if area < SMALLEST_AREA}
