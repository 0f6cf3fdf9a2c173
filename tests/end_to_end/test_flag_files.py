"""Every flag file parses, makes settings and says what it is."""

import pathlib

import pytest

from osmn_recurrent import programs
from osmn_recurrent.cli import train_flags

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "flags"
FILES = sorted(FOLDER.glob("*.flags"))


def test_there_are_flag_files():
    assert {"osmn_stage1a", "osmn_stage2", "reconvnet_davis17"} <= {
        path.stem for path in FILES
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_flag_file_makes_settings(path):
    for name in train_flags.FLAGS:
        train_flags.FLAGS[name].unparse()
    found = []

    def main():
        found.append(train_flags.settings_from_flags())
        train_flags.model_options()

    arguments = ["train", f"--flagfile={path}", "--data_dir=x", "--workdir=y"]
    assert programs.call(main, train_flags.FLAGS, arguments) == 0
    found[0].check()
    header = path.read_text()
    assert f"--flagfile=experiments/flags/{path.name}" in header  # the exact command
    assert path.stem.startswith("study_") or "Expected" in header


def test_the_papers_rates_and_batches():
    for name in train_flags.FLAGS:
        train_flags.FLAGS[name].unparse()
    path, found = FOLDER / "reconvnet_davis17.flags", []
    arguments = ["train", f"--flagfile={path}", "--data_dir=x", "--workdir=y"]
    programs.call(
        lambda: found.append(train_flags.settings_from_flags()),
        train_flags.FLAGS,
        arguments,
    )
    settings = found[0]
    assert (settings.learning_rate, settings.recurrent_learning_rate) == (1e-6, 1e-5)
    assert settings.loss == "lovasz_hinge" and settings.patience
