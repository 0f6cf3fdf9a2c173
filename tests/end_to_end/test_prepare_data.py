"""The program osmn prepare, from flags to a readable set."""

import numpy as np
import pytest

from osmn_recurrent import programs
from osmn_recurrent.cli import prepare as program
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.datasets.prepared import prepared_clips


@pytest.fixture
def prepare(tmp_path, capsys):
    """Runs the program; gives `(exit code, stdout, stderr)`."""

    def run(**given):
        given = {"dataset": "davis2017", "data_dir": tmp_path / "shapes", **given}
        for name in program.FLAGS:
            program.FLAGS[name].unparse()
        arguments = [f"--{key}={value}" for key, value in given.items()]
        arguments.append(f"--out={tmp_path / 'out'}")
        capsys.readouterr()
        code = programs.call(program.main, program.FLAGS, ["prepare", *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


def test_a_davis_folder_is_prepared_once(prepare, tmp_path):
    folder = tmp_path / "shapes"
    write_moving_shapes(folder, train=2, val=1, frames=3, size=(64, 96))
    code, out, _ = prepare()
    assert code == 0
    assert "train: 2 examples" in out
    ours = prepared_clips(tmp_path / "out", "train")
    for one, other in zip(ours, davis_clips(folder, 2017, "train"), strict=True):
        np.testing.assert_array_equal(one.mask(2), other.mask(2))
    code, _, error = prepare()
    assert code == 2
    assert "exists already" in error
    assert prepare(overwrite=True)[0] == 0


def test_folders_that_hold_something_else_are_refused(prepare, tmp_path):
    code, _, error = prepare(data_dir=tmp_path / "nowhere")
    assert (code, "nowhere" in error) == (2, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    code, _, error = prepare(data_dir=tmp_path / "other")
    assert (code, "has no list of sequences" in error) == (2, True)
    code, _, error = prepare(data_dir=tmp_path / "other", dataset="coco")
    assert (code, "has no instances_<split>.json" in error) == (2, True)
