"""DAVIS scores of masks: J and F per frame and object, and the summary."""

import dataclasses
import math
import pathlib

import numpy as np

from osmn_recurrent import files, masks
from osmn_recurrent.measures.boundary import contour_accuracy
from osmn_recurrent.measures.region import region_similarity
from osmn_recurrent.measures.statistics import mean_recall_decay

COLUMNS = (
    "J&F-Mean",
    "J-Mean",
    "J-Recall",
    "J-Decay",
    "F-Mean",
    "F-Recall",
    "F-Decay",
)
"""Names of the figures, in the order of the official tables."""


@dataclasses.dataclass(frozen=True)
class ObjectScores:
    """Scores of one object, a value per scored frame.

    Attributes:
        j: (T,) float64 region similarity.
        f: (T,) float64 contour accuracy.
    """

    j: np.ndarray
    f: np.ndarray

    def figures(self):
        """Dict of the official figures (`COLUMNS`) of this object."""
        j, f = mean_recall_decay(self.j), mean_recall_decay(self.f)
        names = ("Mean", "Recall", "Decay")
        figures = {"J&F-Mean": (j[0] + f[0]) / 2}
        figures |= {f"J-{name}": value for name, value in zip(names, j, strict=True)}
        figures |= {f"F-{name}": value for name, value in zip(names, f, strict=True)}
        return figures


def score_frame(true, predicted, objects):
    """J and F of each object in one frame.

    Args:
        true: (H, W) uint8 ids; 255 (void) counts as background.
        predicted: (H, W) uint8 ids.
        objects: ids to score, N of them.

    Returns:
        (N, 2) float64: J and F.
    """
    return np.array(
        [
            (
                region_similarity(true == i, predicted == i),
                contour_accuracy(true == i, predicted == i),
            )
            for i in objects
        ]
    ).reshape(-1, 2)


def evaluate_masks(true, predicted, objects=None):
    """Scores a clip as the semi-supervised DAVIS benchmarks do.

    The first frame (given) and the last one are left out.

    Args:
        true: sequence of (H, W) uint8 ids, one per frame (a list, or an
            object with `len` and indexing).
        predicted: as `true`.
        objects: ids to score; default: those of the first true mask.

    Returns:
        `{id: ObjectScores}`; a clip of two frames or less has no scored
        frame and its figures are NaN.

    Raises:
        ValueError: the numbers of frames differ.
    """
    if len(true) != len(predicted):
        raise ValueError(
            "true and predicted must have as many frames. Received: "
            f"{len(true)} and {len(predicted)}"
        )
    objects = masks.object_ids(true[0]) if objects is None else tuple(objects)
    scores = [
        score_frame(true[t], predicted[t], objects) for t in range(1, len(true) - 1)
    ]
    scores = np.array(scores).reshape(-1, len(objects), 2)
    return {
        i: ObjectScores(scores[:, k, 0], scores[:, k, 1])
        for k, i in enumerate(objects)
    }


def summarise(scores):
    """The benchmark's figures over all objects of all sequences.

    Args:
        scores: iterable of `ObjectScores`, one per object.

    Returns:
        Dict of `COLUMNS`: means over the objects; "J&F-Mean" is the mean of
        the two means. Objects without a scored frame are left out.
    """
    rows = [score.figures() for score in scores]
    rows = [row for row in rows if not math.isnan(row["J-Mean"])]
    if not rows:
        return dict.fromkeys(COLUMNS, float("nan"))
    mean = {name: float(np.mean([row[name] for row in rows])) for name in COLUMNS}
    mean["J&F-Mean"] = (mean["J-Mean"] + mean["F-Mean"]) / 2
    return mean


def write_csv(folder, set_name, scores):
    """Writes the two CSV files that the community reads.

    `global_results-<set>.csv` (`COLUMNS`) and
    `per-sequence_results-<set>.csv` (Sequence, J-Mean, F-Mean), figures with
    three decimals.

    Args:
        folder: where they go; files that exist are replaced.
        set_name: such as "val".
        scores: `{"<sequence>_<object>": ObjectScores}`.

    Returns:
        The two paths.
    """
    folder = pathlib.Path(folder)
    total = summarise(scores.values())
    rows = [",".join(COLUMNS), ",".join(f"{total[name]:.3f}" for name in COLUMNS)]
    overall = folder / f"global_results-{set_name}.csv"
    files.write_text(overall, "\n".join(rows) + "\n")
    rows = ["Sequence,J-Mean,F-Mean"]
    for name, score in scores.items():
        figures = score.figures()
        rows.append(f"{name},{figures['J-Mean']:.3f},{figures['F-Mean']:.3f}")
    single = folder / f"per-sequence_results-{set_name}.csv"
    files.write_text(single, "\n".join(rows) + "\n")
    return overall, single
