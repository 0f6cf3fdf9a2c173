"""The training program, in a small setting."""

import json
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from osmn_recurrent import programs
from osmn_recurrent.cli import train
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.models.building import load_model, weights_of

SMALL = (
    "--backbone=vgg16_compact --height=64 --width=96 --scales=1.0 --steps=2 "
    "--batch_size=1"
).split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_moving_shapes(folder, train=2, val=1, frames=6, size=(64, 96))
    return folder


def run(*arguments):
    """Exit code of the program."""
    for name in train.FLAGS:
        train.FLAGS[name].unparse()
    return programs.call(train.main, train.FLAGS, ["train", *SMALL, *arguments])


def test_osmn_then_reconvnet_from_it(data, tmp_path, capsys):
    first, second = tmp_path / "osmn", tmp_path / "reconvnet"
    assert run(f"--data_dir={data}", f"--workdir={first}") == 0
    settings = json.loads((first / "run.json").read_text())["settings"]
    assert settings["loss"] == "balanced_cross_entropy"
    flagfile = tmp_path / "paper.flags"
    flagfile.write_text(
        "--model=reconvnet\n--loss=lovasz_hinge\n--clip_length=2\n"
        "--learning_rate=0\n--recurrent_learning_rate=0\n"
    )
    more = [f"--flagfile={flagfile}", f"--init_from={first / 'model.keras'}"]
    assert run(f"--data_dir={data}", f"--workdir={second}", *more) == 2
    assert "learning_rate" in capsys.readouterr().err
    flagfile.write_text(flagfile.read_text().replace("rate=0", "rate=1e-30"))
    assert run(f"--data_dir={data}", f"--workdir={second}", *more) == 0
    assert "new: 11 variables" in capsys.readouterr().out
    run_file = json.loads((second / "run.json").read_text())
    assert run_file["settings"]["samples"]["clip_length"] == 2
    assert run_file["model"]["class"] == "ReConvNet"
    osmn, reconvnet = (load_model(f / "model.keras") for f in (first, second))
    ours = {v.path.split("/", 1)[1]: v.numpy() for v in weights_of(reconvnet)}
    for variable in weights_of(osmn):
        path = variable.path.split("/", 1)[1]
        np.testing.assert_allclose(ours[path], variable.numpy(), atol=1e-7)


def test_osvos_starts_from_osmns_segmentation_part(data, tmp_path, capsys):
    first, second = tmp_path / "osmn", tmp_path / "osvos"
    assert run(f"--data_dir={data}", f"--workdir={first}") == 0
    more = [f"--data_dir={data}", f"--workdir={second}", "--model=osvos"]
    more += ["--learning_rate=1e-30", f"--init_from={first / 'model.keras'}"]
    for pattern, message in (
        ("", "left over: modulator"),
        (":(seg", "(seg is no regular expression"),
        (":^lion", "gives osvos (vgg16_compact) nothing"),
    ):
        assert run(*more[:-1], f"{more[-1]}{pattern}") == 2
        assert message in capsys.readouterr().err
    assert not second.exists() or not list(second.glob("*.keras"))
    assert run(*more[:-1], f"{more[-1]}:^seg/") == 0
    osmn, osvos = (load_model(f / "model.keras") for f in (first, second))
    for ours, theirs in zip(weights_of(osvos), osmn.seg.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_bad_input_ends_with_exit_code_2(data, tmp_path, capsys):
    nowhere = tmp_path / "nowhere"
    assert run(f"--data_dir={nowhere}", f"--workdir={tmp_path / 'a'}") == 2
    assert str(nowhere) in capsys.readouterr().err
    assert run(f"--data_dir={data}", f"--workdir={tmp_path}", "--split=test") == 2
    assert "test" in capsys.readouterr().err
    (tmp_path / "model.keras").write_text("kept")
    assert run(f"--data_dir={data}", f"--workdir={tmp_path}") == 2
    assert "exists already; give --overwrite" in capsys.readouterr().err
    assert (tmp_path / "model.keras").read_text() == "kept"
    more = [f"--workdir={tmp_path / 'b'}", f"--init_from={tmp_path / 'model.keras'}"]
    assert run(f"--data_dir={data}", *more) == 2
    assert "model.keras" in capsys.readouterr().err


def test_a_frame_that_cannot_be_read_is_counted(data, tmp_path, capsys):
    folder = tmp_path / "broken"
    shutil.copytree(data, folder)
    frame = sorted((folder / "JPEGImages" / "480p" / "train-000").iterdir())[2]
    frame.write_bytes(frame.read_bytes()[:200])
    workdir = tmp_path / "run"
    more = ["--steps=12", "--scales=0.5", "--learning_rate=1e-9"]
    assert run(f"--data_dir={folder}", f"--workdir={workdir}", *more) == 0
    printed = capsys.readouterr().out
    assert "could not be read and were skipped" in printed and str(frame) in printed
    result = json.loads((workdir / "run.json").read_text())["result"]
    assert sum(result["skipped_samples"].values()) > 0


@pytest.mark.slow
def test_after_kill_9_the_weights_are_those_of_the_whole_run(data, tmp_path):
    command = [
        sys.executable,
        "-m",
        "osmn_recurrent.cli.train",
        *SMALL,
        f"--data_dir={data}",
    ]
    command += ["--steps=8", "--save_every=3", "--nofreeze_batch_norm"]
    command += ["--scales=0.5,0.8,1.0"]
    command += ["--model=reconvnet", "--clip_length=2", "--scheduled_sampling=0.5"]
    root = pathlib.Path(train.__file__).parents[1]
    states = []
    for name, kills in (("whole", 0), ("killed", 1)):
        workdir = tmp_path / name
        own = [*command, f"--workdir={workdir}"]
        for _ in range(kills):
            process = subprocess.Popen(own, cwd=root, stderr=subprocess.DEVNULL)
            while not (workdir / "state.npz").exists() and process.poll() is None:
                time.sleep(0.01)
            process.kill()
            process.wait()
            assert not (workdir / "model.keras").exists()
        subprocess.run(own, cwd=root, check=True, stderr=subprocess.DEVNULL)
        with np.load(workdir / "state.npz") as archive:
            states.append({k: archive[k] for k in archive.files if k != "progress"})
    assert states[0].keys() == states[1].keys()
    for name, values in states[0].items():
        np.testing.assert_array_equal(states[1][name], values, err_msg=name)
