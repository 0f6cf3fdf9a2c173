"""Refinement of masks: against the CRF package itself and direct sums."""

import sys

import numpy as np
import pytest

from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.refinement import (
    DenseCRF,
    GuidedFilter,
    RefiningSegmenter,
)
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.metrics.region import region_similarity


def noisy(ids, seed=0):
    """Masks whose objects have wrong pixels."""
    rng = np.random.default_rng(seed)
    values = np.array(sorted({0, *np.unique(ids)}), np.uint8)
    wrong = rng.uniform(size=ids.shape) < 0.1
    return np.where(wrong, rng.choice(values, ids.shape), ids).astype(np.uint8)


@pytest.mark.needs("pydensecrf")
def test_crf_is_the_package_called_by_hand(scene):
    from pydensecrf import densecrf
    from pydensecrf.utils import unary_from_labels

    frame, given = scene[0][0], noisy(scene[1][0])
    for ids in (given, np.where(given == 5, 5, 0).astype(np.uint8)):
        values, labels = np.unique(ids, return_inverse=True)
        crf = densecrf.DenseCRF2D(96, 64, len(values))
        crf.setUnaryEnergy(
            unary_from_labels(labels, len(values), gt_prob=0.9, zero_unsure=False)
        )
        crf.addPairwiseGaussian(sxy=(3, 3), compat=3)
        crf.addPairwiseBilateral(
            sxy=(40, 40), srgb=(5, 5, 5), rgbim=frame.copy(), compat=10
        )
        by_hand = np.argmax(crf.inference(5), axis=0).reshape(64, 96)
        expected = values[by_hand]
        found = DenseCRF()(frame, ids)
        assert found.dtype == np.uint8
        assert np.array_equal(found, expected)
        assert not np.array_equal(found, ids)


def test_crf_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(InputError, match=r"osmn_recurrent\[crf\]"):
        DenseCRF()


def test_guided_filter_is_the_direct_sum(scene):
    """Every window's linear model fitted on its own, as in the paper."""
    frame, mask = scene[0][0][:20, :24], noisy(scene[1][0] == 1)[:20, :24]
    radius, epsilon = 2, 0.01
    guide = np.pad(frame / 255.0, ((2, 2), (2, 2), (0, 0)), "symmetric")
    given = np.pad(mask * 1.0, 2, "symmetric")
    slopes, offsets = np.zeros((20, 24, 3)), np.zeros((20, 24))
    for y in range(20):
        for x in range(24):
            colours = guide[y : y + 5, x : x + 5].reshape(-1, 3)
            values = given[y : y + 5, x : x + 5].ravel()
            # Ridge regression with an unpenalised intercept.
            centred = colours - colours.mean(0)
            slope = np.linalg.solve(
                centred.T @ centred / 25 + epsilon * np.eye(3),
                centred.T @ (values - values.mean()) / 25,
            )
            slopes[y, x] = slope
            offsets[y, x] = values.mean() - slope @ colours.mean(0)
    slopes = np.pad(slopes, ((2, 2), (2, 2), (0, 0)), "symmetric")
    offsets = np.pad(offsets, 2, "symmetric")
    smooth = np.zeros((20, 24))
    for y in range(20):
        for x in range(24):
            slope = slopes[y : y + 5, x : x + 5].mean((0, 1))
            offset = offsets[y : y + 5, x : x + 5].mean()
            smooth[y, x] = slope @ (frame[y, x] / 255.0) + offset
    found = GuidedFilter(radius, epsilon)(frame, mask)
    clear = np.abs(smooth - 0.5) > 1e-9
    assert np.array_equal(found[clear], (smooth > 0.5)[clear])
    assert 0 < np.count_nonzero(found != mask)


NAMES = [pytest.param("crf", marks=pytest.mark.needs("pydensecrf")), "guided"]


@pytest.mark.parametrize("name", NAMES)
def test_refinement_finds_a_plain_objects_edge(name):
    """A mask that is two pixels off moves onto the object."""
    refine = {"crf": DenseCRF, "guided": GuidedFilter}[name]()
    frame = np.full((60, 80, 3), 30, np.uint8)
    frame[20:40, 20:50] = (200, 120, 60)
    true, given = np.zeros((2, 60, 80), np.uint8)
    true[20:40, 20:50] = 7
    given[22:42, 22:52] = 7
    overlap = region_similarity(true, refine(frame, given))
    assert region_similarity(true, given) < 0.75
    # The guided filter rounds corners.
    assert overlap == 1.0 if name == "crf" else overlap > 0.95


@pytest.mark.parametrize("name", NAMES)
def test_empty_and_void(scene, name):
    frame, empty = scene[0][0], np.zeros((64, 96), np.uint8)
    void = empty + np.uint8(255)
    void[:16, :16] = 3  # beside an object; 255 alone would be one, as in a file
    refine = {"crf": DenseCRF, "guided": GuidedFilter}[name]()
    assert not refine(frame, empty).any()
    assert set(np.unique(refine(frame, void))) <= {0, 3}
    with pytest.raises(InputError, match="masks are resized by nearest"):
        refine(frame, empty[:50])


def test_propagating_refined_masks(network, scene):
    """The next guide comes from the refined mask, as when it is handed in."""
    frames, ids = scene[0][:3], (scene[1][0] == 5).astype(np.uint8)
    refine, plain = GuidedFilter(4, 0.01), VideoSegmenter(network("osmn"))
    found = list(RefiningSegmenter(network("osmn"), refine).segment(frames, ids))
    assert np.array_equal(found[0], ids)
    last = ids
    for t in (1, 2):
        plain.start(frames[0], ids)
        if t > 1:
            plain.replay(frames[t - 1], last)
        last = refine(frames[t], plain.step(frames[t]))
        assert np.array_equal(found[t], last)
    settings = RefiningSegmenter(network("osmn"), refine).settings()
    assert settings["refinement"] == {
        "name": "GuidedFilter",
        "radius": 4,
        "epsilon": 0.01,
    }
