"""Makes videos, trains OSMN and ReConvNet on them, and compares the two.

    python -m experiments.demo --out=runs/demo

Moving textured shapes are drawn and written in DAVIS-2017 layout, compact
OSMN is trained on them, compact ReConvNet is trained from it, and held-out
clips are segmented with both and with "copy the first mask". The out folder
then holds results.json, report.html, contact_sheet.png, an overlay video per
network, and everything in between. A run that broke off goes on with the
first stage that is not finished.
"""

import dataclasses
import pathlib

from absl import flags

from osmn_recurrent import files, programs

FLAGS = flags.FlagValues()
flags.DEFINE_string("out", "runs/demo", "Folder for everything.", flag_values=FLAGS)
flags.DEFINE_integer(
    "seed", 0, "Fixes videos, initial weights and data order.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "train_clips", 80, "Clips to train on.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer(
    "val_clips", 6, "Held-out clips.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer(
    "frames", 20, "Frames per clip.", lower_bound=5, flag_values=FLAGS
)
flags.DEFINE_integer("height", 120, "Height of the videos.", flag_values=FLAGS)
flags.DEFINE_integer("width", 214, "Width of the videos.", flag_values=FLAGS)
flags.DEFINE_integer(
    "osmn_steps", 700, "Training steps of OSMN.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer(
    "reconvnet_steps",
    200,
    "Training steps of ReConvNet.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "overwrite", False, "Begin anew in a folder that is in use.", flag_values=FLAGS
)

COPY = "copy the first mask"
"""The yardstick: the object stays where it was."""
