"""The demo from end to end, in a small setting."""

import json

import cv2
import pytest

from osmn_recurrent import programs
from osmn_recurrent.cli import demo

SMALL = (
    "--train_clips=2 --val_clips=1 --clip_frames=10 --height=64 --width=96 "
    "--osmn_steps=2 --reconvnet_steps=2"
).split()


def run(out, *more):
    """Exit code of the demo in `out`."""
    for name in demo.FLAGS:
        demo.FLAGS[name].unparse()
    return programs.call(demo.main, demo.FLAGS, ["demo", f"--out={out}", *SMALL, *more])


def test_all_results_are_there_and_a_second_run_changes_nothing(tmp_path, capsys):
    out = tmp_path / "demo"
    assert run(out) == 0
    printed = capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert [row["method"] for row in results["methods"]] == list(demo.METHODS)
    for row in results["methods"]:
        assert row["method"] in printed
        assert row["J&F"] == pytest.approx((row["J"] + row["F"]) / 2)
        figures = [s["J"] for s in results["clips"][row["method"]].values()]
        assert 100 * sum(map(sum, figures)) / sum(map(len, figures)) == pytest.approx(
            row["J"]
        )
        assert all(len(values) == 8 for values in figures)  # ten frames less two
    assert cv2.imread(str(out / "contact_sheet.png")) is not None
    assert len(list((out / "example" / "rabbit").glob("*.png"))) == 60
    assert cv2.imread(str(out / "example" / "rabbit_sheet.png")) is not None
    assert (out / "example" / "rabbit_overlay.mp4").stat().st_size > 10_000
    assert len(list((out / "videos").glob("*.mp4"))) == 2
    text = (out / "report.html").read_text()
    assert text.count("data:image/webp") == 10  # the frames
    assert text.count("data:image/png") == 70  # their true masks and six methods'
    # The networks come from the packaged one, whose visual guide steers it.
    j = {row["method"]: row["J"] for row in results["methods"]}
    for method, swapped in demo.SWAPPED.items():
        assert j[swapped] < j[method] - 5
        found = results["visual_guide"][method]
        assert found["spread"] > 0.01
        assert found["both"]["named"] > found["both"]["other"] + 0.05

    files = [
        p for x in ("models", "masks", "example/rabbit") for p in (out / x).rglob("*")
    ]
    before = {path: path.stat().st_mtime_ns for path in files if path.is_file()}
    assert run(out) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again = json.loads((out / "results.json").read_text())
    assert again["clips"] == results["clips"]

    assert run(out, "--osmn_steps=3") == 2
    assert "settings osmn_steps 2 there, 3 now" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_folder_in_use_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("mine")
    assert run(tmp_path) == 2
    assert "holds no demo" in capsys.readouterr().err
    assert run(tmp_path, "--overwrite") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
