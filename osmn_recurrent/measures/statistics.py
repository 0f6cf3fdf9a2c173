"""Statistics of J and F over a clip, and their averages over objects.

The figures and names of the official DAVIS evaluation: M, O and D in DAVIS
2016 (Perazzi et al.), section 5.2.
"""

import dataclasses

import numpy as np

_BINS = 4


@dataclasses.dataclass(frozen=True)
class ObjectScores:
    """The scores of one object, frame by frame.

    Attributes:
        j: (T,) float64, region similarity of each scored frame.
        f: (T,) float64, contour accuracy.
    """

    j: np.ndarray
    f: np.ndarray

    def __len__(self):
        return len(self.j)


def mean(values):
    """Mean of (T,) float; NaN if T is 0."""
    return float(np.mean(values)) if len(values) else float("nan")


def recall(values):
    """Share of (T,) float above 0.5; NaN if T is 0."""
    return mean(np.asarray(values) > 0.5)


def decay(values):
    """Mean of the first quarter less mean of the last; NaN if T is 0.

    The quarters share the frames between them, as the official bins do: both
    ends of a bin belong to it. With fewer than four frames the "quarters"
    are single frames, and with one frame the decay is 0. Official releases
    keep the bins' ends in 8 bits, so that their decay is wrong beyond 256
    scored frames; this one is not.

    Args:
        values: (T,) float.

    Returns:
        float.
    """
    ends = np.round(np.linspace(1, len(values), _BINS + 1) + 1e-10).astype(int) - 1
    return mean(values[: ends[1] + 1]) - mean(values[ends[-2] :])


def object_statistics(scores):
    """The six figures of one object.

    Args:
        scores: `ObjectScores`.

    Returns:
        dict of float: J-Mean, J-Recall, J-Decay, F-Mean, F-Recall, F-Decay;
        all NaN if no frame was scored.
    """
    return {
        f"{measure}-{name}": function(values)
        for measure, values in (("J", scores.j), ("F", scores.f))
        for name, function in (("Mean", mean), ("Recall", recall), ("Decay", decay))
    }


def summarise(objects):
    """The official figures of many objects.

    Every object counts the same, however long its clip and however many
    other objects are in it.

    Args:
        objects: iterable of `ObjectScores`, or a mapping with such values
            (as `evaluate_masks` returns). Objects without a scored frame
            are left out.

    Returns:
        dict of float: J&F-Mean, J-Mean, J-Recall, J-Decay, F-Mean, F-Recall
        and F-Decay, in this order; all NaN if there is no object.
    """
    if hasattr(objects, "values"):
        objects = objects.values()
    return average([object_statistics(scores) for scores in objects if len(scores)])


def average(statistics):
    """Averages dicts of `object_statistics`; see `summarise`."""
    names = object_statistics(ObjectScores(np.empty(0), np.empty(0)))
    figures = {name: mean([each[name] for each in statistics]) for name in names}
    return {"J&F-Mean": (figures["J-Mean"] + figures["F-Mean"]) / 2, **figures}
