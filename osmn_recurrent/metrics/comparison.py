"""How sure a difference between two methods is: paired, per sequence.

Frames of a sequence and objects in it are not independent, sequences are. So
the bootstrap (Efron and Tibshirani, 1993, chapter 13: percentile interval)
draws whole sequences, with replacement, the same ones for both methods.
"""

import dataclasses

import numpy as np

from osmn_recurrent.errors import InputError

COVERAGE = 0.95
"""Share of repetitions that an interval should cover the true difference."""

RESAMPLES = 10_000
"""Bootstrap samples; the ends then move by less than a tenth of their gap."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """A method's figure less the baseline's.

    Attributes:
        mean: difference of the means over all objects.
        low: lower end of the bootstrap interval; None with one
            sequence, which says nothing about others.
        high: upper end.
        better: number of sequences whose mean is above the baseline's.
        worse: number of sequences whose mean is below.
        sequences: `{sequence: difference of its mean over its objects}`.
    """

    mean: float
    low: float | None
    high: float | None
    better: int
    worse: int
    sequences: dict


def paired_difference(ours, baseline, resamples=RESAMPLES, seed=0, coverage=COVERAGE):
    """Compares two methods on the same sequences and objects.

    Objects count the same, as in the official mean: a resample's difference
    is the sum over the objects of the drawn sequences, divided by their
    number.

    Args:
        ours: `{sequence: {object id: value}}`.
        baseline: the same for the method to compare with.
        resamples: number of bootstrap samples.
        seed: of the bootstrap.
        coverage: of the interval.

    Returns:
        `Difference`.

    Raises:
        InputError: other sequences or objects in one than in the other, or
            none at all.
    """
    names = {(name, i) for name, objects in ours.items() for i in objects}
    theirs = {(name, i) for name, objects in baseline.items() for i in objects}
    if names != theirs or not names:
        example = sorted(names ^ theirs, key=str)[:1]
        raise InputError(
            f"the two methods have {len(names)} and {len(theirs)} objects, of which "
            f"{len(names & theirs)} agree{f' (not {example[0]})' if example else ''}; "
            "compare scores of the same set."
        )
    gaps = {
        name: [value - baseline[name][i] for i, value in objects.items()]
        for name, objects in ours.items()
        if objects
    }
    sums = np.array([sum(values) for values in gaps.values()])
    counts = np.array([len(values) for values in gaps.values()])
    low = high = None
    if len(sums) > 1:
        low, high = _interval(sums, counts, resamples, seed, coverage)
    return Difference(
        mean=float(sums.sum() / counts.sum()),
        low=low,
        high=high,
        better=int((sums > 0).sum()),
        worse=int((sums < 0).sum()),
        sequences={
            name: float(total / count)
            for name, total, count in zip(gaps, sums, counts, strict=True)
        },
    )


def crossed_difference(ours, baseline, resamples=RESAMPLES, seed=0, coverage=COVERAGE):
    """Compares two methods that were trained several times, on the same sequences.

    Sequences and trainings are drawn anew, each for themselves, so that the interval
    is of other sequences and other trainings (Owen 2007, The pigeonhole bootstrap,
    Annals of Applied Statistics 1).

    Args:
        ours: `{sequence: {training: value}}`, the same trainings in every sequence.
        baseline: the same for the method to compare with.
        resamples: as of `paired_difference`, as are `seed` and `coverage`.
        seed: see there.
        coverage: see there.

    Returns:
        `Difference`.

    Raises:
        InputError: as `paired_difference`; also if trainings are missing somewhere.
    """
    found = paired_difference(ours, baseline, resamples, seed, coverage)
    runs = sorted({run for values in ours.values() for run in values})
    if any(len(values) != len(runs) for values in ours.values()):
        raise InputError(
            f"some of the trainings {', '.join(map(str, runs))} have no value for some "
            "sequence; give all of both."
        )
    gaps = np.array(
        [
            [values[run] - baseline[name][run] for run in runs]
            for name, values in ours.items()
        ]
    )
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(0, n, (resamples, n)) for n in gaps.shape)
    means = gaps[rows[:, :, None], columns[:, None, :]].mean((1, 2))
    tail = (1 - coverage) / 2
    low, high = np.quantile(means, [tail, 1 - tail]).tolist()
    return dataclasses.replace(found, low=low, high=high)


def _interval(sums, counts, resamples, seed, coverage):
    """Percentile interval of sums' sum over counts' sum, `(low, high)`."""
    drawn = np.random.default_rng(seed).integers(0, len(sums), (resamples, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    tail = (1 - coverage) / 2
    return tuple(np.quantile(means, [tail, 1 - tail]).tolist())


def object_values(report, figure):
    """One figure of every object that counts, from a score report.

    Args:
        report: as of `score_report.score_report`.
        figure: "J-Mean", "F-Mean", ... or "J&F-Mean", the mean of the two.

    Returns:
        `{sequence: {"<object>": value}}`.
    """
    parts = ("J-Mean", "F-Mean") if figure == "J&F-Mean" else (figure,)
    return {
        name: {
            i: float(np.mean([each[part] for part in parts]))
            for i, each in objects.items()
            if each["J"]
        }
        for name, objects in report["sequences"].items()
    }
