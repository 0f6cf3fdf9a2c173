"""Every flag file parses, makes settings and says what it is."""

import pathlib

import pytest

from experiments import finetune_online, train, train_flags
from osmn_recurrent import programs

FOLDER = pathlib.Path(train.__file__).parent / "flags"
TUNING = FOLDER / "lab_finetune.flags"
FILES = sorted(set(FOLDER.glob("*.flags")) - {TUNING})


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
    assert path.stem.startswith("lab_") or "Expected" in header


def test_the_flag_file_of_fine_tuning_parses():
    text = TUNING.read_text()
    assert f"--flagfile=experiments/flags/{TUNING.name}" in text
    arguments = [f"--flagfile={TUNING}", "--weights=w.keras", "--out=x"]
    assert programs.call(lambda: None, finetune_online.FLAGS, ["x", *arguments]) == 0
    assert finetune_online.FLAGS.learning_rate == 1e-4


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
