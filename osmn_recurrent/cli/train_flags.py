"""Flags of `osmn train`, and the settings they describe."""

import dataclasses
import re

from absl import flags

from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError
from osmn_recurrent.training import GUIDE_FRAMES, TARGETS

FLAGS = flags.FlagValues()


def _text(name, default, help_text, **more):
    flags.DEFINE_string(name, default, help_text, flag_values=FLAGS, **more)


def _choice(name, default, values, help_text):
    flags.DEFINE_enum(name, default, values, help_text, flag_values=FLAGS)


def _switch(name, default, help_text):
    flags.DEFINE_bool(name, default, help_text, flag_values=FLAGS)


def _whole(name, default, help_text, lower_bound=0):
    flags.DEFINE_integer(
        name, default, help_text, lower_bound=lower_bound, flag_values=FLAGS
    )


def _number(name, default, help_text, lower_bound=0.0, upper_bound=None):
    flags.DEFINE_float(
        name,
        default,
        help_text,
        lower_bound=lower_bound,
        upper_bound=upper_bound,
        flag_values=FLAGS,
    )


def _share(name, default, help_text):
    _number(name, default, help_text, upper_bound=1.0)


# The network.
shared.define(FLAGS, "model", "osmn")
shared.define(FLAGS, "backbone", "vgg16")
shared.define(FLAGS, "model_option", [], note="Papers: none.")
shared.define(
    FLAGS,
    "init_from",
    note="SOURCE or SOURCE:PATTERN, with a regular expression of the variables that "
    "it gives, such as vgg_16.ckpt:^modulator/; later ones add to earlier ones. A "
    "source is a .keras or .weights.h5 file of this network or a smaller one (OSMN "
    "into ReConvNet, as in the paper), a preset, imagenet, the prefix of a released "
    "checkpoint, or VGG16 or MobileNet of another program. Default: new weights.",
    several=True,
)
shared.define(FLAGS, "first_layer", "normal")
shared.define(FLAGS, "precision", "float32", note="float16 scales the loss.")

# The data.
shared.define(FLAGS, "dataset", "davis2017", note="Or coco (OSMN, stage 1).")
shared.define(
    FLAGS, "data_dir", note="COCO: with train2017 and annotations.", required=True
)
_switch(
    "prepared",
    False,
    "data_dir is a set that osmn prepare (or TFDS, davis) has written.",
)
_text("cache_dir", None, "Folder of COCO's index. Default: beside the annotations.")
shared.define(FLAGS, "split", note="Default: train, train2017.")
shared.define(FLAGS, "resolution", "480p")
_text(
    "val_dataset",
    None,
    "Kind of the validation's data, with a mask for every frame. Default: that of "
    "dataset, or davis2017.",
)
_text("val_data_dir", None, "DAVIS folder of the validation. Default: data_dir.")
shared.define(FLAGS, "val_split", note="They are validated on. Default: no validation.")
_choice(
    "cache",
    "none",
    ["none", "frames"],
    "Whether the clips' frames stay in memory once they were read.",
)
_switch(
    "pseudo_clips",
    False,
    "Make clips of COCO's images, moved along smooth random paths (not in the papers).",
)
_share(
    "pasted",
    0.0,
    "Share of the pseudo-clips whose object moves over another image.",
)
flags.DEFINE_multi_string(
    "image_dir",
    [],
    "Folder of images (COCO's layout, or JPEGImages, Annotations, ImageSets) that are "
    "mixed with the samples of data_dir, or pseudo-clips of them with --clip_length; "
    "FOLDER:SPLIT names another list; repeat it for several (not in the papers).",
    flag_values=FLAGS,
)
_text("image_split", "train2017", "COCO split under an image_dir that names none.")
_share("image_share", 0.5, "Share of the samples that come from image_dir.")

# Samples.
shared.define(FLAGS, "height", 480, note="At scale 1.")
shared.define(FLAGS, "width", 854, note="At scale 1.")
flags.DEFINE_list(
    "scales",
    ["0.5", "0.8", "1.0"],
    "Scales drawn per batch (OSMN stage 1: 0.8,1,1.2 of 400x400; stage 2: 0.5,0.8,1).",
    flag_values=FLAGS,
)
shared.define(FLAGS, "clip_length", 0, note="ReConvNet's paper gives none.")
_whole("stride", 1, "Steps between the frames of a sample.", 1)
_switch(
    "window",
    False,
    "Show random views of the pictures at one size, scaled and turned, grey outside, "
    "instead of stretching them (papers: stretched).",
)
_share(
    "distractors",
    0.0,
    "Share of the samples with an object of another picture pasted in, which is the "
    "one asked for in half of them (papers: 0).",
)
_share("guide_missing", 0.0, "Share of samples without spatial guide (papers: 0).")
_whole("guide_missing_first", 0, "First steps, in which it is always missing.")
_share("guide_wide", 0.0, "Share whose spatial guide covers two objects (papers: 0).")
_share("guide_other", 0.0, "Share whose spatial guide lies over another object.")
_number(
    "picture_shift",
    0.0,
    "The mask of a single picture moves by up to this share of the object's size "
    "before its spatial guide is made (papers: 0).",
)
_share("light", 0.0, "Strength of another light on frames, not on visual guides.")
_whole("most_stride", 0, "Draw each clip's stride from --stride to this; 0: --stride.")
_share("backwards", 0.0, "Share of the clips that run backwards.")
_whole("guide_distance", 0, "Frames between visual guide and sample (release: 0).")
_share("jerk", 0.0, "Pseudo-clips: share of each frame's own draw in their motion.")
_share("flip", 0.0, "Probability of mirroring (OSMN stage 1: 0.5, stage 2: 0).")
shared.define(FLAGS, "crop", 1.0)
_number(
    "crop_sides",
    0.0,
    "Instead, each side of the picture moves in or out by up to this share, black "
    "outside (release --random_crop_ratio, in its stage 1; 0 by default).",
    upper_bound=0.49,
)
_choice(
    "targets",
    TARGETS[0],
    list(TARGETS),
    "Whether the frames after a sample's first are any, as they come, or those that "
    "show the object, as in the release's stage 2.",
)
_choice(
    "guide_frame",
    GUIDE_FRAMES[0],
    list(GUIDE_FRAMES),
    "Frame of the visual guide: drawn anew for each sample, kept from its first draw "
    "(release with --randomize_guide), or the first that shows the object (without).",
)
_number(
    "colour_jitter",
    0.0,
    "Strength of a random change of colours, one per sample (papers: 0).",
    upper_bound=2.0,
)
_choice(
    "guide_augmentation",
    "osmn",
    ["osmn", "affine", "none"],
    "How guides are disturbed: as OSMN's release; by shift, scale and rotation of both "
    "modulators' inputs, as ReConvNet's paper; or not.",
)

for _name, _default, _text_ in (
    ("guide_margin", 0.1, "Sides of the visual guide's box move by this share"),
    ("guide_rotation", 10.0, "Degrees by which the visual guide turns"),
    ("guide_shift", 0.2, "The Gaussian moves by this share of its sigma"),
    ("guide_spread", 0.4, "Its sigma grows or shrinks by this share"),
    ("mask_shift", 0.2, "MaskTrack's guide moves by this share (its paper: 0.1)"),
    ("mask_scale", 0.2, "MaskTrack's guide grows by this share (its paper: 0.05)"),
):
    _number(_name, _default, f"{_text_}; with --guide_augmentation=osmn (release).")
_switch(
    "guide_light",
    False,
    "Change brightness and contrast of the visual guide alone, by factors from 0.8 to "
    "1.3; with --guide_augmentation=osmn (release --vg_color_aug, off in all figures).",
)
for _name in shared_flags.GUIDE_OPTIONS:
    shared.define(FLAGS, f"guide_{_name}", False, note="Not with affine guides.")
_share("guide_cover", 0.003, "Visual guides come from frames with so much object.")
_share("guide_fill", 0.2, "And whose object fills this share of its box (release).")

# Loss and optimiser.
shared.define(FLAGS, "loss", "balanced_cross_entropy")
shared.define(FLAGS, "reduction", "sum")
shared.define(FLAGS, "steps", 50000, note="OSMN, stage 2: 50000.")
shared.define(FLAGS, "batch_size", 4, note="OSMN: 8, then 4.")
_whole("accumulate", 1, "Parts of a batch whose gradients are added up.", 1)
shared.define(FLAGS, "learning_rate", 1e-06, note="Papers: 1e-6.")
shared.define(FLAGS, "recurrent_learning_rate", 1e-05)
_number(
    "trunk_learning_rate",
    None,
    "Rate of the segmentation network's trunk. Default: learning_rate (papers).",
)
flags.DEFINE_list(
    "rate_drops",
    [],
    "step:factor, from that step on rates are multiplied (OSMN stage 1: 200000:0.1).",
    flag_values=FLAGS,
)
_whole("warmup_steps", 0, "First steps, over which the rates rise (papers: 0).")
shared.define(FLAGS, "final_rate", 1.0)
_number(
    "weight_decay",
    None,
    "Slim's weight decay of kernels. Default: the release's 0.0002 with its summed "
    "loss, 0 with others.",
)
shared.define(FLAGS, "clip_norm", 0.0)
shared.define(FLAGS, "trainable", "")
shared.define(FLAGS, "freeze_batch_norm", True)

# Recurrence.
_whole("truncation", 0, "Frames of back-propagation through time; 0: the whole clip.")
_share(
    "scheduled_sampling",
    0.0,
    "Share of guides made from the network's own predictions.",
)
_whole("scheduled_sampling_steps", 0, "Steps over which that share rises from 0.")
_share("guides_lost", 0.0, "Share of clips in which one guide is all zeros.")
_switch("first_mask_given", False, "Networks with a memory get a clip's first mask.")
_choice("loss_frames", "all", ["all", "last"], "Frames of a clip that have a loss.")
_switch("rematerialise", False, "Less memory, more time: compute feature maps twice.")

# The run.
_text("workdir", None, "Folder for the results.", required=True)
shared.define(FLAGS, "overwrite", False)
_whole("validate_every", 1000, "Steps between validations; 0: only at the end.")
_whole(
    "validate_pieces",
    0,
    "Cut the validation's clips into pieces of about so many frames, each started from "
    "its true mask: more starts, less chance. 0: whole clips. Not with --prepared.",
)
_text(
    "validate_at",
    None,
    "Size at which the network sees the validation's frames: shorter side or "
    "HEIGHTxWIDTH. Default: their own.",
)
_whole("patience", 0, "Validations without a better J before stopping; 0: never.")
_whole("save_every", 1000, "Steps between full states on the disk.")
_choice(
    "strategy",
    "one",
    ["one", "mirrored", "multiworker"],
    "One device, all devices of this machine, or the machines in TF_CONFIG.",
)
shared.define(FLAGS, "seed", 0)


def settings_from_flags():
    """The `TrainSettings` that the flags describe.

    Raises:
        InputError: flags that contradict each other or make no sense.
    """
    for name in ("learning_rate", "recurrent_learning_rate"):
        if FLAGS[name].value <= 0:
            raise InputError(
                f"--{name}={FLAGS[name].value:g} must be above 0; to keep a part "
                "as it is leave it out of --trainable."
            )
    try:
        re.compile(FLAGS.trainable)
    except re.error as error:
        raise InputError(
            f"--trainable={FLAGS.trainable} is no regular expression ({error}); fix it "
            "or leave it out."
        ) from None
    from osmn_recurrent.training.settings import TrainSettings

    same = (
        "loss reduction steps batch_size accumulate learning_rate loss_frames "
        "trunk_learning_rate "
        "recurrent_learning_rate warmup_steps final_rate weight_decay trainable "
        "freeze_batch_norm scheduled_sampling scheduled_sampling_steps guides_lost "
        "first_mask_given rematerialise "
        "validate_every patience save_every seed"
    ).split()
    return TrainSettings(
        samples=_sample_settings(),
        rate_drops=tuple(_numbers("rate_drops", "200000:0.1", (int, float))),
        clip_norm=FLAGS.clip_norm or None,
        truncation=FLAGS.truncation or None,
        validate_at=shared_flags.parse_working_size(FLAGS.validate_at, "validate_at"),
        **{name: FLAGS[name].value for name in same},
    )


def _sample_settings():
    from osmn_recurrent.training import augmentation
    from osmn_recurrent.training.distractors import Distractors
    from osmn_recurrent.training.guide_shares import GuideShares
    from osmn_recurrent.training.placing import Window
    from osmn_recurrent.training.sample_settings import SampleSettings

    scales = tuple(s for (s,) in _numbers("scales", "0.5,0.8,1", (float,)))
    if not scales or min(scales) <= 0:
        raise InputError("--scales must be numbers above 0, such as 0.5,0.8,1.")
    seen = {name: FLAGS[f"guide_{name}"].value for name in shared_flags.GUIDE_OPTIONS}
    if FLAGS.guide_augmentation == "affine" and (
        any(seen.values()) or FLAGS.guide_light
    ):
        raise InputError(
            "--guide_light, --guide_keep_aspect and --guide_keep_background do not go "
            "with --guide_augmentation=affine; leave them out or choose osmn."
        )
    if FLAGS.crop_sides and (FLAGS.window or FLAGS.crop < 1):
        raise InputError(
            "--crop_sides, --crop and --window are three ways to cut a picture; give "
            "one of them."
        )
    return SampleSettings(
        size=(FLAGS.height, FLAGS.width),
        scales=scales,
        clip_length=FLAGS.clip_length or None,
        stride=FLAGS.stride,
        guide_augmentation={
            "osmn": augmentation.GuideAugmentation(
                margin=FLAGS.guide_margin,
                rotation=FLAGS.guide_rotation,
                shift=FLAGS.guide_shift,
                spread=FLAGS.guide_spread,
                mask_shift=FLAGS.mask_shift,
                mask_scale=FLAGS.mask_scale,
                light=FLAGS.guide_light,
                **seen,
            ),
            "affine": augmentation.AffineAugmentation(),
            "none": dataclasses.replace(augmentation.NO_AUGMENTATION, **seen),
        }[FLAGS.guide_augmentation],
        flip=FLAGS.flip,
        min_cover=FLAGS.guide_cover,
        min_fill=FLAGS.guide_fill,
        crop=FLAGS.crop,
        crop_sides=FLAGS.crop_sides,
        targets=FLAGS.targets,
        guide_frame=FLAGS.guide_frame,
        colour_jitter=FLAGS.colour_jitter,
        window=Window() if FLAGS.window else None,
        distractors=Distractors(FLAGS.distractors) if FLAGS.distractors else None,
        guide_shares=GuideShares(
            missing=FLAGS.guide_missing,
            missing_first=FLAGS.guide_missing_first,
            wide=FLAGS.guide_wide,
            other=FLAGS.guide_other,
            picture_shift=FLAGS.picture_shift,
        ),
        light=FLAGS.light,
        most_stride=FLAGS.most_stride or None,
        backwards=FLAGS.backwards,
        guide_distance=FLAGS.guide_distance,
        sparse_masks=FLAGS.dataset not in registry.IMAGE_SETS
        and registry.find(FLAGS.dataset).sparse_masks,
    )


def _numbers(name, example, kinds):
    """Tuples of the numbers in a list flag, parted by colons."""
    found = []
    for text in FLAGS[name].value:
        parts = text.split(":")
        try:
            found.append(tuple(k(p) for k, p in zip(kinds, parts, strict=True)))
        except ValueError:
            raise InputError(
                f"--{name}={','.join(FLAGS[name].value)} must be numbers such as "
                f"{example}."
            ) from None
    return found


def model_options():
    """`--model_option` as a dict, see `shared_flags.parse_model_options`."""
    return shared_flags.parse_model_options(FLAGS.model_option)
