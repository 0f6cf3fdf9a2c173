"""Both merges against pixel-by-pixel twins of their definitions."""

import math

import numpy as np
import pytest

from osmn_recurrent.inference import merging


def probabilities(seed=0):
    """Random maps with ties, exact halves, zeros and ones."""
    rng = np.random.default_rng(seed)
    maps = rng.random((3, 9, 11)).astype(np.float32)
    maps[:, 0] = 0.5
    maps[:, 1] = 0.75
    maps[0, 2], maps[1, 2], maps[2, 2] = 0.25, 0.75, 0.75
    maps[:, 3], maps[1, 4], maps[2, 5] = 0.0, 1.0, 1.0
    maps[:, 6] = 1.0
    return maps


def brute_argmax(values):
    best, winner = 0.5, 0
    for k, value in enumerate(values, 1):
        if value > best:
            best, winner = value, k
    return winner


def brute_soft(values):
    background = math.prod(1.0 - float(v) for v in values)
    clamped = [min(max(float(v), 1e-7), 1 - 1e-7) for v in (background, *values)]
    logits = [math.log(v / (1 - v)) for v in clamped]
    exponentials = [math.exp(x - max(logits)) for x in logits]
    return [e / sum(exponentials) for e in exponentials]


def test_argmax_pixel_by_pixel():
    maps = probabilities()
    expected = [[brute_argmax(maps[:, y, x]) for x in range(11)] for y in range(9)]
    assert np.array_equal(merging.argmax_merge(maps), expected)
    assert set(np.unique(expected)) == {0, 1, 2, 3}


def test_soft_aggregation_pixel_by_pixel():
    maps = probabilities()
    found = merging.soft_aggregation(maps).numpy()
    expected = np.array(
        [[brute_soft(maps[:, y, x]) for x in range(11)] for y in range(9)]
    )
    # 1 - 1e-7 has one significant bit below 1 in float32: a fifth of the odds.
    rough = (maps > 1 - 1e-6).any(0)
    assert np.allclose(found.transpose(1, 2, 0)[~rough], expected[~rough], atol=1e-5)
    assert np.allclose(found.sum(0), 1, atol=1e-6)
    winner = merging.soft_merge(maps).numpy()
    assert np.array_equal(winner[~rough], expected.argmax(-1)[~rough])
    assert np.all(winner[rough] > 0)


@pytest.mark.parametrize("merge", sorted(merging.MERGES))
def test_one_object_is_cut_at_one_half(merge):
    maps = probabilities(1)[:1]
    assert np.array_equal(merging.MERGES[merge](maps), maps[0] > 0.5)


def test_merges_differ_where_objects_are_weak_together():
    maps = np.full((3, 1, 1), 0.45, np.float32)
    maps[1] = 0.48
    assert merging.argmax_merge(maps)[0, 0] == 0
    # background 0.55 * 0.52 * 0.55 = 0.157
    assert merging.soft_merge(maps)[0, 0] == 2
