"""The scores of a result folder as plain values."""

import math

from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics import youtube
from osmn_recurrent.metrics.statistics import summarise


def categories_of(sequences):
    """`{sequence: category}` where the protocol averages by category, else None.

    Args:
        sequences: list of `Sequence` of one data set.
    """
    if any(each.protocol.by_category for each in sequences):
        return {each.name: each.category for each in sequences}
    return None


def counted_scores(scores):
    """Objects of which some frame counts.

    Args:
        scores: `{sequence: {object id: ObjectScores}}`.

    Returns:
        `{"<sequence>_<object>": ObjectScores}`.

    Raises:
        InputError: there is none.
    """
    counted = {
        f"{name}_{i}": each
        for name, objects in scores.items()
        for i, each in objects.items()
        if len(each)
    }
    if not counted:
        raise InputError(
            f"{', '.join(list(scores)[:3])}: no frame to score in this set; the "
            "first (and, in DAVIS, the last) masks do not count."
        )
    return counted


def score_report(scores, categories=None):
    """All figures of a result folder and every frame's scores, for JSON.

    Args:
        scores: `{sequence: {object id: ObjectScores}}`.
        categories: `{sequence: category}`, or None.

    Returns:
        dict: "global", the seven official figures; with categories
        "category_mean" and "categories"; and "sequences",
        `{sequence: {"<object>": {figure: value or None, "frames": names,
        "J": values, "F": values}}}`.

    Raises:
        InputError: see `counted_scores`.
    """
    report = {"global": summarise(counted_scores(scores))}
    if categories:
        table, mean = youtube.by_category(scores, categories)
        report |= {"category_mean": mean, "categories": table}
    report["sequences"] = {
        name: {str(i): _object_report(each) for i, each in objects.items()}
        for name, objects in scores.items()
    }
    return report


def _object_report(scores):
    figures = {
        name: None if math.isnan(value) else value
        for name, value in scores.summary().items()
    }
    return {
        **figures,
        "frames": scores.frames,
        "J": scores.j.tolist(),
        "F": scores.f.tolist(),
    }
