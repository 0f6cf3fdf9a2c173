"""Trains a network on DAVIS-layout clips (phase 2 of both papers).

Example, ReConvNet from OSMN's weights as in its paper:

    python -m experiments.train --model=reconvnet --init_from=osmn.keras \\
        --data_dir=DAVIS --split=train --loss=lovasz_hinge --clip_length=4 \\
        --workdir=runs/reconvnet

Writes model.keras, loss.csv and run.json into the work folder.
"""

import pathlib

from absl import flags

from osmn_recurrent import files, programs
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import NAMES, SIZE_NAMES

FLAGS = flags.FlagValues()

flags.DEFINE_enum(
    "model",
    "osmn",
    NAMES,
    "Network to train.",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "size",
    "full",
    SIZE_NAMES,
    "Channel counts: the papers', or small.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "init_from",
    None,
    "A .keras file to start from: this network's or a smaller one's "
    "(OSMN into ReConvNet, as in the paper). Default: new weights.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "data_dir",
    None,
    "DAVIS folder (JPEGImages, Annotations, ImageSets).",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_enum("year", "2017", ["2016", "2017"], "DAVIS edition.", flag_values=FLAGS)
flags.DEFINE_string("split", "train", "List under ImageSets.", flag_values=FLAGS)
flags.DEFINE_string("resolution", "480p", "Folder under JPEGImages.", flag_values=FLAGS)
flags.DEFINE_string(
    "workdir", None, "Folder for the results.", required=True, flag_values=FLAGS
)
flags.DEFINE_bool(
    "overwrite", False, "Replace a finished training there.", flag_values=FLAGS
)
flags.DEFINE_enum(
    "loss",
    "balanced_cross_entropy",
    ["balanced_cross_entropy", "lovasz_hinge"],
    "OSMN: balanced_cross_entropy; ReConvNet: lovasz_hinge.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "steps", 50_000, "Optimiser steps (OSMN, stage 2: 50000).", flag_values=FLAGS
)
flags.DEFINE_integer(
    "batch_size", 4, "Samples per step (OSMN, stage 2: 4).", flag_values=FLAGS
)
flags.DEFINE_float(
    "learning_rate",
    1e-6,
    "Rate of the non-recurrent parts (papers: 1e-6).",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "recurrent_learning_rate",
    1e-5,
    "Rate of the ConvLSTMs (ReConvNet: 1e-5).",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "height", 480, "Height of the network image at scale 1.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "width", 854, "Width of the network image at scale 1.", flag_values=FLAGS
)
flags.DEFINE_list(
    "scales",
    ["0.5", "0.8", "1.0"],
    "Scales drawn per batch (OSMN: 0.5,0.8,1).",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "clip_length",
    0,
    "Frames per sample; 0: single frames. ReConvNet's paper gives none.",
    lower_bound=0,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "stride", 1, "Steps between the frames of a sample.", flag_values=FLAGS
)
flags.DEFINE_bool(
    "freeze_batch_norm",
    True,
    "Keep batch statistics (OSMN, stage 2: true).",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "mixed_bfloat16", "mixed_float16"],
    "Keras policy; logits, losses and moments stay float32.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "seed", 0, "Fixes data order, augmentation, initialisation.", flag_values=FLAGS
)


def settings_from_flags():
    """The `TrainSettings` that the flags describe.

    Raises:
        InputError: flags that contradict each other or make no sense.
    """
    for name in ("learning_rate", "recurrent_learning_rate"):
        if FLAGS[name].value <= 0:
            raise InputError(
                f"--{name}={FLAGS[name].value:g} must be above 0; to keep a part "
                "as it is give it a tiny rate."
            )
    try:
        scales = tuple(float(scale) for scale in FLAGS.scales)
    except ValueError:
        scales = ()
    if not scales or min(scales) <= 0:
        raise InputError(
            f"--scales={','.join(FLAGS.scales)} must be numbers above 0, such as "
            "0.5,0.8,1."
        )
    from osmn_recurrent.training.samples import SampleSettings
    from osmn_recurrent.training.trainer import TrainSettings

    return TrainSettings(
        samples=SampleSettings(
            size=(FLAGS.height, FLAGS.width),
            scales=scales,
            clip_length=FLAGS.clip_length or None,
            stride=FLAGS.stride,
        ),
        loss=FLAGS.loss,
        steps=FLAGS.steps,
        batch_size=FLAGS.batch_size,
        learning_rate=FLAGS.learning_rate,
        recurrent_learning_rate=FLAGS.recurrent_learning_rate,
        freeze_batch_norm=FLAGS.freeze_batch_norm,
        seed=FLAGS.seed,
    )


def start_from(model, path):
    """`presets.start_from` of a stored network, with errors that name it."""
    from osmn_recurrent.models import presets

    source = presets.load_model(path)
    try:
        return presets.start_from(model, source)
    except ValueError as error:
        raise InputError(
            f"{path} cannot start a training of {FLAGS.model} ({error}); choose "
            "the network, size and options that it was saved from."
        ) from None


def main():
    """Trains; see the module's text."""
    workdir = pathlib.Path(FLAGS.workdir)
    settings = settings_from_flags()
    files.refuse_to_overwrite(workdir / "model.keras", FLAGS.overwrite)
    clips = davis_clips(FLAGS.data_dir, int(FLAGS.year), FLAGS.split, FLAGS.resolution)
    from osmn_recurrent.models import presets
    from osmn_recurrent.training import trainer

    model = presets.build_model(FLAGS.model, FLAGS.size, dtype=FLAGS.precision)
    if FLAGS.init_from:
        fresh = start_from(model, FLAGS.init_from)
        print(f"started from {FLAGS.init_from}; new: {len(fresh)} variables")
    path = trainer.train(model, clips, settings, workdir, FLAGS.model)
    print(f"trained network: {path}")


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
