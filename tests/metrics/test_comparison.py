"""The paired bootstrap against all resamples and closed forms."""

import itertools
import math

import numpy as np
import pytest

from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics import comparison
from osmn_recurrent.metrics.comparison import crossed_difference, paired_difference


def test_the_interval_is_that_of_all_resamples():
    ours = {"a": {1: 0.9, 2: 0.4}, "b": {1: 0.5}, "c": {1: 0.2, 2: 0.2, 3: 0.8}}
    base = {"a": {1: 0.5, 2: 0.5}, "b": {1: 0.6}, "c": {1: 0.1, 2: 0.1, 3: 0.1}}
    every = []
    for drawn in itertools.product(ours, repeat=3):
        gaps = [ours[n][i] - base[n][i] for n in drawn for i in ours[n]]
        every.append(math.fsum(gaps) / len(gaps))
    found = paired_difference(ours, base, resamples=200_000)
    low, high = np.quantile(every, [0.025, 0.975], method="inverted_cdf")
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)
    assert found.mean == pytest.approx((0.3 - 0.1 + 0.9) / 6)
    assert (found.better, found.worse) == (2, 1)
    assert found.sequences == pytest.approx({"a": 0.15, "b": -0.1, "c": 0.3})


def test_sequences_and_trainings_are_drawn_each_for_themselves():
    gaps = np.array([[1.0, 3.0, -1.0], [2.0, 2.5, 7.0]])
    ours = {n: dict(enumerate(row)) for n, row in zip("ab", gaps, strict=True)}
    base = {n: dict.fromkeys(range(3), 0.0) for n in "ab"}
    every = [
        gaps[list(rows)][:, list(columns)].mean()
        for rows in itertools.product(range(2), repeat=2)
        for columns in itertools.product(range(3), repeat=3)
    ]
    found = crossed_difference(ours, base, resamples=200_000, coverage=0.9)
    low, high = np.quantile(every, [0.05, 0.95], method="inverted_cdf")
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.mean == pytest.approx(gaps.mean())
    del ours["a"][2], base["a"][2]
    with pytest.raises(InputError, match="trainings 0, 1, 2 have no value"):
        crossed_difference(ours, base)


def test_the_interval_of_many_sequences_is_the_normal_one():
    gaps = np.random.default_rng(1).normal(0.03, 0.1, 400)
    zero = {str(k): {1: 0.0} for k in range(400)}
    found = paired_difference({str(k): {1: g} for k, g in enumerate(gaps)}, zero)
    half = 1.959964 * gaps.std() / math.sqrt(400)
    assert found.mean == pytest.approx(gaps.mean())
    assert found.low == pytest.approx(gaps.mean() - half, abs=half / 10)
    assert found.high == pytest.approx(gaps.mean() + half, abs=half / 10)


def test_a_method_does_not_differ_from_itself():
    values = {"a": {1: 0.3}, "b": {1: 0.7, 2: 0.1}}
    found = paired_difference(values, values)
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert (found.better, found.worse) == (0, 0)


def test_one_sequence_has_no_interval():
    found = paired_difference({"a": {1: 0.3, 2: 0.5}}, {"a": {1: 0.1, 2: 0.1}})
    assert found.mean == pytest.approx(0.3)
    assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize("other", [{}, {"a": {2: 0.3}}, {"b": {1: 0.3}}])
def test_other_objects_are_refused(other):
    with pytest.raises(InputError, match="compare scores of the same set"):
        paired_difference({"a": {1: 0.3}}, other)


def test_values_of_a_report():
    entry = {"J-Mean": 0.5, "F-Mean": 0.7, "J": [0.5], "F": [0.7]}
    none = {"J-Mean": None, "F-Mean": None, "J": [], "F": []}
    report = {"sequences": {"a": {"1": entry, "2": none}}}
    assert comparison.object_values(report, "J&F-Mean") == {
        "a": {"1": pytest.approx(0.6)}
    }
    assert comparison.object_values(report, "F-Mean") == {"a": {"1": 0.7}}
