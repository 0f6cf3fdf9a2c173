"""The DAVIS 2016 and 2017 evaluations.

DAVIS 2017, semi-supervised: the objects are 1 to the largest id of the first
annotated frame, also those that it does not show; the first frame (it is given)
and the last are not scored; 255, void, counts as background. DAVIS 2016 is the
same with one object, every non-zero pixel. Statistics are taken per object, then
averaged over all objects.

`evaluate_masks` scores one clip in memory, `result_folder.evaluate_folder` a
folder of masks, `write_csv` writes the files that the official evaluation writes.
"""

import itertools
import pathlib

import numpy as np

from osmn_recurrent import files
from osmn_recurrent.csv_files import csv_text
from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics.frame_scores import (
    is_binary,
    score_frame,
    scored_objects,
)
from osmn_recurrent.metrics.statistics import (
    GLOBAL_NAMES,
    ObjectScores,
    summarise,
)

SKIP = (1, 1)
"""Frames at the beginning and the end of a clip that DAVIS does not score."""


def evaluate_masks(ground_truth, predicted, objects=None, skip=SKIP):
    """Scores a clip's masks; frames are taken one at a time.

    Args:
        ground_truth: iterable of (H, W) uint8 object ids, one per frame. 255 is
            background, unless it is the only value above 0 in the first
            frame: then masks are 0/255 and the object is 1.
        predicted: iterable of (H, W) ids, the same number and size. Where
            the ground truth is 0/255, any non-zero pixel is the object.
        objects: ids to score, by default 1 to the largest of the first true
            frame. For DAVIS 2016 give masks `> 0`.
        skip: frames left out at the beginning and the end: (1, 1) in DAVIS,
            (1, 0) for YouTube-Objects.

    Returns:
        `{object id: ObjectScores}`. A clip of no more frames than `skip`
        has none to score (the official evaluation ends with an error there): its
        arrays are empty, their figures NaN, and `summarise` leaves it out.

    Raises:
        InputError: different numbers of frames, or masks that differ in
            size.
    """
    first, last = skip
    rows, count, binary = [], 0, False
    pairs = itertools.zip_longest(ground_truth, predicted)
    for count, (true, found) in enumerate(pairs, 1):
        if true is None or found is None:
            shorter = "ground truth" if true is None else "prediction"
            raise InputError(
                f"the {shorter} ends after {count - 1} frames and the other goes "
                "on; give one mask per frame of both."
            )
        if count == 1:
            binary = is_binary(np.asarray(true, np.uint8))
            if objects is None:
                objects = (1,) if binary else scored_objects(true)
        if count > first:
            rows.append(score_frame(true, found, objects, binary))
    objects = tuple(objects or ())
    rows = rows[: max(count - first - last, 0)]
    scores = np.reshape(rows, (len(rows), len(objects), 2))
    return {
        each: ObjectScores(scores[:, i, 0], scores[:, i, 1])
        for i, each in enumerate(objects)
    }


def write_csv(folder, split, scores):
    """Writes the two files of the official evaluation.

    `global_results-<split>.csv` has the seven figures of `summarise`,
    `per-sequence_results-<split>.csv` J-Mean and F-Mean of every object;
    three decimals. Files that exist are replaced.

    Args:
        folder: where to write; made if missing.
        split: name of the set, part of the files' names.
        scores: `{"<sequence>_<object>": ObjectScores}`.

    Returns:
        The two paths.
    """
    folder = pathlib.Path(folder)
    figures = summarise(scores)
    overall = folder / f"global_results-{split}.csv"
    write_table(overall, GLOBAL_NAMES, [[figures[name] for name in GLOBAL_NAMES]])
    columns = ("J-Mean", "F-Mean")
    rows = [
        [name, *(each.summary()[column] for column in columns)]
        for name, each in scores.items()
    ]
    single = folder / f"per-sequence_results-{split}.csv"
    write_table(single, ("Sequence", *columns), rows)
    return overall, single


def write_table(path, header, rows):
    """Writes a CSV file; numbers in `rows` get three decimals."""
    lines = [[x if isinstance(x, str) else f"{x:.3f}" for x in row] for row in rows]
    files.write_text(path, csv_text([header, *lines]))
