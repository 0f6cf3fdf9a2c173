"""Statistics of J and F over a clip, and their averages over objects.

Names and figures are those of the official DAVIS evaluation: M, O and D of
DAVIS 2016 (Perazzi et al.), section 5.2.
"""

import dataclasses

import numpy as np

GLOBAL_NAMES = (
    "J&F-Mean",
    "J-Mean",
    "J-Recall",
    "J-Decay",
    "F-Mean",
    "F-Recall",
    "F-Decay",
)
_BINS = 4


@dataclasses.dataclass(frozen=True)
class ObjectScores:
    """The scores of one object, frame by frame.

    Attributes:
        j: (T,) float64, region similarity of each scored frame.
        f: (T,) float64, contour accuracy.
        frames: names of the T frames, or () if they have none.
    """

    j: np.ndarray
    f: np.ndarray
    frames: tuple = ()

    def __len__(self):
        return len(self.j)

    def summary(self):
        """The official figures of this object; all NaN if T is 0.

        Returns:
            dict of float: J-Mean, J-Recall, J-Decay, F-Mean, F-Recall and
            F-Decay.
        """
        values = (*mean_recall_decay(self.j), *mean_recall_decay(self.f))
        return dict(zip(GLOBAL_NAMES[1:], values, strict=True))


def mean_recall_decay(values):
    """Mean, recall and decay of one measure over a clip.

    Recall is the share of frames above 0.5, decay the mean of the first
    quarter less that of the last. The official bins share their ends: a
    frame at the border of two quarters belongs to both; with less than four
    frames a quarter is one frame, and with one frame the decay is 0. The
    official code keeps the bins' ends in 8 bits, so that beyond 256 scored
    frames its decay is that of other frames; this one is not.

    Args:
        values: (T,) float.

    Returns:
        `(mean, recall, decay)`, floats; NaN if T is 0.
    """
    values = np.asarray(values, np.float64)
    ends = np.round(np.linspace(1, len(values), _BINS + 1) + 1e-10).astype(int) - 1
    first, last = values[: ends[1] + 1], values[ends[-2] :]
    return _mean(values), _mean(values > 0.5), _mean(first) - _mean(last)


def over_time(curves, points=101):
    """The mean of a measure over the fraction of the video (OSMN Fig. 4).

    Each curve is stretched to the same length, linear between its frames,
    then all are averaged; every object counts the same.

    Args:
        curves: iterable of (T,) floats, one per object; T may differ. Those
            without a frame are left out.
        points: length of the result.

    Returns:
        (points,) float64, from the first scored frame to the last.
    """
    at = np.linspace(0, 1, points)
    stretched = [
        np.interp(at, np.linspace(0, 1, len(curve)), curve)
        for curve in curves
        if len(curve)
    ]
    return np.mean(stretched, axis=0)


def _mean(values):
    return float(np.mean(values)) if len(values) else float("nan")


def summarise(scores):
    """The official figures of a set of objects.

    Every object counts the same, however long its clip and however many
    other objects are in it.

    Args:
        scores: iterable of `ObjectScores`, or a mapping with such values (as
            `evaluate_masks` returns). Those without a frame are left out.

    Returns:
        dict of float: J&F-Mean, J-Mean, J-Recall, J-Decay, F-Mean, F-Recall
        and F-Decay, in this order; all NaN if there is no object.
    """
    if hasattr(scores, "values"):
        scores = scores.values()
    rows = [each.summary() for each in scores if len(each)]
    figures = {name: _mean([row[name] for row in rows]) for name in GLOBAL_NAMES[1:]}
    return {"J&F-Mean": (figures["J-Mean"] + figures["F-Mean"]) / 2, **figures}
