"""Loads VGG16 of other programs as start weights of our networks.

    osmn convert vgg16 \\
        --checkpoint=vgg_16.ckpt --model=osmn --out=osmn_start.weights.h5

checkpoints_tools/import_vgg16.py says which files are read, and what becomes of their
colours.
"""

from absl import flags

from checkpoints_tools import load_vgg16, open_weights
from checkpoints_tools.import_vgg16 import PARTS
from osmn_recurrent import programs
from osmn_recurrent.cli import conversion, shared

FLAGS = flags.FlagValues()
shared.define(FLAGS, "checkpoint", required=True)
shared.define(FLAGS, "into", list(PARTS), note="The papers start both.")
shared.define(FLAGS, "swap_rgb", False, note="For slim's and torchvision's VGG16.")
shared.define(FLAGS, "allow_pickle", False)
shared.define(FLAGS, "first_layer", "normal")
conversion.define_flags(FLAGS)


def main():
    """Makes start weights; see the module's text."""
    return conversion.convert(
        FLAGS,
        lambda model: load_vgg16(
            model,
            FLAGS.checkpoint,
            tuple(dict.fromkeys(FLAGS.into)),
            FLAGS.swap_rgb,
            FLAGS.allow_pickle,
            FLAGS.allow_missing or None,
            FLAGS.first_layer,
        ),
        open_weights(FLAGS.checkpoint, FLAGS.allow_pickle),
    )


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
