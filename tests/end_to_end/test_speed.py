"""experiments.speed from flags to table, on small frames."""

import json

import numpy as np
import pytest

from experiments import speed as program
from osmn_recurrent import programs

SMALL = {
    "backbone": "vgg16_compact",
    "height": 48,
    "width": 64,
    "rounds": 2,
    "turn": 1,
    "objects": "1,2",
    "precisions": "float32,bfloat16",
}


@pytest.fixture
def speed(tmp_path, capsys):
    """Runs the program; flags as keywords; gives (code, stdout, stderr)."""

    def run(**given):
        for name in program.FLAGS:
            program.FLAGS[name].unparse()
        given = {**SMALL, "out": tmp_path / "out", **given}
        arguments = [f"--{key}={value}" for key, value in given.items()]
        capsys.readouterr()
        code = programs.call(program.main, program.FLAGS, ["speed", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_table(speed, tmp_path):
    code, said, _ = speed(profile=True, long_video=20)
    assert code == 0
    result = json.loads((tmp_path / "out" / "speed.json").read_text())
    rows = result["rows"]
    # Two floors; per number of objects, with and without files, the released
    # procedure and two precisions of ours.
    assert len(rows) == 2 + 2 * 2 * 3
    assert all(len(row["turns"]) == 2 and row["seconds"] > 0 for row in rows)
    for row in rows:
        assert row["seconds"] == np.median(row["turns"])
        assert (row["times_faster"] is None) == (row["loop"] != "ours")
        assert (row["over_floor"] is None) == (row["loop"] == "VGG16 alone")
    ours = next(r for r in rows if r["loop"] == "ours" and r["objects"] == 2)
    other = next(r for r in rows if r["loop"] == "released" and r["objects"] == 2)
    ratios = np.array(other["turns"]) / np.array(ours["turns"])
    assert ours["times_faster"] == pytest.approx(np.median(ratios))
    assert result["hardware"]["cpu"] in said
    assert result["endurance"]["frames"] == 20
    for entry in result["profiles"]:
        parts = {part for part, _, _ in entry["parts"]}
        assert {"conv1 convolutions", "conv5 convolutions", "decoder"} <= parts
        assert sum(share for _, _, share in entry["parts"]) == pytest.approx(1)
    picture = (tmp_path / "out" / "speed.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert speed()[0] == 2  # results are there


def test_masks_of_a_clip(speed, boxes, random_weights, tmp_path):
    """--video, --mask and --weights: agreement, with J from a folder."""
    code, said, _ = speed(
        weights=random_weights["osmn.keras"],
        objects=1,
        files=False,
        video=boxes / "JPEGImages" / "boxes",
        mask=boxes / "Annotations" / "boxes",
    )
    assert code == 0
    rows = json.loads((tmp_path / "out" / "speed.json").read_text())["masks"]
    assert [row["loop"] for row in rows[:3]] == [
        "released",
        "ours float32",
        "ours bfloat16",
    ]
    assert {row["object"] for row in rows} == {1, 5, 200}
    assert all(0 <= row["J"] <= 100 for row in rows)
    assert rows[0]["mean IoU"] == 1
    # Of random weights, so that rounding may move a border from frame to frame.
    assert rows[1]["mean IoU"] > 0.9
    assert "pixels changed" in said


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"objects": "0"}, "expected numbers from 1 to 254"),
        ({"precisions": "float64"}, "expected some of float32"),
        ({"video": "somewhere"}, "--video, --mask and --weights together"),
    ],
)
def test_bad_flags(speed, tmp_path, given, sentence):
    code, _, errors = speed(**given)
    assert code == 2
    assert sentence in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "mobilenet_compact"])
def test_other_backbones(speed, tmp_path, backbone):
    given = {"objects": "1", "precisions": "float32", "rounds": 1, "files": False}
    code, _, error = speed(backbone=backbone, profile=True, **given)
    assert code == 0, error
    result = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert [row["loop"] for row in result["rows"]] == ["trunk alone", "ours"]
    assert result["backbone"] == backbone
    (profile,) = result["profiles"]
    assert "level5 convolutions" in {part for part, _, _ in profile["parts"]}
