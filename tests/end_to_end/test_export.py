"""osmn_recurrent.cli.export: files that give the network's outputs."""

import json

import pytest

from osmn_recurrent import programs
from osmn_recurrent.cli import export


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the program; gives `(exit code, stdout, stderr)`."""

    def call(**given):
        for name in export.FLAGS:
            export.FLAGS[name].unparse()
        given = {"out": tmp_path / "out", "height": 48, "width": 64, **given}
        arguments = [f"--{key}={value}" for key, value in given.items()]
        code = programs.call(export.main, export.FLAGS, ["export", *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


def test_files_are_written_checked_and_not_replaced(run, random_weights, tmp_path):
    given = {"weights": random_weights["osmn.weights.h5"], "formats": "saved_model"}
    code, _, error = run(**given)
    assert code == 2 and "give --model" in error
    code, said, _ = run(**given, model="osmn", backbone="vgg16_compact")
    assert code == 0
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert {row["function"] for row in record["files"]} == {"adapt", "heat_map", "step"}
    assert all(float(row["largest difference"]) < 1e-3 for row in record["files"])
    assert "largest difference" in said
    code, _, error = run(**given, model="osmn", backbone="vgg16_compact")
    assert code == 2 and "export.json" in error
    code, _, error = run(**{**given, "formats": "onyx"})
    assert code == 2 and "expected some of" in error


def test_whole_frames_at_the_presets_size(run, tmp_path):
    given = {"weights": "osmn-compact", "formats": "litert", "width": 96}
    code, _, error = run(**given, working_size=32)
    assert code == 2 and "--working_size needs --whole" in error
    code, said, _ = run(**given, whole=True)
    assert code == 0
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert {row["function"] for row in record["files"]} == {"begin", "follow"}
    assert record["working_size"] == [160, 320]  # its shorter side is 160
    assert (tmp_path / "out" / "follow.tflite").is_file() and "follow" in said
