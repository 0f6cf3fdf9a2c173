"""Does the visual guide steer? Networks that are shown another object.

    python -m experiments.swap_test --weights=OSMN:osmn.keras \\
        --weights=control:no_modulator.keras --images=COCO:val2017 \\
        --data_dir=DAVIS --dataset=davis2016 --split=val_lab --out=runs/swap

On pictures with several objects (COCO's layout, or JPEGImages, Annotations and
ImageSets) each pair of objects is segmented with both visual guides; on clips the
object is followed with its own visual guide and with that of the next clip's object.
metrics/swap_test.py says what the figures mean. A second network that was trained on
the same samples without visual modulator is what a good one is compared with; its
pairs are 50% whatever it has learned. Prints a table, writes OUT/swap_test.json.
"""

import json
import pathlib

import numpy as np
from absl import flags
from tqdm import tqdm

from osmn_recurrent import files, programs, provenance
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics import comparison, swap_test
from osmn_recurrent.metrics.region import region_similarity

FLAGS = flags.FlagValues()
shared.define(
    FLAGS, "weights", note="Several, each NAME:FILE.", required=True, several=True
)
flags.DEFINE_multi_string(
    "images",
    [],
    "Folder of pictures with several objects, FOLDER:SPLIT; repeat it for several.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("follow", True, "Follow objects through clips.", flag_values=FLAGS)
shared_flags.define_dataset(FLAGS, "davis2016")
shared.define(FLAGS, "working_size", note="Default: 256x448.")
shared.define(FLAGS, "out", required=True)


def main():
    """Swaps and scores; see the module's text."""
    out = pathlib.Path(FLAGS.out)
    files.check_output(out / "swap_test.json")
    networks = [text.partition(":") for text in FLAGS.weights]
    for name, colon, path in networks:
        if not colon or not name or not path:
            raise InputError(f"--weights={name} is no NAME:FILE.")
    from osmn_recurrent.models import presets

    size = shared_flags.parse_working_size(FLAGS.working_size) or (256, 448)
    clips = list(_clips()) if FLAGS.follow else []
    rows = []
    for name, _, path in networks:
        model = presets.load_model(path)
        row = {"network": name, "images": {}}
        for given in FLAGS.images:
            row["images"][given] = on_pictures(model, open_pictures(given))
        if clips:
            row["clips"] = on_clips(model, clips, size)
        rows.append(row)
        print(_text(row))
    record = {
        "rows": rows,
        "working_size": list(np.atleast_1d(size)),
        "versions": provenance.versions(),
        "git_commit": provenance.git_commit(),
    }
    text = json.dumps(record, indent=1, default=int)
    files.write_text(out / "swap_test.json", text + "\n")
    return programs.Done((out / "swap_test.json",))


def _clips():
    return registry.clips(
        FLAGS.dataset,
        FLAGS.data_dir,
        FLAGS.split,
        FLAGS.resolution,
        first_mask_only=False,
    )


def open_pictures(given):
    """Iterates over `(picture, masks)` of a set with several objects.

    Args:
        given: FOLDER or FOLDER:SPLIT.

    Yields:
        (H, W, 3) uint8 RGB and a list of (H, W) bool.
    """
    from osmn_recurrent.datasets.coco import CocoObjects, object_mask, read_picture
    from osmn_recurrent.datasets.image_folder import ImageFolder

    folder, _, split = given.rpartition(":")
    if not pathlib.Path(folder or given).is_dir():
        raise InputError(f"--images={given}: no such folder.")
    folder, split = (folder, split) if folder else (given, "val")
    if (pathlib.Path(folder) / "ImageSets").is_dir():
        for picture, ids in ImageFolder(folder, split, 0.0).by_picture():
            yield picture, [ids == i for i in range(1, int(ids.max()) + 1)]
        return
    for path, size, objects in CocoObjects(folder, split).by_picture():
        if len(objects) > 1:
            masks = [object_mask(code, size) > 0 for _, _, code in objects]
            yield read_picture(path, size), masks


def on_pictures(model, pictures):
    """`{spatial guide: figures}` of a network on pictures, see `SwapScores`."""
    from osmn_recurrent.inference.swapping import SPATIAL_GUIDES, Swapper

    swapper, found = Swapper(model), {kind: [] for kind in SPATIAL_GUIDES}
    for picture, masks in tqdm(pictures, "pictures", unit="picture", leave=False):
        pairs = swap_test.pairs_of(masks)
        if pairs:
            for kind, each in swapper.overlaps(picture, masks, pairs).items():
                found[kind].append(each)
    if not found["own"]:
        raise InputError("no picture has two objects that can be told apart.")
    scores = {k: swap_test.swap_scores(np.concatenate(v)) for k, v in found.items()}
    return {kind: vars(each) for kind, each in scores.items()}


def on_clips(model, clips, size):
    """J by propagation with the own visual guide, and with the next clip's."""
    from osmn_recurrent.inference.segmenter import VideoSegmenter

    segmenter = VideoSegmenter(model, working_size=size)
    shown = [(clip.frame(0), clip.mask(0) == 1) for clip in clips]
    values = {"own": {}, "other": {}}
    for index, clip in enumerate(tqdm(clips, "clips", unit="clip", leave=False)):
        for kind in values:
            other = shown[(index + 1) % len(clips)] if kind == "other" else None
            values[kind][clip.name] = {"1": followed(segmenter, clip, other)}
    difference = comparison.paired_difference(
        values["own"], values["other"], coverage=0.9
    )
    mean = {k: float(np.mean([v["1"] for v in d.values()])) for k, d in values.items()}
    return {
        **mean,
        "difference": difference.mean,
        "interval": [difference.low, difference.high],
        "per_clip": {k: {n: v["1"] for n, v in d.items()} for k, d in values.items()},
    }


def followed(segmenter, clip, other=None):
    """Mean J of object 1 over all frames but first and last.

    Args:
        segmenter: `VideoSegmenter`.
        clip: the clip.
        other: `(frame, mask)` of another visual guide, or None.
    """
    truth = [clip.mask(t) == 1 for t in range(len(clip))]
    segmenter.start(clip.frame(0), truth[0].astype(np.uint8))
    if other is not None:
        segmenter.look_at(1, *other)
    scores = []
    for t in range(1, len(clip)):
        found = segmenter.step(clip.frame(t)) == 1
        scores.append(float(region_similarity(truth[t], found)))
    return float(np.mean(scores[:-1]))


def _text(row):
    lines = [row["network"]]
    for given, kinds in row["images"].items():
        for kind, s in kinds.items():
            lines.append(
                f"  {given}, spatial guide {kind}: {s['pairs']} pairs, J "
                f"{100 * s['named']:.1f} named, {100 * s['other']:.1f} other; right: "
                f"{100 * s['right_pairs']:.1f}% of the pairs"
            )
    if "clips" in row:
        c = row["clips"]
        low, high = (100 * value for value in c["interval"])
        lines.append(
            f"  clips: J {100 * c['own']:.1f} with the own visual guide, "
            f"{100 * c['other']:.1f} with another object's; difference "
            f"{100 * c['difference']:.1f} ({low:.1f} to {high:.1f})"
        )
    return "\n".join(lines)


def console():
    """Entry of `python -m`."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
