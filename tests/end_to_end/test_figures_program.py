"""experiments.figures: files from weights, data and scores."""

import json

import cv2
import numpy as np
import pytest
from command_lines import arguments, formatted
from result_folders import moving_boxes, write_davis, write_grey

from experiments import figures as program
from osmn_recurrent import programs
from osmn_recurrent.datasets.coco_categories import category_objects

NETWORK = {"spatial_scales.png", "embedding.png", "gamma_spread.png"}
RECURRENT = {"convlstm_gammas.png", "convlstm_gates.png"}


@pytest.fixture
def draw(tmp_path, capsys):
    """Runs the program with flags as keywords; `(exit code, stdout, stderr)`."""

    def run(**given):
        given = {"out": tmp_path / "out", **given}
        for name in program.FLAGS:
            program.FLAGS[name].unparse()
        capsys.readouterr()
        code = programs.call(
            program.main, program.FLAGS, ["figures", *arguments(given)]
        )
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


@pytest.fixture
def data(tmp_path):
    """A DAVIS-2017 set of two clips."""
    clips = {"one": moving_boxes(4, (1, 2), shape=(48, 64))}
    clips["two"] = moving_boxes(4, (1,), seed=3, shape=(48, 64))
    write_davis(tmp_path / "data", clips)
    for name, clip in clips.items():
        for t, ids in enumerate(clip):
            path = tmp_path / "data/JPEGImages/480p" / name / f"{t:05d}.jpg"
            write_grey(path, 60 * ids + np.uint8(20 * t))
    return tmp_path / "data"


def site_file(path, sequences):
    """Per-frame scores as the DAVIS site writes them."""
    entries = {s: {"J": [f"{v:.3f}" for v in j]} for s, j in sequences.items()}
    path.write_text(json.dumps({"id": path.stem, **entries}))
    return path


def pictures(folder):
    """Names of the pictures in a folder, all readable."""
    found = list(folder.iterdir())
    assert all(cv2.imread(str(path)) is not None for path in found)
    return {path.name for path in found}


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_figures_of_a_network(draw, data, random_weights, tmp_path, name):
    code, printed, _ = draw(
        weights=random_weights[f"{name}.keras"],
        dataset="davis2017",
        data_dir=data,
        guides_per_object=2,
    )
    assert code == 0
    expected = NETWORK | (RECURRENT if name == "reconvnet" else set())
    assert pictures(tmp_path / "out") == expected
    named = printed.partition("took:")[0].split()
    assert set(named) == {str(tmp_path / "out" / x) for x in expected}


def test_weights_alone_give_what_needs_no_data(draw, random_weights, tmp_path):
    assert draw(weights=random_weights["osmn.keras"])[0] == 0
    assert pictures(tmp_path / "out") == {"spatial_scales.png"}


def test_published_scores_are_drawn(draw, tmp_path):
    one = site_file(tmp_path / "a.json", {"x": [0.5, 0.4], "y": [0.9]})
    two = site_file(tmp_path / "b.json", {"x": [0.3, 0.2]})
    assert draw(published=[one, f"other:{two}"])[0] == 0
    assert pictures(tmp_path / "out") == {"j_over_time.png"}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "nothing to draw"),
        ({"published": "nowhere.json"}, "nowhere.json: no such file"),
        ({"published": "{0}/bad.json"}, "has no per-frame scores"),
        ({"published": ["{0}/a.json", "{0}/b.json"]}, "no sequence in common"),
        ({"benchmark": "{0}/bad.json"}, "is no results.json"),
        ({"published": "{0}/a.json", "dataset": "davis2017"}, "belong together"),
    ],
)
def test_bad_flags_are_one_sentence(draw, tmp_path, given, text):
    (tmp_path / "bad.json").write_text("{}")
    site_file(tmp_path / "a.json", {"x": [0.5]})
    site_file(tmp_path / "b.json", {"y": [0.5]})
    code, _, errors = draw(**formatted(given, tmp_path))
    assert code == 2
    assert errors.count("error:") == 1 and text in errors
    assert not (tmp_path / "out").exists()


def test_a_clip_that_is_not_there(draw, data, random_weights):
    code, _, errors = draw(
        weights=random_weights["reconvnet.keras"],
        dataset="davis2017",
        data_dir=data,
        clip="three",
    )
    assert code == 2
    assert "--clip=three is not in the set; it has one, two" in errors


def test_objects_of_coco(draw, random_weights, tmp_path):
    root = tmp_path / "coco"
    annotations, images = [], []
    for k, category in enumerate((2, 17, 17, 17, 99)):
        write_grey(root / "val" / f"{k}.jpg", np.full((30, 40), 50 * k, np.uint8))
        images.append({"id": k, "file_name": f"{k}.jpg", "height": 30, "width": 40})
        side = 2 if k == 3 else 12  # the fourth is too small
        square = [5, 5, 5 + side, 5, 5 + side, 5 + side, 5, 5 + side]
        annotations.append(
            {"id": k + 7, "image_id": k, "category_id": category, "iscrowd": 0}
            | {"area": side**2, "segmentation": [square], "bbox": [5, 5, side, side]}
        )
    names = {2: "bicycle", 17: "cat", 99: "kite"}
    found = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in names.items()],
    }
    given = {"dataset": "coco", "data_dir": root, "split": "val"}
    weights = random_weights["reconvnet.keras"]
    code, _, errors = draw(weights=weights, **given)
    assert code == 2 and "instances_val.json: no such file" in errors
    assert not (tmp_path / "out").exists()
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_val.json").write_text(json.dumps(found))
    objects = list(category_objects(root, "val"))
    assert [label for _, _, label in objects] == ["bicycle", "cat", "cat"]
    assert [int(picture.mean()) for picture, _, _ in objects] == [0, 50, 100]
    assert {(mask[6:16, 6:16].all(), mask.sum() < 200) for _, mask, _ in objects} == {
        (True, True)
    }
    assert draw(weights=weights, **given)[0] == 0
    assert pictures(tmp_path / "out") == NETWORK | {"convlstm_gammas.png"}
