"""Flags that several programs have: each means the same in all of them."""

import dataclasses

from absl import flags

from osmn_recurrent import backbones
from osmn_recurrent.datasets import registry
from osmn_recurrent.inference import ENLARGE, GUIDES_FROM
from osmn_recurrent.models import NAMES
from osmn_recurrent.models.precision import PRECISIONS

DATASETS = f"{', '.join(registry.BUILT_IN)}, or one of a plug-in"
"""Names of data sets, for help texts; `registry.names` tells them all."""

AUTO = "auto"
"""Value of --finetune_steps, see `tuning.steps_for`."""


class _StepsParser(flags.ArgumentParser):
    """A number of steps, or "auto"."""

    syntactic_help = "a whole number from 0 on, or auto"

    def flag_type(self):
        return "int or auto"

    def parse(self, argument):
        if argument == AUTO:
            return argument
        try:
            steps = int(argument)
        except (TypeError, ValueError):
            steps = -1
        if steps < 0:
            raise ValueError(f"expected {self.syntactic_help}")
        return steps


def _define_steps(name, default, text, flag_values):
    flags.DEFINE(_StepsParser(), name, default, text, flag_values)


_DEFINE = {
    "steps": _define_steps,
    "text": flags.DEFINE_string,
    "list": flags.DEFINE_list,
    "repeated": flags.DEFINE_multi_string,
    "choice": flags.DEFINE_enum,
    "choices": flags.DEFINE_multi_enum,
    "whole": flags.DEFINE_integer,
    "number": flags.DEFINE_float,
    "switch": flags.DEFINE_bool,
}


@dataclasses.dataclass(frozen=True)
class Shared:
    """A flag.

    Attributes:
        kind: key of `_DEFINE`.
        help: what it means, whatever the program.
        values: of a choice or choices.
        least: smallest value of a number, or None.
        most: largest value, or None.
    """

    kind: str
    help: str
    values: tuple = ()
    least: float | None = None
    most: float | None = None


SHARED = {
    # What goes in.
    "weights": Shared("text", "A .keras or .weights.h5 file, or a preset."),
    "model": Shared("choice", "Network.", NAMES),
    "backbone": Shared(
        "choice", "Trunk of the network (papers: vgg16).", backbones.NAMES
    ),
    "model_option": Shared(
        "repeated",
        "KEY=VALUE of the network's class, such as coupling=residual; repeat it for "
        "several.",
    ),
    "mod_early_conv": Shared("switch", "The variant that modulates conv1-2."),
    "use_visual_modulator": Shared("switch", "OSMN with gammas (Table 3)."),
    "use_spatial_modulator": Shared("switch", "OSMN with betas (Table 3)."),
    "checkpoint": Shared("text", "What is read: a file, or a checkpoint's prefix."),
    "allow_missing": Shared(
        "text",
        "Regular expression: variables that may be missing, left over, shaped "
        "otherwise or not finite; they are not loaded.",
    ),
    "into": Shared(
        "choices",
        "Part to load it into; may be given twice.",
        ("seg", "modulator"),
    ),
    "first_layer": Shared(
        "choice",
        "MaskTrack's first kernel, of which the mask is a channel more, started from "
        "VGG16: new from N(0, 0.001), as released, or VGG16's and zeros for the mask.",
        ("normal", "copy"),
    ),
    "swap_rgb": Shared(
        "switch", "Reverse the colours that the trunk's first layer reads."
    ),
    "allow_pickle": Shared(
        "switch", "Read a pickled .npy file; give it only for files you trust."
    ),
    "probe": Shared(
        "text",
        "A .npz file with inputs and the outputs that the original program made of "
        "them (see checkpoints_tools/probes.py); what differs is refused.",
    ),
    "video": Shared("text", "Video file or folder of frames."),
    "mask": Shared("text", "Mask file of the first frame."),
    "results": Shared("text", "Folder of masks, one folder per sequence in it."),
    "masks": Shared(
        "repeated",
        "Folder of masks that is a row of the table too, NAME:FOLDER; repeat it for "
        "several.",
    ),
    "benchmark": Shared("text", "results.json of osmn benchmark."),
    # Data sets.
    "dataset": Shared(
        "text",
        f"Data set, and its rules: {DATASETS}; the DAVIS ones fit anything laid out "
        "like it. youtube_objects_labelled is the release's way: first shots, labelled "
        "frames alone; so is youtube_vos_listed: objects in their listed frames alone.",
    ),
    "data_dir": Shared("text", "Folder of the data set."),
    "split": Shared("text", "List of sequences (COCO: of images) in the data set."),
    "resolution": Shared(
        "text",
        "Folder under JPEGImages and Annotations, or two, FRAMES:MASKS "
        "(Full-Resolution:480p is the release's --use_full_res); DAVIS only.",
    ),
    "train_split": Shared("text", "List of the training clips."),
    "val_split": Shared("text", "List of the clips that are not trained on."),
    "height": Shared("whole", "Height of the frames in pixels.", least=1),
    "width": Shared("whole", "Width of the frames in pixels.", least=1),
    "objects": Shared("whole", "Number of objects.", least=1),
    # The loop over a video.
    "precision": Shared(
        "choice",
        "Type that layers compute in; images, guides, logits, losses and moments stay "
        "float32 (papers: float32).",
        tuple(PRECISIONS),
    ),
    "precisions": Shared("list", f"Of {', '.join(PRECISIONS)}."),
    "merge": Shared(
        "choice",
        "Merge of several objects: OSMN's arg-max over a background of 0.5, or STM's "
        "soft aggregation.",
        ("argmax", "soft"),
    ),
    "guides_from": Shared(
        "choice",
        "Masks that the next guides are made from, with several objects: merged, in "
        "which no two overlap, or each object's own, as in the release.",
        GUIDES_FROM,
    ),
    "enlarge": Shared(
        "choice",
        "What is brought to the frame's size where --working_size differs: "
        "probabilities (bilinear), or labels (nearest), as in the release.",
        ENLARGE,
    ),
    "working_size": Shared(
        "text",
        "Size at which the network sees the frames: shorter side (480) or HEIGHTxWIDTH "
        "(480x854).",
    ),
    "search_area": Shared(
        "number",
        "The network sees the area around the objects' last masks, with sides of so "
        "many times their box's and at least half the frame's: small objects are seen "
        "larger. 0: whole frames (papers).",
        least=0.0,
    ),
    "guide_keep_aspect": Shared(
        "switch",
        "Do not stretch the visual guide to a square, but pad it, in training and in "
        "testing (release --vg_keep_aspect_ratio, off in all figures).",
    ),
    "guide_keep_background": Shared(
        "switch",
        "Leave the background in the visual guide, a box being all that is known, in "
        "training and in testing (release --bbox_sup, off in all figures).",
    ),
    "refine": Shared(
        "choice",
        "Fit every mask to its frame's edges before the next one is made: dense CRF "
        "(extra crf) or guided filter. After the last mask, as in the papers: osmn "
        "refine.",
        ("none", "crf", "guided"),
    ),
    "finetune_steps": Shared(
        "steps",
        "Steps of online fine-tuning per object (papers: OSMN 100, ReConvNet 300, "
        "OSVOS 500, MaskTrack 200); 0: none; auto: the network's own number, where "
        "that was measured to help (lite networks, clips of 20 frames or more with one "
        "mask), or else none.",
    ),
    # Training and tuning.
    "init_from": Shared("text", "Weights to start from."),
    "trainable": Shared(
        "text", "Regular expression of the variables that move. Default: all."
    ),
    "steps": Shared("whole", "Optimiser steps.", least=1),
    "osmn_steps": Shared("whole", "Optimiser steps of OSMN.", least=1),
    "reconvnet_steps": Shared("whole", "Optimiser steps of ReConvNet.", least=1),
    "batch_size": Shared("whole", "Samples per step, over all devices.", least=1),
    "clip_length": Shared(
        "whole", "Frames per training sample; 0: single frames.", least=0
    ),
    "crop": Shared(
        "number",
        "Random crops keep at least this share of each side; 1: none.",
        least=0.0,
        most=1.0,
    ),
    "loss": Shared(
        "text",
        "Training loss: balanced_cross_entropy (OSMN), lovasz_hinge (ReConvNet), "
        "cross_entropy_lovasz, or one of a plug-in.",
    ),
    "reduction": Shared(
        "choice",
        "Of the balanced cross-entropy: summed over the batch as released, or its "
        "mean.",
        ("sum", "image_mean"),
    ),
    "learning_rate": Shared("number", "Rate of the non-recurrent parts.", least=0.0),
    "recurrent_learning_rate": Shared(
        "number", "Rate of the ConvLSTMs (ReConvNet: 1e-5).", least=0.0
    ),
    "final_rate": Shared(
        "number", "Share of the rates that a cosine ends with; 1: none.", least=0.0
    ),
    "clip_norm": Shared(
        "number", "Largest norm of the gradient; 0: no clipping (papers).", least=0.0
    ),
    "freeze_batch_norm": Shared("switch", "Keep batch statistics (OSMN, stage 2)."),
    # The run.
    "seed": Shared("whole", "Fixes all that is drawn at random.", least=0),
    "processes": Shared(
        "whole",
        "Processes that score at a time. Default: one per core.",
        least=1,
    ),
    "rounds": Shared("whole", "Turns that are measured.", least=1),
    "out": Shared("text", "Where the results go."),
    "overwrite": Shared(
        "switch", "Replace what is there instead of resuming or refusing."
    ),
}
"""By name. A program adds a default, and a note on what is special about it there."""


def define(flag_values, name, default=None, note="", **options):
    """Defines a shared flag in a program.

    Args:
        flag_values: the program's `absl.flags.FlagValues`.
        name: key of `SHARED`.
        default: its value where it is not given.
        note: what is special about it in this program, such as the meaning of the
            default; comes behind the shared text.
        **options: `required=True`, or `several=True` for a program that takes several
            such values (the flag is repeated: a path may have commas), or
            `lower_bound` where small values make no sense.
    """
    shared = SHARED[name]
    text = f"{shared.help} {note}".strip()
    if options.pop("several", False):
        text = f"{text} Repeat it for several."
        flags.DEFINE_multi_string(
            name, default, text, flag_values=flag_values, **options
        )
        return
    bounds = {"lower_bound": shared.least, "upper_bound": shared.most}
    if shared.kind in ("whole", "number"):
        options = {**bounds, **options}
    values = [list(shared.values)] if shared.kind.startswith("choice") else []
    _DEFINE[shared.kind](
        name, default, *values, text, flag_values=flag_values, **options
    )
