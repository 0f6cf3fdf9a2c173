"""Semi-supervised video object segmentation: `osmn VERB --help` lists flags."""

import importlib.util
import sys

import osmn_recurrent
from osmn_recurrent import programs

VERBS = {
    "segment": ("osmn_recurrent.cli.segment", "masks of a video from its first mask"),
    "studio": ("osmn_recurrent.cli.studio", "a page to paint, propagate and correct"),
    "train": ("osmn_recurrent.cli.train", "train a network"),
    "finetune": ("osmn_recurrent.cli.finetune", "tune a network to first frames"),
    "evaluate": ("osmn_recurrent.cli.evaluate", "official scores of masks"),
    "benchmark": ("osmn_recurrent.cli.benchmark", "networks and masks in one table"),
    "report": ("osmn_recurrent.cli.report", "a page that shows masks and scores"),
    "refine": ("osmn_recurrent.cli.refine", "fit masks to the edges of frames"),
    "convert": ("osmn_recurrent.cli.convert", "weights from and to other programs"),
    "inspect": ("osmn_recurrent.cli.inspect", "what a weights file holds"),
    "export": ("osmn_recurrent.cli.export", "SavedModel, ONNX, LiteRT"),
    "prepare": ("osmn_recurrent.cli.prepare", "data sets as TFRecord files"),
    "demo": ("osmn_recurrent.cli.demo", "draw videos, train on them, compare"),
}
"""Module and one line of help per verb."""

UNLISTED = {
    "prepare-data": ("osmn_recurrent.cli.prepare", ""),
    "tables": ("experiments.tables", ""),
    "figures": ("experiments.figures", ""),
}
"""Other names of verbs, and programs that only a checkout has."""


def console():
    """Entry of the console command."""
    programs.leave(call, sys.argv)


def call(argv):
    """Runs `osmn VERB ...`.

    Args:
        argv: list of str, the program's name first.

    Returns:
        Exit code, as of `programs.call`.
    """
    if argv[1:2] == ["--version"]:
        print(f"osmn_recurrent {osmn_recurrent.__version__}")
        return 0
    table = VERBS
    if argv[1:2] and argv[1] in UNLISTED:
        package = UNLISTED[argv[1]][0].partition(".")[0]
        if importlib.util.find_spec(package):
            table = UNLISTED
    return programs.dispatch(["osmn", *argv[1:]], table, __doc__)


if __name__ == "__main__":
    console()
