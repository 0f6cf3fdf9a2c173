"""Measures against slow twins, and in cases that are easily wrong."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics import davis_scores
from osmn_recurrent.metrics.boundary import contour_accuracy
from osmn_recurrent.metrics.region import region_similarity
from osmn_recurrent.metrics.statistics import mean_recall_decay, over_time


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
                v < height and u < width and bool(mask[v, u]) != bool(mask[y, x])
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
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def slow_region_similarity(true, predicted):
    """J, one pixel at a time."""
    pairs = [(bool(a), bool(b)) for a, b in zip(true.flat, predicted.flat, strict=True)]
    union = sum(a or b for a, b in pairs)
    return sum(a and b for a, b in pairs) / union if union else 1.0


@st.composite
def mask_pairs(draw, values=(0, 0, 0, 1, 255)):
    """Two masks of one small shape: noise, boxes, single pixels, none, all."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 11)))

    def one():
        kind = draw(st.sampled_from(["noise", "box", "pixel", "empty", "full"]))
        if kind == "noise":
            return draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(values)))
        mask = np.full(shape, values[-1] if kind == "full" else 0, np.uint8)
        if kind in ("box", "pixel"):
            y, x = (draw(st.integers(0, n - 1)) for n in shape)
            h, w = (
                draw(st.tuples(*[st.integers(1, 9)] * 2)) if kind == "box" else (1, 1)
            )
            mask[y : y + h, x : x + w] = draw(st.sampled_from(values[3:]))
        return mask

    return one(), one()


@settings(max_examples=300, deadline=None)
@given(mask_pairs(), st.integers(0, 12))
def test_measures_equal_their_slow_twins(pair, radius):
    true, predicted = pair
    assert region_similarity(true, predicted) == slow_region_similarity(*pair)
    assert contour_accuracy(true, predicted, radius) == pytest.approx(
        slow_contour_accuracy(true, predicted, radius), abs=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(mask_pairs())
def test_default_tolerance_of_small_pictures_is_one_pixel(pair):
    assert contour_accuracy(*pair) == pytest.approx(
        slow_contour_accuracy(*pair, 1), abs=1e-12
    )


def test_objects_far_apart_in_a_large_picture():
    true, predicted = np.zeros((2, 300, 400), bool)
    true[2:5, 3:9] = predicted[280:299, 391:] = predicted[100, 200] = True
    predicted[4:7, 5:9] = True
    assert contour_accuracy(true, predicted) == pytest.approx(
        slow_contour_accuracy(true, predicted, 4), abs=1e-12
    )


def test_tolerance_is_a_share_of_the_diagonal():
    true, predicted = np.zeros((300, 400), bool), np.zeros((300, 400), bool)
    true[100:200, 100:200] = True
    predicted[104:204, 100:200] = True  # four pixels lower
    assert contour_accuracy(true, predicted, 0.008) == 1.0  # ceil(0.008*500) = 4
    assert contour_accuracy(true, predicted, 0.006) < 1.0  # 3 pixels


@pytest.mark.parametrize(
    "shapes", [((4, 5), (5, 4)), ((4, 5, 3), (4, 5, 3)), ((0, 5), (0, 5))]
)
@pytest.mark.parametrize("measure", [region_similarity, contour_accuracy])
def test_masks_that_do_not_fit_are_refused(measure, shapes):
    with pytest.raises(InputError, match="same size"):
        measure(*map(np.zeros, shapes))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=600))
def test_statistics_equal_the_official_formula(values):
    bins = [round(1 + (len(values) - 1) * k / 4 + 1e-10) - 1 for k in range(5)]
    quarters = [values[bins[k] : bins[k + 1] + 1] for k in range(4)]
    first, last = (math.fsum(q) / len(q) for q in (quarters[0], quarters[3]))
    mean, recall, decay = mean_recall_decay(values)
    assert mean == pytest.approx(math.fsum(values) / len(values), abs=1e-12)
    assert recall == sum(v > 0.5 for v in values) / len(values)
    assert decay == pytest.approx(first - last, abs=1e-12)


def test_statistics_of_a_long_clip_do_not_wrap():
    mean, recall, decay = mean_recall_decay(np.linspace(1.0, 0.0, 1200))
    assert mean == pytest.approx(0.5)
    assert recall == pytest.approx(0.5)
    assert decay == pytest.approx(0.75, abs=2e-3)


@st.composite
def clips(draw):
    """True and predicted ids (T, H, W), void in both, ids 1 to 3."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(2, 6), st.integers(2, 7)))
    ids = st.sampled_from([0, 1, 2, 3, 255])
    return tuple(draw(hnp.arrays(np.uint8, shape, elements=ids)) for _ in range(2))


@settings(max_examples=100, deadline=None)
@given(clips())
def test_clips_equal_a_slow_twin(pair):
    true, predicted = pair
    present = list(range(1, max(set(true[0].flat) - {255}, default=0) + 1))
    binary = not present and 255 in true[0]
    scores = davis_scores.evaluate_masks(true, predicted)
    assert list(scores) == ([1] if binary else present)
    for i, each in scores.items():
        inner = [
            (a > 0, b > 0) if binary else (a == i, b == i)
            for a, b in list(zip(true, predicted, strict=True))[1:-1]
        ]
        assert each.j.tolist() == [slow_region_similarity(*p) for p in inner]
        slow = [slow_contour_accuracy(*p, 1) for p in inner]
        assert each.f == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_clip_without_scored_frames_has_no_figures(frames):
    true = [np.ones((4, 4), np.uint8)] * frames
    short = davis_scores.evaluate_masks(true, true)
    assert len(short[1]) == 0
    assert all(map(math.isnan, short[1].summary().values()))
    assert math.isnan(davis_scores.summarise(short)["J-Mean"])
    long = davis_scores.evaluate_masks(true * 4, true * 4)
    assert davis_scores.summarise([*short.values(), *long.values()])["J-Mean"] == 1.0


def test_a_clip_of_three_frames_has_one_scored_frame():
    true = [np.eye(4, dtype=np.uint8)] * 3
    figures = davis_scores.evaluate_masks(true, true)[1].summary()
    assert figures["J-Mean"] == figures["F-Mean"] == figures["J-Recall"] == 1.0
    assert figures["J-Decay"] == 0.0


def test_void_is_background_and_ids_come_from_the_first_mask():
    first = np.zeros((6, 6), np.uint8)
    first[:2], first[4:] = 2, 255
    later = np.zeros((6, 6), np.uint8)
    later[:2], later[3:] = 2, 7
    scores = davis_scores.evaluate_masks([first, later, first], [first, later, first])
    assert set(scores) == {1, 2}  # 1 is not shown, and not predicted
    assert scores[1].j.tolist() == scores[2].j.tolist() == [1.0]


def test_frames_are_taken_one_at_a_time():
    waiting = []

    def watched(side):
        for t in range(50):
            waiting.append((side, t))
            yield np.eye(5, dtype=np.uint8)

    davis_scores.evaluate_masks(watched("ground truth"), watched("prediction"))
    assert waiting == [
        (s, t) for t in range(50) for s in ("ground truth", "prediction")
    ]


@pytest.mark.parametrize(
    ("true", "predicted", "text"),
    [(4, 3, "prediction ends after 3"), (2, 5, "ground truth")],
)
def test_clips_of_different_length_are_refused(true, predicted, text):
    frame = np.ones((4, 4), np.uint8)
    with pytest.raises(InputError, match=text):
        davis_scores.evaluate_masks([frame] * true, [frame] * predicted)


def test_every_object_counts_the_same():
    scores = {
        "a_1": davis_scores.ObjectScores(np.ones(100), np.ones(100)),
        "b_1": davis_scores.ObjectScores(np.zeros(2), np.full(2, 0.6)),
    }
    figures = davis_scores.summarise(scores)
    assert list(figures) == [
        "J&F-Mean",
        "J-Mean",
        "J-Recall",
        "J-Decay",
        "F-Mean",
        "F-Recall",
        "F-Decay",
    ]
    assert list(figures.values()) == pytest.approx([0.65, 0.5, 0.5, 0, 0.8, 1, 0])


def test_csv_files_have_the_official_names_and_columns(tmp_path):
    score = davis_scores.ObjectScores(np.array([1.0, 0.5]), np.array([0.25, 0.25]))
    overall, single = davis_scores.write_csv(tmp_path, "val", {"dog_1": score})
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


def test_scores_over_the_fraction_of_the_video():
    falling, short = np.linspace(1, 0, 41), np.array([0.25, 0.75])
    found = over_time([falling, short, []], points=11)
    at = np.linspace(0, 1, 11)
    assert found == pytest.approx(((1 - at) + (0.25 + 0.5 * at)) / 2)
    assert over_time([[0.5]], points=3).tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("measure", [region_similarity, contour_accuracy])
def test_nan_is_refused(measure):
    mask = np.zeros((20, 30))
    wrong = np.where(np.arange(30) == 7, np.nan, mask)
    for pair in ((wrong, mask), (mask, wrong), (wrong, wrong)):
        with pytest.raises(InputError, match="holds NaN"):
            measure(*pair)
