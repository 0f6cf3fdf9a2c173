"""The training program, in a small setting."""

import json

import numpy as np
import pytest

from experiments import train
from osmn_recurrent import programs
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.models.presets import load_model, weights_of

SMALL = (
    "--size=compact --height=64 --width=96 --scales=1.0 --steps=2 --batch_size=1"
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
