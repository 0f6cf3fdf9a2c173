"""Our figures against those that the official evaluator printed."""

import json

import pytest

from osmn_recurrent.datasets import registry
from osmn_recurrent.media.mask_files import read_mask
from osmn_recurrent.metrics import davis_scores
from osmn_recurrent.metrics.result_folder import evaluate_folder

METHODS = ("osvos", "osvos-s", "onavos", "plm", "sfl", "stm")
SITE = {"osvos-s": "osvoss", "sfl": "sfls", "stm": None}
"""Names of methods on the DAVIS site where they differ."""
TOLERANCE = 1e-9


def assert_figures(ours, official):
    """Every official figure is met."""
    assert set(official) <= set(ours)
    for name, value in official.items():
        assert ours[name] == pytest.approx(value, rel=0, abs=TOLERANCE), name


def official_scores(folder):
    """The official verdict beside some masks."""
    return json.loads((folder / "official_scores.json").read_text())


def test_several_objects_in_memory(test_data):
    data = test_data / "data" / "evaluator_multi_object"
    official, scores = official_scores(data), {}
    for sequence in (data / "ImageSets/2017/val.txt").read_text().split():
        true = sorted((data / "Annotations/480p" / sequence).glob("*.png"))
        ours = sorted((data / "predicted" / sequence).glob("*.png"))
        found = davis_scores.evaluate_masks(map(read_mask, true), map(read_mask, ours))
        scores |= {f"{sequence}_{i}": each for i, each in found.items()}
    assert set(scores) == set(official["objects"])
    for name, each in scores.items():
        assert_figures(each.summary(), official["objects"][name])
    assert_figures(davis_scores.summarise(scores), official["global"])


def test_several_objects_from_a_result_folder(test_data):
    data = test_data / "data" / "evaluator_multi_object"
    official = official_scores(data)
    sequences = registry.sequences("davis2017", data, "val")
    scores = {
        f"{name}_{i}": each
        for name, objects in evaluate_folder(data / "predicted", sequences, 1).items()
        for i, each in objects.items()
    }
    assert set(scores) == set(official["objects"])
    for name, each in scores.items():
        assert_figures(each.summary(), official["objects"][name])
    assert_figures(davis_scores.summarise(scores), official["global"])


def check_published(test_data, method):
    """Scores a method's published masks and compares every figure.

    The official evaluator's are met exactly, and the site's J and F of every
    frame to the three decimals that it prints.
    """
    published = test_data / "data" / "published_masks_davis2016"
    official = official_scores(published)[method]
    sequences = registry.sequences(
        "davis2016", test_data / "data/davis2016", "val_study"
    )
    found = evaluate_folder(published / method, sequences, 2)
    assert set(found) == set(official["sequences"])
    scores = {name: objects[1] for name, objects in found.items()}
    for name, each in scores.items():
        assert_figures(each.summary(), official["sequences"][name])
    assert_figures(davis_scores.summarise(scores), official["global"])
    if SITE.get(method, method):
        site = test_data / "data/official_per_frame_davis2016"
        frames = json.loads((site / f"{SITE.get(method, method)}.json").read_text())
        for name, each in scores.items():
            for ours, theirs in ((each.j, "J"), (each.f, "F")):
                printed = [float(value) for value in frames[name][theirs]]
                assert ours == pytest.approx(printed, rel=0, abs=5.01e-4)


def test_masks_that_osmn_published(test_data):
    check_published(test_data, "osmn")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_masks_that_others_published(test_data, method):
    check_published(test_data, method)
