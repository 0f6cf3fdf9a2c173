"""Spatial guides that do not say which object is asked for, or where it is."""

import dataclasses

import cv2
import numpy as np

from osmn_recurrent.errors import InputError
from osmn_recurrent.training.distractors import ASKED, OTHER
from osmn_recurrent.training.placing import box_centre

KINDS = ("missing", "wide", "other", "own")
"""What the spatial guide of a sample may be."""


@dataclasses.dataclass(frozen=True)
class GuideShares:
    """How often spatial guides are something else than the object's own.

    Of each sample one kind is drawn, which holds for all of its frames: a
    network that is told where the object is does not need to know what it
    looks like. Shares that are 0 leave the papers' guides.

    Attributes:
        missing: share of samples whose spatial guide is all zeros. In
            training with guides of the network's own making
            (`TrainSettings.scheduled_sampling`) it stays so along the clip.
        missing_first: steps at the start of a training in which it is always
            missing, so that the visual guide is learned first.
        wide: share with one guide over two objects, or, where the picture
            shows one, with the guide of its mask made larger.
        wide_scale: `(smallest, largest)` factor of these, drawn evenly.
        other: share with the guide of another object alone; the object's own
            where there is no other.
        picture_shift: for samples of single pictures, whose guide is made of
            the frame's own mask: that mask moves by U(-s, s) of the object's
            size (root of its area) to each side first. Clips have the mask of
            another frame.
    """

    missing: float = 0.0
    missing_first: int = 0
    wide: float = 0.0
    wide_scale: tuple = (1.3, 3.0)
    other: float = 0.0
    picture_shift: float = 0.0

    def __post_init__(self):
        """Refuses shares that are none together."""
        total = self.missing + self.wide + self.other
        if min(self.missing, self.wide, self.other) < 0 or total > 1 + 1e-9:
            raise InputError(
                f"the shares of samples whose spatial guide is missing "
                f"({self.missing:g}), wide ({self.wide:g}) or over another object "
                f"({self.other:g}) must lie between 0 and 1 and add up to at most 1."
            )

    @property
    def active(self):
        """Whether any guide is something else than the object's own."""
        return self.missing + self.wide + self.other + self.missing_first > 0

    def kind(self, rng, step):
        """One of `KINDS` for a sample of training step `step` (from 0)."""
        draw = rng.uniform()
        if step < self.missing_first:
            return "missing"
        limits = np.cumsum([self.missing, self.wide, self.other])
        return KINDS[int(np.searchsorted(limits, draw, side="right"))]

    def masks(self, rng, kind, ids):
        """The masks that the spatial guides are made of.

        Args:
            rng: `numpy.random.Generator`.
            kind: one of `KINDS`.
            ids: T + 1 arrays (h, w) uint8 of 0, `ASKED` and `OTHER`; the same
                array twice for a single picture.

        Returns:
            List of T arrays (h, w) uint8 of 0 and 1, all 0 if "missing".
        """
        before = ids[:-1]
        if self.picture_shift and len(ids) == 2 and ids[0] is ids[1]:
            before = [self._shifted(rng, ids[0])]
        if kind == "missing":
            return [np.zeros_like(each) for each in before]
        others = (before[0] == OTHER).any()
        if kind == "other" and others:
            return [(each == OTHER).view(np.uint8) for each in before]
        if kind == "wide" and others:
            return [(each > 0).view(np.uint8) for each in before]
        found = [(each == ASKED).view(np.uint8) for each in before]
        if kind == "wide":
            factor = rng.uniform(*self.wide_scale)
            found = [enlarged(each, factor) for each in found]
        return found

    def _shifted(self, rng, ids):
        side = np.sqrt(np.count_nonzero(ids == ASKED))
        right, down = rng.uniform(-self.picture_shift, self.picture_shift, 2) * side
        matrix = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
        return cv2.warpAffine(ids, matrix, ids.shape[::-1], flags=cv2.INTER_NEAREST)


def enlarged(mask, factor):
    """A mask scaled about the centre of its box; (H, W) uint8 of 0 and 1."""
    centre = tuple(float(value) for value in box_centre(mask))
    matrix = cv2.getRotationMatrix2D(centre, 0.0, factor)
    return cv2.warpAffine(mask, matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST)
