"""Flags that several programs share, and how their values are read."""

import ast

from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import ENLARGE, GUIDES_FROM
from osmn_recurrent.models.presets import PRESETS


def define_dataset(flag_values, name=None, required=True):
    """Defines the flags that name a set of clips.

    Args:
        flag_values: where to define them.
        name: the data set that --dataset names by default.
        required: whether --dataset (without a default) and --data_dir must be
            given.
    """
    needed = required and name is None
    shared.define(flag_values, "dataset", name, required=needed)
    shared.define(flag_values, "data_dir", required=required)
    note = "YouTube-Objects without lists: all."
    shared.define(flag_values, "split", "val", note=note)
    shared.define(flag_values, "resolution", "480p")


def dataset_arguments(flag_values):
    """The values of `define_dataset` that another program needs for the same set."""
    return {name: flag_values[name].value for name in ("dataset", "data_dir", "split")}


def dataset_place(flag_values):
    """The values of `define_dataset` as `registry.clips` takes them."""
    names = ("dataset", "data_dir", "split", "resolution")
    return [flag_values[name].value for name in names]


def define_network(flag_values):
    """Defines --backbone and --model_option, for weights that do not know them."""
    note = "Default: vgg16, or what a .keras file or a preset says."
    shared.define(flag_values, "backbone", note=note)
    shared.define(flag_values, "model_option", [])


def define_model(flag_values):
    """Defines --model, for weights that do not know it."""
    note = "Needed with a .weights.h5 file."
    shared.define(flag_values, "model", note=note)


def define_loop(flag_values):
    """Defines how a network runs over a video."""
    note = (
        "Default: the preset's, or the frames' own. The release stretches to 480x854 "
        "(DAVIS), 360x640 (YouTube-Objects), 256x448 (YouTube-VOS)."
    )
    shared.define(flag_values, "precision", "float32")
    shared.define(flag_values, "merge", "argmax")
    define_masks_between(flag_values)
    shared.define(flag_values, "working_size", note=note)
    shared.define(
        flag_values,
        "search_area",
        note="Default: the preset's, if it is not fine-tuned, or 0.",
    )
    shared.define(flag_values, "refine", "none")
    for name in GUIDE_OPTIONS:
        shared.define(flag_values, f"guide_{name}", False)


def define_masks_between(flag_values):
    """Defines what becomes of masks between frames."""
    shared.define(flag_values, "guides_from", GUIDES_FROM[0])
    shared.define(flag_values, "enlarge", ENLARGE[0])


LOOP = ("precision", "merge", "refine", "guides_from", "enlarge")
"""Flags of `define_loop` that a segmenter takes as they are."""


GUIDE_OPTIONS = ("keep_aspect", "keep_background")
"""Arguments of `guides.visual_guide`; their flags have `guide_` before."""


def loop_options(flag_values, weights):
    """The values of `define_loop`, for `tuning.make_segmenter`.

    Args:
        flag_values: where they were defined.
        weights: what --weights names; a preset may say how to see frames.
    """
    options = {name: flag_values[name].value for name in LOOP}
    seen = {n: True for n in GUIDE_OPTIONS if flag_values[f"guide_{n}"].value}
    return {
        **options,
        "visual_guide": seen,
        "working_size": working_size(flag_values, weights),
        "search_area": search_area(flag_values, weights),
        # Tuned networks learned the first frame whole; see presets.Preset.
        "tuned_search_area": search_area(flag_values),
    }


def working_size(flag_values, weights):
    """The value of --working_size, or else that of the preset `weights`."""
    if flag_values.working_size is None and weights in PRESETS:
        return PRESETS[weights].working_size
    return parse_working_size(flag_values.working_size)


def search_area(flag_values, weights=None):
    """The value of --search_area, or else that of the preset `weights`, if given."""
    value = flag_values.search_area
    if value is None and weights in PRESETS:
        return PRESETS[weights].search_area
    if value and value < 1:
        raise InputError(
            f"--search_area={value:g} is less than the objects' box; give 0 for whole "
            "frames, or at least 1, such as 3."
        )
    return value or None


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


def parse_model_options(texts):
    """`["coupling=residual"]` to `{"coupling": "residual"}`.

    Args:
        texts: list of KEY=VALUE; values are Python literals (64, (4, 5)), True, False
            or None in any case, or else text.

    Raises:
        InputError: an entry without "=".
    """
    options = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(
                f"--model_option={text} has no '=', expected KEY=VALUE such as "
                "coupling=residual."
            )
        try:
            named = value.strip().capitalize()
            options[key] = ast.literal_eval(
                named if named in ("True", "False", "None") else value
            )
        except (ValueError, SyntaxError):
            options[key] = value
    return options
