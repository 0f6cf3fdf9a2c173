"""The small-scale study: baselines, table, and all of it in a small setting."""

import dataclasses
import json
import pathlib
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from experiments import study, study_baselines, study_probe, study_table
from osmn_recurrent import programs
from osmn_recurrent.datasets import registry
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.metrics import result_folder
from osmn_recurrent.metrics.statistics import summarise
from osmn_recurrent.models.building import build_model

sys.path.append(str(pathlib.Path(__file__).parents[1] / "models"))
from random_networks import randomise


@dataclasses.dataclass
class Panning:
    """A textured picture that moves by (3, -2) pixels from frame to frame."""

    frames: int = 4
    name: str = "panning"

    def __post_init__(self):
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (20, 30, 3)).astype(np.float32)
        self.picture = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
        self.ids = np.zeros(self.picture.shape[:2], np.uint8)
        self.ids[50:90, 60:110] = 4
        self.ids[100:130, 150:200] = 9

    def __len__(self):
        return self.frames

    def frame(self, index):
        return np.roll(self.picture, (-2 * index, 3 * index), (0, 1))

    def mask(self, index):
        return np.roll(self.ids, (-2 * index, 3 * index), (0, 1))


def test_copying_repeats_the_first_mask():
    clip = Panning()
    for ids in study_baselines.copied(clip):
        np.testing.assert_array_equal(ids, clip.mask(0))


def test_flow_carries_each_mask_along():
    clip = Panning()
    carried = list(study_baselines.carried_by_flow(clip))
    np.testing.assert_array_equal(carried[0], clip.mask(0))
    for index, ids in enumerate(carried):
        for i in (4, 9):
            ours, ground_truth = ids == i, clip.mask(index) == i
            assert (ours & ground_truth).sum() / (ours | ground_truth).sum() > 0.9
        assert set(np.unique(ids)) == {0, 4, 9}


@pytest.mark.slow
def test_baselines_on_real_video(test_data, tmp_path):
    """Against figures that others measured on the same ten sequences."""
    root = test_data / "data" / "davis2016"
    clips = davis_clips(root, 2016, "val_study")
    sequences = registry.sequences("davis2016", root, "val_study")
    for name, expected in {"copy": 37.2, "flow": 44.8}.items():
        study_baselines.write(name, clips, tmp_path / name)
        scores = result_folder.evaluate_folder(tmp_path / name, sequences)
        total = summarise({n: objects[1] for n, objects in scores.items()})
        assert 100 * total["J-Mean"] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_the_probe_is_the_loop_where_nothing_is_changed(name):
    clip = Panning(frames=5)
    model = randomise(build_model(name, "vgg16_compact"))
    frames = [clip.frame(t)[:48, :64] for t in range(5)]
    first = np.zeros((48, 64), np.uint8)
    first[10:30, 20:50] = 4

    def run(**changes):
        return list(
            study_probe.ProbingSegmenter(model, **changes).segment(frames, first)
        )

    plain = list(VideoSegmenter(model).segment(frames, first))
    assert all(map(np.array_equal, plain, run()))
    assert all(map(np.array_equal, plain, run(memory=9)))
    assert all(map(np.array_equal, plain, run(ground_truth=plain.__getitem__)))
    asked = []
    run(ground_truth=lambda index: asked.append(index) or first)
    assert asked == [0, 1, 2, 3]  # before each later frame
    bare = run(memory=1)
    assert np.array_equal(plain[1], bare[1])
    same = all(map(np.array_equal, plain, bare))
    assert same == (name == "osmn")  # only ReConvNet has a memory


def row(values, seconds=None):
    """A benchmark's row with one object per sequence and J = F = value."""
    objects = {
        name: {"1": {"J-Mean": value, "F-Mean": value, "J": [value]}}
        for name, value in values.items()
    }
    mean = float(np.mean(list(values.values())))
    figures = dict.fromkeys(study_table.FIGURES, mean)
    return {"global": figures, "sequences": objects, "seconds_per_frame": seconds}


def test_the_table_averages_seeds_and_pairs_sequences():
    rows = {
        "copy": row({"a": 0.3, "b": 0.1}),
        "OSMN.0": row({"a": 0.5, "b": 0.3}, 0.2),
        "OSMN.1": row({"a": 0.7, "b": 0.3}, 0.4),
        "ReConvNet.0": row({"a": 0.8, "b": 0.4}, 1.0),
        "OSMN+tuning.0": row({"a": 0.8, "b": 0.4}),
        "ReConvNet+tuning.0": row({"a": 0.9, "b": 0.7}),
    }
    methods = study_table.methods_of(rows)
    found = {
        each["method"]: each
        for each in study_table.table_rows(methods, {"OSMN+tuning.0": 2.0})
    }
    assert found["OSMN"]["J"] == pytest.approx(45)
    assert found["OSMN"]["± J"] == pytest.approx(np.std([40, 50], ddof=1))
    assert found["OSMN"]["s/frame"] == pytest.approx(0.3)
    assert found["OSMN"]["J over OSMN"] is None
    assert found["copy"]["J over OSMN"] == pytest.approx(20 - 45)
    # Per sequence: 0.8 - 0.6 and 0.4 - 0.3; all resamples lie between.
    assert found["ReConvNet"]["J&F over OSMN"] == pytest.approx(15)
    assert found["ReConvNet"]["J&F interval"] == "+10.0 to +20.0"
    assert found["ReConvNet+tuning"]["J over OSMN"] == pytest.approx(20)
    assert found["OSMN+tuning"]["s/frame"] == 2.0
    assert found["ReConvNet+tuning"]["s/frame"] is None


def test_seeds_must_be_numbers(capsys):
    given = {"coco_dir": "c", "train_dir": "t", "val_dir": "v", "out": "o"}
    arguments = [f"--{key}={value}" for key, value in given.items()]
    code = programs.call(study.main, study.FLAGS, ["study", *arguments, "--seeds=one"])
    assert (code, "whole numbers" in capsys.readouterr().err) == (2, True)
    study.FLAGS["seeds"].unparse()


def test_a_network_of_other_flags_is_not_taken_for_done(tmp_path):
    flag_file = tmp_path / "x.flags"
    flag_file.write_text("--steps=3\n")
    work = tmp_path / "work"
    command = ["python", "-m", "osmn_recurrent.cli.train", f"--flagfile={flag_file}"]
    command += [f"--workdir={work}"]
    assert not study.is_trained(command)
    (work / "model.keras").write_bytes(b"")
    assert study.is_trained(command)
    flag_file.write_text("--steps=4\n")
    with pytest.raises(InputError, match="trained with other flags; remove"):
        study.is_trained(command)
    assert not study.is_trained(["python", "-m", "osmn_recurrent.cli.report"])


@pytest.mark.slow
def test_the_whole_study_in_a_small_setting(tmp_path, monkeypatch):
    """Trains, tunes and scores all; a second start finds everything done."""
    train, coco = tmp_path / "train", tmp_path / "coco"
    write_moving_shapes(train, train=2, val=1, frames=16, size=(48, 64))
    shutil.copytree(train / "ImageSets" / "2017", train / "ImageSets" / "2016")
    (coco / "annotations").mkdir(parents=True)
    (coco / "tiny").mkdir()
    for number in (1, 2):
        Image.new("RGB", (64, 48), (40 * number, 0, 90)).save(
            coco / "tiny" / f"{number}.jpg"
        )
    corners = [10, 5, 40, 5, 40, 35, 10, 35]
    content = {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "height": 48, "width": 64}
            for n in (1, 2)
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "iscrowd": 0, "area": 900.0}
            | {"segmentation": [corners]}
            for n in (1, 2)
        ],
        "categories": [],
    }
    path = coco / "annotations" / "instances_tiny.json"
    path.write_text(json.dumps(content))
    out = tmp_path / "out"
    given = {
        "coco_dir": coco,
        "coco_split": "tiny",
        "train_dir": train,
        "train_resolution": "480p",
        "train_split": "train",
        "stop_split": "val",
        "val_dir": train,
        "working_size": "48x64",
        "seeds": "0,1",
        "out": out,
        "record": tmp_path / "record",
    }
    arguments = [f"--{key}={value}" for key, value in given.items()]
    few = ("steps=2", "height=48", "width=64", "batch_size=1", "warmup_steps=0")
    arguments += [f"--training_flag=--{each}" for each in few]
    arguments += ["--training_flag=--scheduled_sampling_steps=0"]
    arguments += ["--finetuning_flag=--finetune_steps=1"]
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(study.__file__).parents[1]))
    assert programs.call(study.main, study.FLAGS, ["study", *arguments]) == 0
    rows = {
        each["method"]: each for each in json.loads((out / "study.json").read_text())
    }
    assert {name: each["seeds"] for name, each in rows.items()} == {
        "copy": 1,
        "flow": 1,
        "OSMN": 2,
        "OSMN+tuning": 2,
        "ReConvNet": 2,
        "ReConvNet+tuning": 2,
        "OSVOS": 1,
        "OSVOS+tuning": 1,
    }
    assert rows["ReConvNet"]["J&F interval"] is None  # one sequence
    assert (out / "j_over_time.png").stat().st_size > 5000
    assert (out / "failures.png").stat().st_size > 5000
    assert (out / "report.html").stat().st_size > 5000
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.keras")}
    for name in study.FLAGS:  # flags that may be repeated would be added up
        study.FLAGS[name].unparse()
    assert programs.call(study.main, study.FLAGS, ["study", *arguments]) == 0
    assert written == {p: p.stat().st_mtime_ns for p in out.rglob("*.keras")}
    kept = {p.name for p in (tmp_path / "record").rglob("*") if p.is_file()}
    assert {"run.json", "loss.csv", "study.md", "table.txt", "sequences.csv"} <= kept
    assert "probe.md" in kept
