"""The program osmn evaluate, from flags to files."""

import csv
import json
import zipfile

import numpy as np
import pytest
from result_folders import moving_boxes, write_clip, write_davis, write_grey

from osmn_recurrent import programs
from osmn_recurrent.cli import evaluate as program
from osmn_recurrent.metrics import davis_scores

CLIPS = {
    "one": moving_boxes(9, (1,), seed=1),
    "two": moving_boxes(6, (1, 2), seed=2),
}
CSV_FILES = ("global_results-val.csv", "per-sequence_results-val.csv")


@pytest.fixture
def evaluate(tmp_path, capsys):
    """Runs the program in this process on `results` and `data`.

    Takes flags as keywords. Gives `(exit code, stdout, stderr)`.
    """

    def run(**given):
        given = {
            "results": tmp_path / "results",
            "dataset": "davis2017",
            "data_dir": tmp_path / "data",
            "processes": 1,
            **given,
        }
        for name in program.FLAGS:
            program.FLAGS[name].unparse()
        arguments = [f"--{key}={value}" for key, value in given.items()]
        capsys.readouterr()
        code = programs.call(program.main, program.FLAGS, ["evaluate", *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


@pytest.fixture
def two_clips(tmp_path):
    """A DAVIS-2017 set and predictions that are a pixel off; the folder."""
    write_davis(tmp_path / "data", CLIPS)
    for name, clip in CLIPS.items():
        write_clip(tmp_path / "results" / name, np.roll(clip, 1, axis=1))
    return tmp_path


def expected_scores():
    """`{"<sequence>_<object>": ObjectScores}`, computed in memory."""
    return {
        f"{name}_{i}": each
        for name, clip in CLIPS.items()
        for i, each in davis_scores.evaluate_masks(
            clip, np.roll(clip, 1, axis=1)
        ).items()
    }


def rows_of(path):
    """Rows of a CSV file as dicts."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("out", [None, "scores"])
def test_official_files_and_every_frame(evaluate, two_clips, out):
    given = {"out": two_clips / out} if out else {}
    folder = two_clips / (out or "results")
    code, printed, errors = evaluate(**given)
    assert code == 0
    assert "scoring" in errors  # the progress bar
    expected = expected_scores()
    figures = davis_scores.summarise(expected)
    assert f"{figures['J&F-Mean']:.3f}" in printed
    (row,) = rows_of(folder / CSV_FILES[0])
    assert row == {name: f"{value:.3f}" for name, value in figures.items()}
    assert rows_of(folder / CSV_FILES[1]) == [
        {
            "Sequence": name,
            "J-Mean": f"{np.mean(each.j):.3f}",
            "F-Mean": f"{np.mean(each.f):.3f}",
        }
        for name, each in expected.items()
    ]
    report = json.loads((folder / "scores.json").read_text())
    assert report["global"] == figures
    for name, each in expected.items():
        sequence, i = name.split("_")
        entry = report["sequences"][sequence][i]
        assert entry["J"] == each.j.tolist()
        assert entry["F"] == each.f.tolist()
        assert entry["frames"] == [f"{t + 1:05d}" for t in range(len(each))]
        assert entry["J-Decay"] == each.summary()["J-Decay"]


def test_scores_are_always_computed_anew(evaluate, two_clips):
    assert evaluate()[0] == 0
    before = (two_clips / "results" / CSV_FILES[0]).read_text()
    for name, clip in CLIPS.items():
        write_clip(two_clips / "results" / name, clip)
    assert evaluate()[0] == 0
    assert (two_clips / "results" / CSV_FILES[0]).read_text() != before
    (row,) = rows_of(two_clips / "results" / CSV_FILES[0])
    assert row["J&F-Mean"] == "1.000"


def test_a_broken_folder_gets_all_its_faults_and_no_score(evaluate, two_clips):
    results = two_clips / "results"
    (results / "two" / "00002.png").unlink()
    (results / "two" / "00003.png").write_bytes(b"")
    for path in (results / "one").iterdir():
        path.unlink()
    (results / "one").rmdir()
    code, printed, errors = evaluate(out=two_clips / "out")
    assert code == 2
    assert "J&F" not in printed
    lines = errors[errors.index("error: ") :].splitlines()
    assert lines[0].endswith("results has 3 faults, so it gets no score:")
    assert len(lines) == 4
    for name in ("one:", "two/00002.png:", "two/00003.png "):
        assert sum(f"{results}/{name}" in line for line in lines[1:]) == 1
    assert not (two_clips / "out").exists()


def test_scores_of_an_earlier_run_are_pointed_out(evaluate, two_clips):
    assert evaluate()[0] == 0
    (two_clips / "results" / "two" / "00002.png").unlink()
    code, _, errors = evaluate()
    assert code == 2
    assert "scores.json is from an earlier run" in errors


def test_a_sequence_without_scored_frames_is_left_out_and_named(evaluate, two_clips):
    short = moving_boxes(2, (1,))
    write_davis(two_clips / "data", {**CLIPS, "short": short})
    write_clip(two_clips / "results" / "short", short)
    code, printed, _ = evaluate()
    assert code == 0
    assert "not in the averages, no frame of it counts: short" in printed
    report = json.loads((two_clips / "results" / "scores.json").read_text())
    assert report["global"] == davis_scores.summarise(expected_scores())
    assert report["sequences"]["short"]["1"]["J-Mean"] is None
    assert len(rows_of(two_clips / "results" / CSV_FILES[1])) == 3


def test_nothing_to_score_is_an_error(evaluate, tmp_path):
    clip = moving_boxes(2, (1,))
    write_davis(tmp_path / "data", {"short": clip})
    write_clip(tmp_path / "results" / "short", clip)
    code, _, errors = evaluate()
    assert code == 2
    assert "no frame to score in this set" in errors
    assert not list((tmp_path / "results").glob("*.*"))


def test_a_submission_is_checked_and_not_scored(evaluate, tmp_path):
    clip = moving_boxes(4, (1, 2))
    write_davis(tmp_path / "data", {"secret": clip[:1]}, split="test-dev")
    for t in range(4):
        picture = tmp_path / "data/JPEGImages/480p/secret" / f"{t:05d}.jpg"
        write_grey(picture, np.zeros(clip.shape[1:], np.uint8))
    write_clip(tmp_path / "results" / "secret", clip)
    code, printed, _ = evaluate(split="test-dev")
    assert code == 0
    assert "complete: 4 masks of 1 sequence" in printed
    assert not list((tmp_path / "results").glob("*.*"))
    (tmp_path / "results" / "secret" / "00003.png").unlink()
    code, _, errors = evaluate(split="test-dev")
    assert code == 2
    assert "00003.png: no such mask" in errors


def test_youtube_objects_per_video_and_per_category(evaluate, tmp_path):
    expected = {}
    for name, shift in (("cat_0001", 0), ("cat_0002", 1), ("dog_0001", 2)):
        clip = moving_boxes(4, (1,), seed=shift)
        guess = np.roll(clip, shift, axis=2)
        write_clip(tmp_path / "data" / "Labels" / name, clip)
        write_clip(tmp_path / "results" / name, guess)
        scores = davis_scores.evaluate_masks(clip, guess, objects=(1,), skip=(1, 0))
        expected[name] = float(np.mean(scores[1].j))
    code, printed, _ = evaluate(dataset="youtube_objects")
    assert code == 0
    assert "per video" in printed and "per category" in printed
    report = json.loads((tmp_path / "results" / "scores.json").read_text())
    cats = (expected["cat_0001"] + expected["cat_0002"]) / 2
    dogs = expected["dog_0001"]
    assert report["global"]["J-Mean"] == pytest.approx(np.mean([*expected.values()]))
    assert report["category_mean"]["J-Mean"] == pytest.approx((cats + dogs) / 2)
    rows = rows_of(tmp_path / "results" / "per-category_results-val.csv")
    assert [row["Category"] for row in rows] == ["cat", "dog"]
    assert [row["J-Mean"] for row in rows] == [f"{cats:.3f}", f"{dogs:.3f}"]


def test_youtube_vos_with_local_ground_truth(evaluate, tmp_path):
    clip = moving_boxes(5, (1, 2))
    names = [f"{t:05d}" for t in range(5)]
    frames = {"1": names, "2": names[2:]}
    meta = {"videos": {"v": {"objects": {i: {"frames": f} for i, f in frames.items()}}}}
    write_clip(tmp_path / "data" / "train" / "Annotations" / "v", clip)
    (tmp_path / "data" / "train" / "meta.json").write_text(json.dumps(meta))
    write_clip(tmp_path / "results" / "v", clip)
    code, printed, _ = evaluate(dataset="youtube_vos", split="train")
    assert code == 0
    assert "1 sequence, 2 objects, 4 scored frames" in printed
    report = json.loads((tmp_path / "results" / "scores.json").read_text())
    assert len(report["sequences"]["v"]["1"]["frames"]) == 4
    assert report["sequences"]["v"]["2"]["frames"] == names[3:]
    assert report["global"]["J&F-Mean"] == 1.0


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"results": "nowhere"}, "nowhere: no such folder"),
        ({"split": "train"}, "train.txt: no such list"),
        ({"resolution": "1080p"}, "1080p: no such folder"),
        ({"dataset": "davis2018"}, "dataset"),
        ({"processes": 0}, "processes"),
    ],
)
def test_bad_flags_are_one_sentence(evaluate, two_clips, given, text):
    code, _, errors = evaluate(**given)
    assert code == 2
    assert errors.count("error:") == 1
    assert text in errors


def test_submission_zip(evaluate, two_clips):
    """Checked first, then packed as the DAVIS server wants it."""
    path = two_clips / "submission.zip"
    code, said, _ = evaluate(zip=path)
    assert code == 0
    assert f"written: {path}" in said
    assert f"--results={two_clips / 'results'} --dataset=davis2017" in said
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert names == [
        *(f"one/{t:05d}.png" for t in range(9)),
        *(f"two/{t:05d}.png" for t in range(6)),
    ]
    assert evaluate(zip=path)[0] == 2  # it is there
    (two_clips / "results" / "two" / "00005.png").unlink()
    code, _, errors = evaluate(zip=two_clips / "other.zip")
    assert code == 2
    assert "00005" in errors
    assert not (two_clips / "other.zip").exists()
