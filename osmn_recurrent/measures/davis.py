"""The DAVIS 2016 and 2017 evaluations of a clip in memory.

DAVIS 2017, semi-supervised: the objects are the ids of the first annotated
frame; the first frame (it is given) and the last are not scored; 255, void,
counts as background. DAVIS 2016 is the same with one object, every non-zero
pixel. Statistics are taken per object, then averaged over the objects.
"""

import itertools

import numpy as np

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.measures.boundary import (
    contour_accuracy,
    crop_to_objects,
    tolerance,
)
from osmn_recurrent.measures.region import region_similarity
from osmn_recurrent.measures.statistics import ObjectScores

SKIP = (1, 1)
"""Frames at the beginning and the end of a clip that DAVIS does not score."""


def evaluate_masks(truth, predicted, objects=None, skip=SKIP):
    """Scores a clip's masks; frames are read one at a time.

    Args:
        truth: iterable of (H, W) uint8 object ids, one per frame. 255 is
            background, unless it is the one value above 0 in the first
            frame: then masks are 0/255 and the object is 1.
        predicted: iterable of (H, W) ids, the same number and size. Where
            the truth is 0/255, any non-zero pixel is the object.
        objects: ids to score, by default those of the first true frame. For
            DAVIS 2016 give masks `> 0`.
        skip: frames left out at the beginning and the end: (1, 1) in DAVIS,
            (1, 0) for YouTube-Objects.

    Returns:
        `{object id: ObjectScores}`. A clip of no more frames than `skip`
        has none to score (the official evaluation breaks off): its arrays
        are empty, their statistics NaN, and `summarise` leaves it out.

    Raises:
        InputError: different numbers of frames, or masks that differ in
            size.
    """
    first, last = skip
    binary, rows, count = False, [], 0
    pairs = itertools.zip_longest(truth, predicted)
    for count, (true, found) in enumerate(pairs, 1):
        if true is None or found is None:
            side = "truth" if true is None else "prediction"
            raise InputError(
                f"the {side} ends after {count - 1} frames and the other goes "
                "on; give one mask per frame of both."
            )
        if count == 1:
            objects, binary = _objects(true, objects)
        if count > first:
            rows.append(score_frame(true, found, objects, binary))
    scores = np.reshape(rows[: max(count - first - last, 0)], (-1, len(objects or ()), 2))
    return {
        each: ObjectScores(scores[:, i, 0], scores[:, i, 1])
        for i, each in enumerate(objects or ())
    }


def _objects(ids, objects):
    present = masks.object_ids(ids)
    binary = not present and bool(np.any(ids))
    if objects is None:
        objects = (1,) if binary else present
    return tuple(objects), binary


def score_frame(true, predicted, objects, binary=False):
    """J and F of every object in one frame.

    Args:
        true: (H, W) object ids.
        predicted: (H, W) object ids.
        objects: N ids.
        binary: the one object is every non-zero pixel.

    Returns:
        List of N pairs of float, (J, F).

    Raises:
        InputError: the masks differ in size.
    """
    radius = tolerance(np.shape(true))
    pairs = []
    for each in objects:
        a, b = (m != 0 if binary else m == each for m in (true, predicted))
        if a.shape == b.shape:
            a, b = crop_to_objects(a, b)
        pairs.append((region_similarity(a, b), contour_accuracy(a, b, radius)))
    return pairs
