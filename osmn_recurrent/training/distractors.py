"""Objects of other pictures, pasted into a sample: now and then asked for.

As long as the object is the only one that stands out, or the spatial guide
says where it is, a network can do without the visual guide, and does. Where
another object of like size lies in the frames, and either may be asked for,
only the visual guide tells which.
"""

import dataclasses

import cv2
import numpy as np

from osmn_recurrent.masks import bounding_box
from osmn_recurrent.training.placing import View, box_centre, composed
from osmn_recurrent.training.pseudo_clips import Motion, affine_about, blend

ASKED, OTHER = 1, 2
"""Ids of a sample's masks: the object asked for, and one that is not."""

_PASTED = 3
_MARGIN = 2  # pixels around a cut-out, for its soft border


@dataclasses.dataclass(frozen=True)
class Cutout:
    """An object of another picture.

    Attributes:
        picture: (H, W, 3) uint8 RGB around the object.
        mask: (H, W) uint8 of 0 and 1.
        guide_source: `(frame, mask)` that its visual guide is made of: (H', W', 3)
            uint8 RGB and (H', W') uint8.
    """

    picture: np.ndarray
    mask: np.ndarray
    guide_source: tuple

    @classmethod
    def of(cls, picture, mask, guide_source):
        """The cut-out of a whole picture, not further than the object's border."""
        left, top, right, bottom = bounding_box(mask)
        part = (
            slice(max(top - _MARGIN, 0), bottom + 1 + _MARGIN),
            slice(max(left - _MARGIN, 0), right + 1 + _MARGIN),
        )
        return cls(np.ascontiguousarray(picture[part]), mask[part], guide_source)


@dataclasses.dataclass(frozen=True)
class Distractors:
    """Which samples get a pasted object, and how it is pasted.

    Attributes:
        share: of the samples that another object is pasted into: one of
            another picture or clip of the same source.
        asked: share of these in which the pasted object is the one asked for,
            with its own visual guide, and the sample's object is background.
            One half: being pasted says nothing.
        size: `(smallest, largest)` factor between the two objects' sizes, the
            roots of their areas, drawn evenly.
        places: number of random places, of which the one that hides least of
            the object is taken. The pasted object lies in the frame, as far as it
            is not larger.
        most_hidden: no object is pasted where it would hide more than this
            share of the object in all of these places.
        flip: probability of mirroring the pasted object.
        motion: how the pasted object moves over the frames of a clip, in
            shares of the network image. Pseudo-clips have their own motion
            for both objects.
    """

    share: float = 0.6
    asked: float = 0.5
    size: tuple = (0.7, 1.4)
    places: int = 4
    most_hidden: float = 0.5
    flip: float = 0.5
    motion: Motion = dataclasses.field(
        default_factory=lambda: Motion(shift=0.1, scale=0.1, rotation=5.0, shear=0.0)
    )

    def paste(self, rng, frames, ids, cutout, motion=None):
        """Pastes an object into a sample, in place.

        Args:
            rng: `numpy.random.Generator`.
            frames: T arrays (h, w, 3) uint8, changed.
            ids: T + 1 arrays (h, w) uint8 of 0, `ASKED` and `OTHER`, the first
                one of the step before the first frame; changed.
            cutout: `Cutout`.
            motion: `Motion` of the object; default: the settings'. Where both
                masks of a single picture are the same one, it stands still.

        Returns:
            None if nothing was pasted (no object in sight, or too much of it
            would be hidden); else whether the pasted object is asked for. It
            has `ASKED` or `OTHER` now, and the sample's object the other one.
        """
        areas = [np.count_nonzero(each == ASKED) for each in ids]
        area = max(areas[1:])
        if not area or not cutout.mask.any():
            return None
        asked = bool(rng.uniform() < self.asked)
        moves = self._moves(rng, ids, motion or self.motion)
        own = self._turned(rng, cutout, area)
        best = min(
            (self._pasted(rng, own, moves, ids) for _ in range(self.places)),
            key=lambda pasted: pasted[0],
        )
        hidden, views, masks = best
        if hidden > self.most_hidden * sum(areas[1:]):
            return None
        for frame, view, mask in zip(frames, views[1:], masks[1:], strict=True):
            picture, view = view.reduced(cutout.picture)
            blend(frame, picture, view.matrix, mask)
        names = {ASKED: OTHER, _PASTED: ASKED} if asked else {_PASTED: OTHER, OTHER: 0}
        table = np.arange(256, dtype=np.uint8)
        table[OTHER] = 0
        for old, new in names.items():
            table[old] = new
        same = ids[0] is ids[1]  # a single picture: one array, changed once
        for each, mask in zip(ids[same:], masks[same:], strict=True):
            each[mask > 0] = _PASTED
            each[...] = cv2.LUT(each, table)
        return asked

    def _moves(self, rng, ids, motion):
        """Rows of `Motion.path`, one per mask."""
        if len(ids) == 2 and ids[0] is ids[1]:
            return np.zeros((2, 5))
        return motion.path(rng, len(ids))

    def _turned(self, rng, cutout, area):
        """`(mask, matrix)`: the cut-out's transform to its size, about (0, 0)."""
        factor = rng.uniform(*self.size)
        factor *= np.sqrt(area / np.count_nonzero(cutout.mask))
        sides = np.array([-factor if rng.uniform() < self.flip else factor, factor])
        offset = -sides * box_centre(cutout.mask)
        columns = [[sides[0], 0.0], [0.0, sides[1]], offset]
        return cutout.mask, np.stack(columns, 1)

    def _pasted(self, rng, own, moves, ids):
        """Pixels that a random place hides, and the views and masks there."""
        mask, matrix = own
        size = ids[0].shape
        left, top, right, bottom = bounding_box(mask)
        sides = np.array([size[1] - 1.0, size[0] - 1.0])
        half = np.diag(np.abs(matrix[:, :2])) * (right - left, bottom - top) / 2
        half = np.minimum(half, sides / 2)
        place = rng.uniform(half, sides - half)
        there = np.concatenate([matrix[:, :2], (matrix[:, 2] + place)[:, None]], 1)
        views = [
            View(composed(affine_about(each, place, size), there), size)
            for each in moves
        ]
        masks = [view.mask(mask) for view in views]
        hidden = sum(
            np.count_nonzero((each == ASKED) & (pasted > 0))
            for each, pasted in zip(ids[1:], masks[1:], strict=True)
        )
        return hidden, views, masks
