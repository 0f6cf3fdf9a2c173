"""Measures against brute force, and in cases that are easily wrong."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from osmn_recurrent.measures import davis
from osmn_recurrent.measures.boundary import contour_accuracy
from osmn_recurrent.measures.region import region_similarity
from osmn_recurrent.measures.statistics import mean_recall_decay


def boundary_pixels(mask):
    """Boundary pixels by the definition, one pixel at a time."""
    height, width = mask.shape
    found = set()
    for y in range(height):
        for x in range(width):
            neighbours = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            if y == height - 1:
                neighbours = [(y, x + 1)]
            elif x == width - 1:
                neighbours = [(y + 1, x)]
            if any(
                v < height and u < width and mask[v, u] != mask[y, x]
                for v, u in neighbours
            ):
                found.add((y, x))
    return found


def slow_contour_accuracy(true, predicted, radius):
    """F from sets of pixels."""

    def matched(these, those):
        return sum(
            any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in those)
            for y, x in these
        )

    true, predicted = boundary_pixels(true), boundary_pixels(predicted)
    precision = matched(predicted, true) / len(predicted) if predicted else 1.0
    recall = matched(true, predicted) / len(true) if true else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


SHAPE = (9, 11)
MASKS = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 0, 1]))
BLOCKS = st.builds(
    lambda top, left, height, width: _block(top, left, height, width),
    st.integers(0, 8),
    st.integers(0, 10),
    st.integers(0, 9),
    st.integers(0, 11),
)


def _block(top, left, height, width):
    mask = np.zeros(SHAPE, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


@settings(max_examples=150, deadline=None)
@given(st.one_of(MASKS, BLOCKS), st.one_of(MASKS, BLOCKS), st.integers(1, 3))
def test_measures_equal_their_slow_twins(true, predicted, radius):
    union = np.logical_or(true, predicted).sum()
    both = np.logical_and(true, predicted).sum()
    expected = both / union if union else 1.0
    assert region_similarity(true, predicted) == expected
    slow = slow_contour_accuracy(true, predicted, radius)
    assert contour_accuracy(true, predicted, bound=radius) == pytest.approx(
        slow, abs=1e-12
    )


def test_tolerance_is_a_share_of_the_diagonal():
    true, predicted = np.zeros((300, 400), bool), np.zeros((300, 400), bool)
    true[100:200, 100:200] = True
    predicted[104:204, 100:200] = True  # four pixels lower
    assert contour_accuracy(true, predicted, 0.008) == 1.0  # ceil(0.008*500) = 4
    assert contour_accuracy(true, predicted, 0.006) < 1.0  # 3 pixels


def test_masks_of_different_size_are_refused():
    with pytest.raises(ValueError, match="same size"):
        region_similarity(np.zeros((4, 5)), np.zeros((5, 4)))


def test_statistics_of_a_long_clip_do_not_wrap():
    values = np.linspace(1.0, 0.0, 1200)
    mean, recall, decay = mean_recall_decay(values)
    assert mean == pytest.approx(0.5)
    assert recall == pytest.approx(0.5)
    assert decay == pytest.approx(0.75, abs=2e-3)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_clip_without_scored_frames_has_no_figures(frames):
    true = [np.ones((4, 4), np.uint8)] * frames
    scores = davis.evaluate_masks(true, true)
    assert math.isnan(scores[1].figures()["J-Mean"])
    assert math.isnan(davis.summarise(scores.values())["J-Mean"])


def test_a_clip_of_three_frames_has_one_scored_frame():
    true = [np.eye(4, dtype=np.uint8)] * 3
    figures = davis.evaluate_masks(true, true)[1].figures()
    assert figures["J-Mean"] == figures["F-Mean"] == figures["J-Recall"] == 1.0
    assert figures["J-Decay"] == 0.0


def test_void_is_background_and_ids_come_from_the_first_mask():
    first = np.zeros((6, 6), np.uint8)
    first[:2], first[4:] = 2, 255
    later = np.zeros((6, 6), np.uint8)
    later[:2], later[3:] = 2, 7
    scores = davis.evaluate_masks([first, later, first], [first, later, first])
    assert set(scores) == {2}
    assert scores[2].j.tolist() == [1.0]


def test_csv_files_have_the_official_names_and_columns(tmp_path):
    score = davis.ObjectScores(np.array([1.0, 0.5]), np.array([0.25, 0.25]))
    overall, single = davis.write_csv(tmp_path, "val", {"dog_1": score})
    assert overall.name == "global_results-val.csv"
    assert overall.read_text().splitlines() == [
        "J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay",
        "0.500,0.750,0.500,0.500,0.250,0.000,0.000",
    ]
    assert single.name == "per-sequence_results-val.csv"
    assert single.read_text().splitlines() == [
        "Sequence,J-Mean,F-Mean",
        "dog_1,0.750,0.250",
    ]
