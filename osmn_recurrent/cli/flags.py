"""Flags that several programs share, and how their values are read."""

import ast

from absl import flags

from osmn_recurrent import backbones
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import NAMES
from osmn_recurrent.models.published import PRESETS

DATASETS = f"{', '.join(registry.BUILT_IN)}, or one of a plug-in"
"""Names of data sets, for help texts; `registry.names` tells them all."""


def define_dataset(flag_values, name=None, required=True):
    """Defines the flags that name a set of clips.

    Args:
        flag_values: where to define them.
        name: the data set that --dataset names by default.
        required: whether --dataset (without a default) and --data_dir must be
            given.
    """
    own = {"flag_values": flag_values}
    flags.DEFINE_string(
        "dataset",
        name,
        f"Data set, and its rules: {DATASETS}; the DAVIS ones fit anything laid out "
        "like it.",
        required=required and name is None,
        **own,
    )
    flags.DEFINE_string(
        "data_dir", None, "Folder of the data set.", required=required, **own
    )
    flags.DEFINE_string(
        "split",
        "val",
        "List of sequences in the data set; YouTube-Objects without lists: all.",
        **own,
    )
    flags.DEFINE_string(
        "resolution",
        "480p",
        "Folder under JPEGImages and Annotations; DAVIS only.",
        **own,
    )


def define_processes(flag_values):
    """Defines --processes of programs that score."""
    flags.DEFINE_integer(
        "processes",
        None,
        "Processes that score at a time. Default: one per core.",
        lower_bound=1,
        flag_values=flag_values,
    )


def dataset_arguments(flag_values):
    """The values of `define_dataset` that another program needs for the same set."""
    return {name: flag_values[name].value for name in ("dataset", "data_dir", "split")}


def dataset_place(flag_values):
    """The values of `define_dataset` as `registry.clips` takes them."""
    names = ("dataset", "data_dir", "split", "resolution")
    return [flag_values[name].value for name in names]


def define_network(flag_values):
    """Defines --backbone and --model_option, for weights that do not know them."""
    flags.DEFINE_enum(
        "backbone",
        None,
        backbones.NAMES,
        "Trunk of the network (papers: vgg16). Default: vgg16, or what a .keras file "
        "or a preset says.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "model_option",
        [],
        "KEY=VALUE of the network's class, such as coupling=residual; repeat it "
        "for several.",
        flag_values=flag_values,
    )


def define_model(flag_values):
    """Defines --model, for weights that do not know it."""
    flags.DEFINE_enum(
        "model",
        None,
        NAMES,
        "Network; needed with a .weights.h5 file.",
        flag_values=flag_values,
    )


def define_loop(flag_values):
    """Defines how a network runs over a video."""
    own = {"flag_values": flag_values}
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "bfloat16", "float16"],
        "Type that layers compute in (papers: float32).",
        **own,
    )
    flags.DEFINE_enum(
        "merge",
        "argmax",
        ["argmax", "soft"],
        "Merge of several objects: OSMN's arg-max over a background of 0.5, or "
        "STM's soft aggregation.",
        **own,
    )
    flags.DEFINE_string(
        "working_size",
        None,
        "Size at which the network sees the frames: shorter side (480) or "
        "HEIGHTxWIDTH (480x854). Default: the preset's, or the frames' own, as in the "
        "papers.",
        **own,
    )
    flags.DEFINE_enum(
        "refine",
        "none",
        ["none", "crf", "guided"],
        "Fit every mask to its frame's edges before the next one is made: dense CRF "
        "(extra crf) or guided filter. After the last mask, as in the papers: "
        "osmn_recurrent.cli.refine.",
        **own,
    )


def loop_options(flag_values, weights):
    """The values of `define_loop`, for `tuning.make_segmenter`.

    Args:
        flag_values: where they were defined.
        weights: what --weights names; a preset may have a working size.
    """
    options = {n: flag_values[n].value for n in ("precision", "merge", "refine")}
    return {**options, "working_size": working_size(flag_values, weights)}


def working_size(flag_values, weights):
    """The value of --working_size, or else that of the preset `weights`."""
    if flag_values.working_size is None and weights in PRESETS:
        return PRESETS[weights].working_size
    return parse_working_size(flag_values.working_size)


def parse_working_size(text, flag="working_size"):
    """`"480"` to 480, `"480x854"` to (480, 854), None to None.

    Args:
        text: the flag's value.
        flag: its name, for errors.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return None
    try:
        lengths = [int(part) for part in text.lower().split("x")]
    except ValueError:
        lengths = []
    if len(lengths) not in (1, 2) or min(lengths) < 16:
        raise InputError(
            f"--{flag}={text} is no size, expected the shorter side or "
            "HEIGHTxWIDTH, at least 16 pixels each, such as 480 or 480x854."
        )
    return lengths[0] if len(lengths) == 1 else tuple(lengths)


def parse_model_options(texts, flag="model_option"):
    """`["coupling=residual"]` to `{"coupling": "residual"}`.

    Args:
        texts: list of KEY=VALUE; values are Python literals (True, 64, (4, 5)), or
            else text.
        flag: the flag's name, for errors.

    Raises:
        InputError: an entry without "=".
    """
    options = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(
                f"--{flag}={text} has no '=', expected KEY=VALUE such as "
                "coupling=residual."
            )
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value
    return options
