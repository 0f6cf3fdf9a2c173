"""osmn_recurrent.cli.benchmark: networks and published masks in one table."""

import csv
import io
import json

import numpy as np
import pytest
from command_lines import arguments, formatted
from result_folders import moving_boxes, write_clip, write_davis, write_grey

from osmn_recurrent import programs
from osmn_recurrent.cli import benchmark as program
from osmn_recurrent.media.mask_files import read_mask
from osmn_recurrent.metrics import davis_scores

CLIPS = {
    "one": moving_boxes(6, (1, 2), shape=(64, 96)),
    "two": moving_boxes(6, (1,), seed=3, shape=(64, 96)),
}


@pytest.fixture
def benchmark(tmp_path, capsys):
    """Runs the program on a DAVIS-2017 set of two clips, `tmp_path/data`.

    Takes flags as keywords. Gives `(exit code, stdout, stderr)`.
    """
    write_davis(tmp_path / "data", CLIPS)
    rng = np.random.default_rng(0)
    for name, clip in CLIPS.items():
        write_clip(tmp_path / "published" / name, np.roll(clip, 1, axis=2))
        noise = rng.integers(0, 100, clip.shape[1:], dtype=np.uint8)
        for t, ids in enumerate(clip):
            path = tmp_path / "data" / "JPEGImages/480p" / name / f"{t:05d}.jpg"
            write_grey(path, noise + 50 * ids)

    def run(**given):
        given = {
            "dataset": "davis2017",
            "data_dir": tmp_path / "data",
            "out": tmp_path / "out",
            "processes": 1,
            **given,
        }
        for name in program.FLAGS:
            program.FLAGS[name].unparse()
        capsys.readouterr()
        code = programs.call(
            program.main, program.FLAGS, ["benchmark", *arguments(given)]
        )
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


def in_memory(predicted):
    """Official figures and J of every object, `{sequence: (T, H, W) ids}`."""
    scores = {
        f"{name}_{i}": each
        for name, clip in CLIPS.items()
        for i, each in davis_scores.evaluate_masks(clip, predicted[name]).items()
    }
    return davis_scores.summarise(scores), scores


def test_networks_and_masks_in_one_table(benchmark, random_weights, tmp_path):
    given = {
        "weights": [
            random_weights["osmn.keras"],
            f"Re:{random_weights['reconvnet.keras']}",
        ],
        "masks": f"shifted:{tmp_path / 'published'}",
    }
    code, printed, _ = benchmark(**given)
    assert code == 0
    out = tmp_path / "out"
    results = json.loads((out / "results.json").read_text())
    assert list(results["rows"]) == ["shifted", "OSMN", "Re"]
    assert results["baseline"] == "OSMN"
    assert results["rows"]["Re"]["network"] == "ReConvNet"
    predicted = {
        "shifted": {name: np.roll(clip, 1, axis=2) for name, clip in CLIPS.items()}
    }
    for row in ("OSMN", "Re"):
        predicted[row] = {
            name: [read_mask(out / row / name / f"{t:05d}.png") for t in range(6)]
            for name in CLIPS
        }
    figures = {}
    for row, found in predicted.items():
        figures[row], scores = in_memory(found)
        assert results["rows"][row]["global"] == pytest.approx(figures[row])
        for name, objects in results["rows"][row]["sequences"].items():
            for i, entry in objects.items():
                assert entry["J"] == pytest.approx(scores[f"{name}_{i}"].j.tolist())
                assert len(entry["frames"]) == 4
        gap = results["rows"][row]["difference"]["J-Mean"]
        lead = figures[row]["J-Mean"] - results["rows"]["OSMN"]["global"]["J-Mean"]
        assert gap["mean"] == pytest.approx(lead)
        assert gap["low"] <= gap["mean"] + 1e-12
    assert results["rows"]["shifted"]["seconds_per_frame"] is None
    assert 0 < results["rows"]["OSMN"]["seconds_per_frame"] < 60
    (line,) = [x for x in printed.splitlines() if x.startswith("shifted")]
    assert f"{100 * figures['shifted']['J&F-Mean']:.1f}" in line.split()
    rows = list(csv.DictReader(io.StringIO((out / "table.csv").read_text())))
    assert [float(row["J"]) for row in rows] == pytest.approx(
        [100 * each["J-Mean"] for each in figures.values()]
    )
    assert (out / "table.md").read_text().count("| shifted |") == 1
    rows = list(csv.DictReader(io.StringIO((out / "sequences.csv").read_text())))
    assert [(row["sequence"], row["object"]) for row in rows] == [
        ("one", "1"),
        ("one", "2"),
        ("two", "1"),
    ]


def test_an_interrupted_run_resumes(benchmark, random_weights, tmp_path):
    given = {"weights": f"{random_weights['reconvnet.keras']}"}
    assert benchmark(**given)[0] == 0
    folder = tmp_path / "out" / "ReConvNet"
    whole = json.loads((tmp_path / "out" / "results.json").read_text())
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    for t in (3, 4, 5):
        (folder / "two" / f"{t:05d}.png").unlink()
    assert benchmark(**given)[0] == 0
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    changed = {path for path in before if after[path] != before[path]}
    assert changed == {folder / "two" / f"{t:05d}.png" for t in (3, 4, 5)}
    again = json.loads((tmp_path / "out" / "results.json").read_text())
    rows = [each["rows"]["ReConvNet"]["sequences"] for each in (whole, again)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "give --weights or --masks"),
        ({"masks": "published"}, "expected NAME:FOLDER"),
        ({"masks": ["a:{0}/published"] * 2}, "two rows are called a"),
        ({"weights": "nowhere.keras"}, "nowhere.keras: no such file"),
        ({"weights": "a:{0}/w.weights.h5"}, "which network it belongs to"),
        ({"weights": "{0}/bad.keras"}, "cannot be read as a ZIP archive"),
        ({"weights": "{0}/w.weights.h5", "models": "vgg"}, "no network vgg"),
        ({"weights": "{0}/w.weights.h5", "models": "osmn,osvos"}, "names 2 networks"),
        ({"masks": "a:{0}/published", "baseline": "b"}, "--baseline=b is no row"),
        ({"masks": "a:{0}/published", "split": "train"}, "no such list"),
        ({"masks": "a:{0}/nowhere"}, "no such folder"),
    ],
)
def test_bad_flags_are_one_sentence(benchmark, tmp_path, given, text):
    for name in ("bad.keras", "w.weights.h5"):
        (tmp_path / name).write_bytes(b"x")
    given = formatted(given, tmp_path)
    code, _, errors = benchmark(**given)
    assert code == 2
    assert errors.count("error:") == 1
    assert text in errors
    assert not (tmp_path / "out").exists()


def test_broken_masks_make_no_table(benchmark, tmp_path):
    (tmp_path / "published" / "one" / "00002.png").unlink()
    (tmp_path / "published" / "two" / "00003.png").write_bytes(b"")
    code, printed, errors = benchmark(masks=f"a:{tmp_path / 'published'}")
    assert code == 2
    assert "has 2 faults" in errors
    assert not printed and not (tmp_path / "out").exists()


def test_ground_truth_that_is_not_public_is_said_before_work(benchmark, tmp_path):
    folder = tmp_path / "data" / "Annotations/480p/one"
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    code, _, errors = benchmark(masks=f"a:{tmp_path / 'published'}")
    assert code == 2
    assert "the ground truth of one" in errors


def test_objects_that_appear_later(benchmark, random_weights, tmp_path):
    clip = np.zeros((6, 64, 96), np.uint8)
    clip[1:, 10:30, 10:40], clip[3:, 35:60, 50:90] = 1, 2
    names = [f"{5 * t:05d}" for t in range(6)]
    root = tmp_path / "vos" / "train"
    write_clip(root / "Annotations" / "v", clip, names)
    for name, ids in zip(names, clip, strict=True):
        write_grey(root / "JPEGImages" / "v" / f"{name}.jpg", 60 * ids)
    frames = {"1": names[1:], "2": names[3:]}
    meta = {"videos": {"v": {"objects": {i: {"frames": f} for i, f in frames.items()}}}}
    (root / "meta.json").write_text(json.dumps(meta))
    given = {"dataset": "youtube_vos", "data_dir": tmp_path / "vos", "split": "train"}
    code, _, _ = benchmark(weights=random_weights["osmn.keras"], **given)
    assert code == 0
    found = {
        name: read_mask(tmp_path / "out" / "OSMN" / "v" / f"{name}.png")
        for name in names[1:]
    }
    assert [2 in ids for ids in found.values()][:2] == [False, False]
    assert (found[names[3]][35:60, 50:90] == 2).all()  # given in this frame
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    objects = report["rows"]["OSMN"]["sequences"]["v"]
    assert objects["1"]["frames"] == names[2:]
    assert objects["2"]["frames"] == names[4:]


def test_videos_with_categories(benchmark, random_weights, tmp_path):
    root = tmp_path / "objects"
    for name, seed in (("cat_0001", 1), ("cat_0002", 2), ("dog_0001", 3)):
        clip = moving_boxes(5, (1,), seed, (48, 64))
        write_clip(root / "Labels" / name, clip[::2], ["00000", "00002", "00004"])
        for t, ids in enumerate(clip):
            write_grey(root / "Images" / name / f"{t:05d}.jpg", 90 * ids)
    given = {"dataset": "youtube_objects", "data_dir": root, "split": "all"}
    code, printed, _ = benchmark(weights=random_weights["osmn.keras"], **given)
    assert code == 0
    row = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]["OSMN"]
    means = {name: each["1"]["J-Mean"] for name, each in row["sequences"].items()}
    assert row["sequences"]["dog_0001"]["1"]["frames"] == ["00002", "00004"]
    cats = (means["cat_0001"] + means["cat_0002"]) / 2
    expected = (cats + means["dog_0001"]) / 2
    assert row["category_mean"]["J-Mean"] == pytest.approx(expected)
    assert "J/category" in printed
    assert len(list((tmp_path / "out" / "OSMN" / "cat_0001").glob("*.png"))) == 5
