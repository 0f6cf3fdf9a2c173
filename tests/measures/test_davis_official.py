"""Our figures against those that the official evaluator printed."""

import json

import numpy as np
import pytest

from osmn_recurrent import masks
from osmn_recurrent.measures import davis

METHODS = ("osmn", "osvos", "osvos-s", "onavos", "plm", "sfl", "stm")
TOLERANCE = 1e-9


def read_folder(folder, binary):
    """All masks of a folder, (H, W) uint8, in the order of their names."""
    found = [masks.read_mask(path) for path in sorted(folder.glob("*.png"))]
    return [(ids > 0).astype(np.uint8) for ids in found] if binary else found


def assert_figures(ours, official):
    """Every official figure is met."""
    assert set(official) <= set(ours)
    for name, value in official.items():
        assert ours[name] == pytest.approx(value, abs=TOLERANCE), name


def test_several_objects_with_void_and_one_that_leaves(test_data):
    data = test_data / "data" / "evaluator_multi_object"
    official = json.loads((data / "official_scores.json").read_text())
    scores = {}
    for sequence in (data / "ImageSets/2017/val.txt").read_text().split():
        true = read_folder(data / "Annotations/480p" / sequence, binary=False)
        ours = read_folder(data / "predicted" / sequence, binary=False)
        for i, score in davis.evaluate_masks(true, ours).items():
            scores[f"{sequence}_{i}"] = score
    assert set(scores) == set(official["objects"])
    for name, score in scores.items():
        assert_figures(score.figures(), official["objects"][name])
    assert_figures(davis.summarise(scores.values()), official["global"])


def check_published(test_data, method, sequences=None):
    """Scores a method's published masks; all figures if `sequences` is None."""
    published = test_data / "data" / "published_masks_davis2016"
    official = json.loads((published / "official_scores.json").read_text())[method]
    scores = []
    for sequence in sequences or official["sequences"]:
        truth = test_data / "data/davis2016/Annotations/480p" / sequence
        true = read_folder(truth, binary=True)
        ours = read_folder(published / method / sequence, binary=True)
        scores.append(davis.evaluate_masks(true, ours)[1])
        assert_figures(scores[-1].figures(), official["sequences"][sequence])
    if sequences is None:
        assert_figures(davis.summarise(scores), official["global"])


@pytest.mark.parametrize("method", METHODS)
def test_one_sequence_of_each_published_method(test_data, method):
    check_published(test_data, method, ["bmx-trees"])


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_all_sequences_of_each_published_method(test_data, method):
    check_published(test_data, method)
