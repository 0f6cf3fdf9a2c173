"""Does the visual guide steer? Networks that are shown another object.

    python -m experiments.swap_test --weights=OSMN:osmn.keras \\
        --weights=control:no_modulator.keras --images=COCO:val2017 \\
        --data_dir=DAVIS --dataset=davis2016 --split=val_study --out=runs/swap

On pictures with several objects (COCO's layout; JPEGImages, Annotations and
ImageSets; drawn ones; first frames of clips) each pair of objects is segmented with
both visual guides; on clips the objects are followed with their own visual guides and
with that of the next clip's first object. metrics/swap_scores.py says what the figures
mean. A second network that was trained on the same samples without visual modulator
is what a good one is compared with; its pairs are 50% whatever it has learned. Prints
tables, writes OUT/swap_test.json.
"""

import pathlib

import numpy as np
from absl import flags
from tqdm import tqdm

from osmn_recurrent import files, programs, provenance
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics import comparison
from osmn_recurrent.metrics.davis_scores import evaluate_masks

FLAGS = flags.FlagValues()
shared.define(
    FLAGS,
    "weights",
    note="Several, each NAME:FILE or NAME:PRESET.",
    required=True,
    several=True,
)
flags.DEFINE_multi_string(
    "images",
    [],
    "Folder of pictures with several objects, FOLDER:SPLIT, or moving_shapes, which "
    "are drawn; repeat it for several.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "first_frames",
    False,
    "First frames of the clips are pictures with several objects too.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "min_cover",
    0.03,
    "Objects of pictures cover more than this share; clips' are often smaller.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
flags.DEFINE_bool("follow", True, "Follow objects through clips.", flag_values=FLAGS)
shared_flags.define_dataset(FLAGS, "davis2016", required=False)
shared.define(FLAGS, "working_size", note="In clips. Default: 256x448.")
shared.define(FLAGS, "search_area", 0.0, note="In clips.")
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "overwrite", False)

DRAWN = "moving_shapes"
DRAWN_PICTURES = 40
COVERAGE = 0.9
"""Of the intervals."""


def main():
    """Swaps and scores; see the module's text."""
    out = pathlib.Path(FLAGS.out)
    files.refuse_to_overwrite(out / "swap_test.json", FLAGS.overwrite)
    files.check_output(out / "swap_test.json")
    weights = split_weights(FLAGS.weights)
    from osmn_recurrent.reports import text_tables

    size = shared_flags.parse_working_size(FLAGS.working_size) or (256, 448)
    area = shared_flags.search_area(FLAGS)
    sources, clips = open_sources()
    networks = {name: load_network(place) for name, place in weights.items()}
    rows, scores = [], {}
    for name, model in networks.items():
        row = {"network": name, "images": {}}
        for given, pictures in sources.items():
            row["images"][given] = on_pictures(model, given, pictures())
        if clips:
            row["spread"] = spread_of(model, clips)
            scores[name] = clip_scores(model, clips, size, area=area)
            row["clips"] = on_clips(**scores[name])
        rows.append(row)
    for table in (picture_table(rows), clip_table(scores)):
        if table:
            print(f"\n{text_tables.text_table(table)}")
    record = {
        "rows": rows,
        "networks compared": networks_compared(scores),
        "working_size": [int(length) for length in np.atleast_1d(size)],
        "search_area": area,
        "versions": provenance.versions(),
        "git_commit": provenance.git_commit(),
    }
    files.write_json(out / "swap_test.json", record)
    return programs.Done((out / "swap_test.json",))


def split_weights(texts):
    """`{name: file or preset}` of `["NAME:FILE"]`."""
    found = {}
    for text in texts:
        name, colon, place = text.partition(":")
        if not colon or not name or not place:
            raise InputError(f"--weights={text} is no NAME:FILE, such as OSMN:a.keras.")
        if name in found:
            raise InputError(f"--weights names {name} twice; give each its own name.")
        found[name] = place
    return found


def load_network(place):
    """The network in a .keras file, or that of a preset."""
    from osmn_recurrent.models import building, presets

    if place not in presets.PRESETS:
        return building.load_model(place)
    preset = presets.find(place)
    return building.build_model(
        preset.model, preset.backbone, weights=place, **preset.settings
    )


def open_sources():
    """What the flags name.

    Returns:
        `(sources, clips)`: `{name: function that iterates over (picture, masks)}`,
        (H, W, 3) uint8 RGB and a list of (H, W) bool; and the clips to follow, a list
        of `Clip`, empty where none are.

    Raises:
        InputError: nothing to show, or something of it is missing.
    """
    sources = {given: open_pictures(given) for given in FLAGS.images}
    follow = FLAGS.follow and bool(FLAGS.data_dir)
    clips = []
    if FLAGS.first_frames and not FLAGS.data_dir:
        raise InputError("--first_frames needs --data_dir, the folder of the clips.")
    if follow or FLAGS.first_frames:
        place = shared_flags.dataset_place(FLAGS)
        clips = registry.clips(*place, first_mask_only=False)
    if FLAGS.first_frames:
        sources[f"{FLAGS.dataset}:{FLAGS.split}, first frames"] = lambda: (
            (clip.frame(0), _each(clip.mask(0))) for clip in clips
        )
    followed = clips if follow else []
    if follow:
        check_clips(clips)
    if not sources and not followed:
        raise InputError(
            "there is nothing to show; give --images=FOLDER:SPLIT, or --data_dir with "
            "clips to follow."
        )
    return sources, followed


def check_clips(clips):
    """Refuses clips that cannot be followed and scored with exchanged guides."""
    if len(clips) < 2:
        raise InputError(
            f"{FLAGS.dataset} {FLAGS.split} has one clip, and its objects are shown "
            "another clip's; name a split of two clips or more, or --nofollow."
        )
    for clip in clips:
        clip.check()
        if len(clip.mask_paths) < len(clip):
            raise InputError(
                f"clip {clip.name} has {len(clip.mask_paths)} masks for {len(clip)} "
                "frames, expected one for each; name another set, or --nofollow."
            )


def _each(ids):
    from osmn_recurrent import masks

    return [ids == i for i in masks.object_ids(ids)]


def open_pictures(given):
    """Opens a set with several objects.

    Args:
        given: FOLDER or FOLDER:SPLIT, or `DRAWN`.

    Returns:
        A function that iterates over `(picture, masks)`, (H, W, 3) uint8 RGB and a
        list of (H, W) bool.
    """
    from osmn_recurrent.datasets.coco import CocoObjects, object_mask, read_picture
    from osmn_recurrent.datasets.image_folder import ImageFolder

    if given == DRAWN:
        return drawn_pictures
    folder, _, split = given.rpartition(":")
    if not folder or not pathlib.Path(folder).is_dir():
        folder, split = given, "val"
    if not pathlib.Path(folder).is_dir():
        raise InputError(f"--images={given}: no such folder, expected FOLDER:SPLIT.")
    if (pathlib.Path(folder) / "ImageSets").is_dir():
        images = ImageFolder(folder, split, 0.0)
        return lambda: ((picture, _each(ids)) for picture, ids in images.by_picture())
    # The index goes to the results: the data set may be read-only.
    objects = CocoObjects(folder, split, FLAGS.out, FLAGS.min_cover)
    return lambda: (
        (read_picture(path, size), [object_mask(code, size) > 0 for *_, code in each])
        for path, size, each in objects.by_picture()
        if len(each) > 1
    )


def drawn_pictures():
    """Iterates over drawn pictures of three objects, `(picture, masks)`."""
    from osmn_recurrent.datasets.moving_shapes import render_clip

    for number in range(DRAWN_PICTURES):
        (picture,), (ids,) = render_clip([0, number], frames=1, objects=3)
        yield picture, _each(ids)


def on_pictures(model, given, pictures):
    """`{spatial guide: figures}` of a network on pictures, see `SwapScores`.

    Args:
        model: a built `SegmentationModel`.
        given: name of the pictures, for errors.
        pictures: iterable of `(picture, masks)`, see `open_sources`.
    """
    from osmn_recurrent.cli.pair_scores import score_pictures

    shown = tqdm(pictures, "pictures", unit="picture", leave=False)
    scores = score_pictures(
        model,
        ((picture, masks, number) for number, (picture, masks) in enumerate(shown)),
        least_cover=FLAGS.min_cover,
        coverage=COVERAGE,
    )
    if not scores:
        raise InputError(
            f"{given}: no picture has two objects over {FLAGS.min_cover:.1%} of it "
            "that can be told apart; name another set, or lower --min_cover."
        )
    return {kind: vars(each) for kind, each in scores.items()}


def spread_of(model, clips):
    """`modulation_spread` over the objects of the clips' first frames.

    None for a network without visual modulator and for a single object.
    """
    from osmn_recurrent.inference import modulation_health

    views = modulation_health.first_guides(clips)
    if not model.use_visual_modulator or len(views) < 2:
        return None
    return modulation_health.modulation_spread(model, views).overall


KINDS = ("own", "other")
"""Visual guides that objects of clips are followed with."""


def clip_scores(model, clips, size=None, kinds=KINDS, area=None):
    """J by propagation with the own visual guides and with the next clip's.

    Args:
        model: a built `SegmentationModel`.
        clips: list of `Clip`s with a mask for every frame.
        size: working size.
        kinds: of `KINDS`.
        area: search area, see `VideoSegmenter`.

    Returns:
        `{kind: {clip: {object id: J in [0, 1]}}}`.
    """
    from osmn_recurrent.inference.segmenter import VideoSegmenter
    from osmn_recurrent.inference.swapping import first_object, segment_swapped

    segmenter = VideoSegmenter(model, working_size=size, search_area=area)
    values = {kind: {} for kind in kinds}
    following = [*clips[1:], clips[0]]
    pairs = zip(clips, following, strict=True)
    for clip, other in tqdm(pairs, "clips", len(clips), unit="clip", leave=False):
        ground_truth = [clip.mask(t) for t in range(len(clip))]
        ways = {
            "own": segmenter.segment(clip.frames(), ground_truth[0]),
            "other": segment_swapped(
                segmenter, clip, lambda i, c=other: first_object(c)
            ),
        }
        for kind in kinds:
            scores = evaluate_masks(ground_truth, ways[kind])
            values[kind][clip.name] = {
                str(i): each.summary()["J-Mean"]
                for i, each in scores.items()
                if len(each)
            }
    return values


def on_clips(own, other):
    """Figures of one network's `clip_scores`; `per_clip` are means over objects."""
    difference = comparison.paired_difference(own, other, coverage=COVERAGE)
    return {
        "own": mean_over_objects(own),
        "other": mean_over_objects(other),
        "difference": difference.mean,
        "interval": [difference.low, difference.high],
        "per_clip": {
            kind: {name: float(np.mean([*v.values()])) for name, v in each.items() if v}
            for kind, each in (("own", own), ("other", other))
        },
    }


def mean_over_objects(values):
    """Mean over all objects of `{clip: {object: J}}`."""
    return float(np.mean([j for each in values.values() for j in each.values()]))


def networks_compared(scores):
    """The first network's J on clips less the others', own visual guides.

    Args:
        scores: `{network: clip_scores}`.

    Returns:
        `{"FIRST less OTHER": {"difference": ..., "interval": [low, high]}}`.
    """
    found = {}
    for name in list(scores)[1:]:
        first = next(iter(scores))
        own = scores[first]["own"], scores[name]["own"]
        each = comparison.paired_difference(*own, coverage=COVERAGE)
        found[f"{first} less {name}"] = {
            "difference": each.mean,
            "interval": [each.low, each.high],
        }
    return found


def picture_table(rows):
    """Table of the pictures, in percent: a row per network, set and spatial guide."""
    return [
        {
            "network": row["network"],
            "pictures": given,
            "spatial guide": kind,
            "pairs": s["pairs"],
            "J named": 100 * s["named"],
            "J other": 100 * s["other"],
            "right pairs": 100 * s["right_pairs"],
            **_ends(s["interval"]),
            "right singles": 100 * s["right_singles"],
        }
        for row in rows
        for given, kinds in row["images"].items()
        for kind, s in kinds.items()
    ]


def clip_table(scores):
    """Table of the clips, in percent: own less another's guide, network by network."""
    found = []
    for name, values in scores.items():
        each = on_clips(**values)
        found.append(
            {
                "clips": f"{name}: own visual guide less another's",
                "J": 100 * each["own"],
                "J of the other": 100 * each["other"],
                "difference": 100 * each["difference"],
                **_ends(each["interval"]),
            }
        )
    means = [mean_over_objects(values["own"]) for values in scores.values()]
    compared = networks_compared(scores).items()
    for theirs, (text, each) in zip(means[1:], compared, strict=True):
        found.append(
            {
                "clips": text,
                "J": 100 * means[0],
                "J of the other": 100 * theirs,
                "difference": 100 * each["difference"],
                **_ends(each["interval"]),
            }
        )
    return found


def _ends(interval):
    low, high = interval or (None, None)
    return {
        "from": None if low is None else 100 * low,
        "to": None if high is None else 100 * high,
    }


def console():
    """Entry of `python -m`."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
