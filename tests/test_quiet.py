"""A quiet start: native messages are held back, and shown when loading fails."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from osmn_recurrent import programs
from absl import flags

def main():
    import tensorflow
    os.write(2, b"from the program\\n")

sys.exit(programs.call(main, flags.FlagValues(), ["program"]))
"""
LOADS = "import os; os.write(2, b'start-up ' + b'line\\n');"
DEVICES = "\nclass config:\n list_physical_devices = lambda: os.write(2, b'cuInit\\n')"


def run_with(tmp_path, source):
    """Runs the program above with a TensorFlow that consists of `source`."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )


def test_messages_of_loading_are_not_shown(tmp_path):
    done = run_with(tmp_path, LOADS + DEVICES)
    assert (done.returncode, done.stderr) == (0, "from the program\n")


@pytest.mark.parametrize(
    ("fault", "code"),
    [("raise ImportError('no library')", 1), ("os.abort()", -6)],
)
def test_messages_are_shown_where_loading_fails(tmp_path, fault, code):
    done = run_with(tmp_path, LOADS + fault)
    assert done.returncode == code
    assert done.stderr.count("start-up line") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tensorflow"]


def test_tensorflow_itself_is_quiet():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "from the program\n")
