"""osmn_recurrent.cli.report: from folders of masks to the page."""

import json
import re

import numpy as np
import pytest
from command_lines import arguments, formatted
from result_folders import moving_boxes, write_clip, write_davis, write_grey

from osmn_recurrent import programs
from osmn_recurrent.cli import report as program
from osmn_recurrent.metrics import davis_scores

CLIP = moving_boxes(6, (1, 2), shape=(48, 64))


@pytest.fixture
def report(tmp_path, capsys):
    """Runs the program on a DAVIS-2017 set of one clip, `tmp_path/data`.

    Takes flags as keywords. Gives `(exit code, stdout, stderr)`.
    """
    write_davis(tmp_path / "data", {"one": CLIP})
    for t in range(6):
        path = tmp_path / "data/JPEGImages/480p/one" / f"{t:05d}.jpg"
        write_grey(path, np.full((48, 64), 40 * t, np.uint8))
    write_clip(tmp_path / "exact" / "one", CLIP)
    write_clip(tmp_path / "shifted" / "one", np.roll(CLIP, 1, axis=2))

    def run(**given):
        given = {
            "results": tmp_path / "shifted",
            "dataset": "davis2017",
            "data_dir": tmp_path / "data",
            "out": tmp_path / "page.html",
            "processes": 1,
            **given,
        }
        for name in program.FLAGS:
            program.FLAGS[name].unparse()
        capsys.readouterr()
        code = programs.call(program.main, program.FLAGS, ["report", *arguments(given)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


def test_two_folders_on_one_page(report, tmp_path):
    code, printed, _ = report(compare=f"exact:{tmp_path / 'exact'}")
    assert code == 0
    scores = davis_scores.evaluate_masks(CLIP, np.roll(CLIP, 1, axis=2))
    figures = davis_scores.summarise(scores)
    (line,) = [each for each in printed.splitlines() if each.startswith("shifted")]
    assert f"{100 * figures['J&F-Mean']:.1f}" in line
    text = (tmp_path / "page.html").read_text()
    data = re.search(r'id="data">(.*?)</script>', text)
    data = json.loads(data[1])
    assert [each["name"] for each in data["methods"]] == ["shifted", "exact"]
    (clip,) = data["clips"]
    assert clip["objects"] == [1, 2]
    assert clip["masks"]["exact"] == clip["ground_truth"] != clip["masks"]["shifted"]
    assert clip["scores"]["exact"]["1"]["J"] == [1.0] * 4
    assert report()[0] == 2  # the file is there
    assert report(overwrite=True)[0] == 0


def test_frames_without_a_mask_are_shown_without_one(report, tmp_path):
    (tmp_path / "shifted" / "one" / "00005.png").unlink()  # not scored: may lack
    assert report()[0] == 0
    data = re.search(r'id="data">(.*?)</script>', (tmp_path / "page.html").read_text())
    masks = json.loads(data[1])["clips"][0]["masks"]["shifted"]
    assert [mask is None for mask in masks] == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"results": "nowhere"}, "nowhere: no such folder"),
        ({"compare": ["x:{0}/exact"] * 2}, "two folders of masks are called x"),
        ({"split": "train"}, "no such list"),
    ],
)
def test_bad_flags_are_one_sentence(report, tmp_path, given, text):
    given = formatted(given, tmp_path)
    code, _, errors = report(**given)
    assert code == 2
    assert errors.count("error:") == 1 and text in errors
    assert not (tmp_path / "page.html").exists()


def test_a_broken_folder_gets_no_page(report, tmp_path):
    (tmp_path / "shifted" / "one" / "00002.png").write_bytes(b"")
    (tmp_path / "shifted" / "one" / "00003.png").unlink()
    code, printed, errors = report()
    assert code == 2
    assert "has 2 faults" in errors and not printed
    assert not (tmp_path / "page.html").exists()
