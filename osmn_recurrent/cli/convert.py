"""Weights and masks of other programs; `osmn convert KIND --help` lists its flags."""

import sys

from osmn_recurrent import programs

KINDS = {
    "osmn": ("osmn_recurrent.cli.convert_osmn", "OSMN's TF1 checkpoints, safetensors"),
    "vgg16": ("osmn_recurrent.cli.convert_vgg16", "VGG16 of other programs, to start"),
    "backbone": (
        "osmn_recurrent.cli.convert_backbone",
        "MobileNet and EfficientNet-Lite of ImageNet, to start",
    ),
    "masks": ("osmn_recurrent.cli.convert_masks", "masks of other programs"),
    "export": ("osmn_recurrent.cli.convert_export", "to TF1, safetensors, half files"),
}
"""Module and one line of help per kind."""


def call(argv):
    """Runs `osmn convert KIND ...`.

    Args:
        argv: list of str, the program's name first.

    Returns:
        Exit code, as of `programs.call`.
    """
    return programs.dispatch(argv, KINDS, __doc__)


def console():
    """Entry of `python -m`."""
    programs.leave(call, sys.argv)


if __name__ == "__main__":
    console()
