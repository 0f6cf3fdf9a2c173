"""Segments a real clip, then trains both networks on drawn ones and compares them.

    osmn demo --out=runs/demo

First the clip that comes with the package is segmented with the packaged
weights, in seconds: OUT/example holds its masks, an overlay video and a contact
sheet. Then moving textured shapes are drawn and written in DAVIS-2017 layout; the
packaged OSMN is trained further on them, then ReConvNet from it; held-out clips
are segmented with both, with the packaged OSMN as it is, with the baseline "copy
the first mask", and with both networks shown another object than the one in
question, which tells what their visual modulators do. The out folder then holds
results.json, report.html, contact_sheet.png, an overlay video per network and clip,
and everything in between. An interrupted run resumes at the first stage that is not
finished.
"""

import dataclasses
import pathlib
import shutil
import time

from absl import flags

from osmn_recurrent import files, programs, provenance, run_folder
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
shared.define(FLAGS, "out", "runs/demo")
shared.define(FLAGS, "seed", 0)
flags.DEFINE_integer(
    "train_clips", 80, "Clips to train on.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer(
    "val_clips", 6, "Held-out clips.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer(
    "clip_frames", 20, "Frames per clip.", lower_bound=10, flag_values=FLAGS
)
shared.define(FLAGS, "height", 120, lower_bound=64)
shared.define(FLAGS, "width", 214, lower_bound=64)
shared.define(FLAGS, "osmn_steps", 320)
shared.define(FLAGS, "reconvnet_steps", 100)
shared.define(FLAGS, "overwrite", False)

COPY, PACKAGED, OSMN, RECONVNET = (
    "copy the first mask",
    "OSMN as packaged",
    "OSMN",
    "ReConvNet",
)
SWAPPED = {each: f"{each}, shown another object" for each in (OSMN, RECONVNET)}
METHODS = (COPY, PACKAGED, OSMN, SWAPPED[OSMN], RECONVNET, SWAPPED[RECONVNET])

SWAP_EVERY = 4
"""Frames of the held-out clips between those of the swap test."""


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """The flags, apart from where the results go."""

    seed: int
    train_clips: int
    val_clips: int
    frames: int
    size: tuple
    osmn_steps: int
    reconvnet_steps: int


def main():
    """Runs all stages; see the module's text."""
    started = time.perf_counter()
    out = pathlib.Path(FLAGS.out)
    settings = DemoSettings(
        FLAGS.seed,
        FLAGS.train_clips,
        FLAGS.val_clips,
        FLAGS.clip_frames,
        (FLAGS.height, FLAGS.width),
        FLAGS.osmn_steps,
        FLAGS.reconvnet_steps,
    )
    with run_folder.hold(out):
        claim_folder(out, settings, FLAGS.overwrite)
        run(out, settings, started)
    names = ("example", "report.html", "contact_sheet.png", "results.json", "videos")
    return programs.Done(
        tuple(out / name for name in names),
        "osmn segment --video=YOUR_VIDEO --mask=FIRST_MASK --out=runs/mine",
    )


def run(out, settings, started):
    """All stages, in a folder that is claimed; `started` is a clock's value."""
    from osmn_recurrent.reports import text_tables

    segment_example(out / "example")
    train, held_out = make_videos(out / "data", settings)
    networks = train_networks(train, out, settings)
    masks, seconds = segment_all(networks, held_out, out / "masks")
    scores = score_all(held_out, masks)
    rows = table_rows(scores, seconds)
    steering = {each: steering_of(networks[each], held_out) for each in SWAPPED}
    files.write_json(
        out / "results.json",
        {
            "settings": dataclasses.asdict(settings),
            "methods": rows,
            "visual_guide": steering,
            "clips": {
                method: {
                    f"{clip}_{i}": {"J": score.j.tolist(), "F": score.f.tolist()}
                    for (clip, i), score in scores[method].items()
                }
                for method in METHODS
            },
            "seconds_total": time.perf_counter() - started,
            "versions": provenance.versions(),
            "git_commit": provenance.git_commit(),
        },
    )
    show(held_out, masks, scores, rows, out)
    print(f"\n{text_tables.text_table(steering_rows(steering), DECIMALS)}")


def claim_folder(out, settings, overwrite):
    """Sees to it that `out` is new or holds the same demo.

    Raises:
        InputError: it holds a demo with other settings, or other files.
    """
    demo = run_folder.RunFolder(out, "demo", "demo.json")
    there = [path for path in out.iterdir() if path.name != run_folder.LOCK]
    if there and not demo.path.exists():
        raise InputError(
            f"{out} is in use and holds no demo (demo.json is missing); name "
            "another --out."
        )
    wanted = {"settings": dataclasses.asdict(settings)}
    demo.claim(wanted, () if overwrite else there, overwrite)
    if overwrite:
        for name in ("models", "masks"):
            shutil.rmtree(out / name, ignore_errors=True)
    demo.write()


def segment_example(folder):
    """Segments the packaged clip with the packaged weights."""
    from osmn_recurrent.datasets.video_files import example_clip
    from osmn_recurrent.inference.output import mask_files, segment_clip
    from osmn_recurrent.inference.segmenter import VideoSegmenter
    from osmn_recurrent.media.mask_files import read_mask
    from osmn_recurrent.models.presets import DEFAULT
    from osmn_recurrent.reports import overlays

    clip = example_clip()
    segmenter = VideoSegmenter.from_preset(DEFAULT)
    segment_clip(segmenter, clip, folder / clip.name, FLAGS.overwrite)
    frames = list(clip.frames())
    ids = [read_mask(path) for path in mask_files(clip, folder / clip.name)]
    with overlays.OverlayVideo(
        folder / f"{clip.name}_overlay.mp4", clip.size, fps=25
    ) as video:
        for frame, each in zip(frames, ids, strict=True):
            video.write(frame, each)
    sheet = folder / f"{clip.name}_sheet.png"
    overlays.contact_sheet(sheet, [(f"{clip.name}\n{DEFAULT}", frames, ids)])
    print(f"a real clip, with the packaged weights: {sheet}")


def make_videos(folder, settings):
    """The training clips and the held-out ones, drawn unless they are there."""
    from osmn_recurrent.datasets import moving_shapes, registry

    moving_shapes.write_moving_shapes(
        folder,
        train=settings.train_clips,
        val=settings.val_clips,
        frames=settings.frames,
        size=settings.size,
        seed=settings.seed,
        overwrite=FLAGS.overwrite,
    )
    return (
        registry.clips("davis2017", folder, "train", first_mask_only=False),
        registry.clips("davis2017", folder, "val", first_mask_only=False),
    )


def train_networks(clips, out, settings):
    """Trains OSMN further, then ReConvNet from it, unless they are trained already.

    As in the papers both start from weights that know real pictures, here those of
    the package. The rates are those of small networks on ImageNet weights, with a
    warm-up, falling rates and clipped gradients; batch norm learns its statistics.
    The spatial guide is missing in 30% of the samples and wide in 15%, so that
    it takes the visual guide to know which object is meant. ReConvNet's ConvLSTMs
    are coupled residually, so that it starts from OSMN's result instead of from
    nothing, and half of its spatial guides are of its own making.

    Returns:
        `{method: network}`.
    """
    import keras

    from osmn_recurrent.inference.segmenter import VideoSegmenter
    from osmn_recurrent.models import building
    from osmn_recurrent.models.presets import DEFAULT
    from osmn_recurrent.training import trainer
    from osmn_recurrent.training.guide_shares import GuideShares
    from osmn_recurrent.training.sample_settings import SampleSettings

    images = trainer.TrainSettings(
        samples=SampleSettings(
            # The trunk halves five times.
            size=tuple(max(32, round(n / 32) * 32) for n in settings.size),
            scales=(1.0,),
            guide_shares=GuideShares(missing=0.3, wide=0.15),
            guide_distance=3,
        ),
        loss="cross_entropy_lovasz",
        steps=settings.osmn_steps,
        batch_size=4,
        learning_rate=1e-3,
        recurrent_learning_rate=1e-3,
        trunk_learning_rate=2e-4,
        warmup_steps=min(20, settings.osmn_steps // 2),
        final_rate=0.1,
        freeze_batch_norm=False,
        clip_norm=1.0,
        seed=settings.seed,
    )
    sequences = dataclasses.replace(
        images,
        samples=dataclasses.replace(images.samples, clip_length=4),
        steps=settings.reconvnet_steps,
        batch_size=2,
        learning_rate=3e-4,
        trunk_learning_rate=1e-4,
        warmup_steps=min(20, settings.reconvnet_steps // 2),
        scheduled_sampling=0.5,
    )
    folder = out / "models"
    finished = {m: folder / m.lower() / "model.keras" for m in (OSMN, RECONVNET)}
    keras.utils.set_random_seed(settings.seed)
    packaged = VideoSegmenter.from_preset(DEFAULT).model
    if not finished[OSMN].exists():
        model = building.build_model("osmn", packaged.backbone.name)
        building.transfer_weights(model, packaged)
        trainer.train(model, clips, images, finished[OSMN].parent, "OSMN")
    osmn = building.load_model(finished[OSMN])
    if not finished[RECONVNET].exists():
        model = building.build_model(
            "reconvnet", packaged.backbone.name, coupling="residual"
        )
        building.transfer_weights(model, osmn)
        folder = finished[RECONVNET].parent
        trainer.train(model, clips, sequences, folder, "ReConvNet")
    return {
        PACKAGED: packaged,
        OSMN: osmn,
        RECONVNET: building.load_model(finished[RECONVNET]),
    }


def segment_all(networks, clips, folder):
    """Segments the held-out clips with every method.

    Returns:
        `(masks, seconds)`: `{method: {clip name: list of (H, W) uint8}}` and
        `{method: median seconds per frame and clip, averaged}`, with reading
        and writing files; None for the baseline.
    """
    import numpy as np

    from osmn_recurrent.inference.output import mask_files, segment_clip
    from osmn_recurrent.inference.segmenter import VideoSegmenter
    from osmn_recurrent.inference.swapping import segment_swapped
    from osmn_recurrent.media.mask_files import read_mask

    found = {COPY: {clip.name: [clip.mask(0)] * len(clip) for clip in clips}}
    seconds = {COPY: None}
    for method, model in networks.items():
        segmenter, times = VideoSegmenter(model), []
        found[method] = {}
        for clip in clips:
            place = folder / method.lower() / clip.name
            outcome = segment_clip(segmenter, clip, place, later_masks=False)
            times.append(outcome.seconds)
            found[method][clip.name] = [
                read_mask(path) for path in mask_files(clip, place)
            ]
        seconds[method] = float(np.mean(times))
        if method in SWAPPED:
            swapped = SWAPPED[method]
            seconds[swapped] = None
            found[swapped] = {
                clip.name: list(
                    segment_swapped(segmenter, clip, next_object(clip, other))
                )
                for clip, other in zip(clips, [*clips[1:], clips[0]], strict=True)
            }
    return found, seconds


def next_object(clip, other):
    """What shows each object of a clip as the next one, for `segment_swapped`.

    Args:
        clip: `Clip`; its objects begin in the first frame.
        other: `Clip` whose first object is shown where `clip` has one object only.
    """
    from osmn_recurrent.inference.swapping import first_object
    from osmn_recurrent.masks import object_ids

    ids = clip.mask(0)
    objects = object_ids(ids)
    if len(objects) == 1:
        return lambda i: first_object(other)
    following = dict(zip(objects, [*objects[1:], objects[0]], strict=True))
    return lambda i: (clip.frame(0), ids == following[i])


def steering_of(model, clips):
    """What the visual guide is worth to a network on the frames of clips.

    Returns:
        A dict: "spread" (`modulation_spread`) of the gammas over the clips' objects
        and, where frames have two objects, one dict of `SwapScores` for each kind of
        spatial guide in `SPATIAL_GUIDES`.
    """
    from osmn_recurrent import masks
    from osmn_recurrent.cli.pair_scores import score_pictures
    from osmn_recurrent.inference import modulation_health

    found = {}
    guides = modulation_health.first_guides(clips)
    if len(guides) > 1:
        found["spread"] = modulation_health.modulation_spread(model, guides).overall

    def pictures():
        for clip in clips:
            for t in range(SWAP_EVERY, len(clip) - 1, SWAP_EVERY):
                ids = clip.mask(t)
                objects = [ids == i for i in masks.object_ids(ids)]
                yield clip.frame(t), objects, clip.name

    scores = score_pictures(model, pictures(), min(clips[0].size), least_cover=0.005)
    return found | {kind: dataclasses.asdict(each) for kind, each in scores.items()}


def steering_rows(steering):
    """The figures of `steering_of` for each network as rows of a table."""
    rows = []
    for method, found in steering.items():
        row = {"visual guide exchanged": method, "spread": found.get("spread")}
        for kind, guide in (("both", "one Gaussian"), ("none", "no Gaussian")):
            if kind in found:
                row[f"J named, {guide}"] = 100 * found[kind]["named"]
                row[f"J other, {guide}"] = 100 * found[kind]["other"]
                row[f"right pairs, {guide}"] = 100 * found[kind]["right_pairs"]
        rows.append(row)
    return rows


def score_all(clips, masks):
    """`{method: {(clip name, object id): ObjectScores}}`."""
    from osmn_recurrent.metrics.davis_scores import evaluate_masks

    scores = {method: {} for method in METHODS}
    for clip in clips:
        ground_truth = [clip.mask(t) for t in range(len(clip))]
        for method in METHODS:
            scored = evaluate_masks(ground_truth, masks[method][clip.name])
            scores[method] |= {(clip.name, i): s for i, s in scored.items()}
    return scores


def table_rows(scores, seconds):
    """One dict per method: figures in percent, and the lead over others."""
    from osmn_recurrent.metrics.statistics import summarise

    figures = {method: summarise(scores[method].values()) for method in METHODS}
    rows = []
    for method in METHODS:
        ours = figures[method]
        rows.append(
            {
                "method": method,
                "J&F": 100 * ours["J&F-Mean"],
                "J": 100 * ours["J-Mean"],
                "F": 100 * ours["F-Mean"],
                "J over copying": 100 * (ours["J-Mean"] - figures[COPY]["J-Mean"]),
                "J over OSMN": 100 * (ours["J-Mean"] - figures[OSMN]["J-Mean"]),
                "s/frame": seconds[method],
            }
        )
    return rows


DECIMALS = {"s/frame": 3, "spread": 3}


def show(clips, masks, scores, rows, out):
    """Prints the table and writes the pictures, videos and the page."""
    from osmn_recurrent.reports import html, overlays, text_tables

    sheet, pages = [], []
    for clip in clips:
        frames, own = list(clip.frames()), {}
        for method in METHODS:
            ids = masks[method][clip.name]
            own[method] = {
                i: dataclasses.replace(s, frames=clip.frame_names[1:-1])
                for (name, i), s in scores[method].items()
                if name == clip.name
            }
            means = [s.j.mean() for s in own[method].values()]
            mean = 100 * sum(means) / len(means)
            title = method.replace(", ", ",\n")
            sheet.append((f"{clip.name}\n{title}\nJ {mean:.1f}", frames, ids))
            if method not in SWAPPED:
                continue
            path = out / "videos" / f"{clip.name}-{method.lower()}.mp4"
            with overlays.OverlayVideo(path, clip.size, fps=10) as video:
                for frame, each in zip(frames, ids, strict=True):
                    video.write(frame, each)
        predicted = {m: masks[m][clip.name].__getitem__ for m in METHODS}
        pages.append(
            html.PageClip(
                clip.name, clip.frame_names, clip.frame, clip.mask, predicted, own
            )
        )
    overlays.contact_sheet(out / "contact_sheet.png", sheet)
    html.write_page(
        out / "report.html",
        "OSMN and ReConvNet on held-out moving shapes",
        "Networks on EfficientNet-Lite0, from the packaged weights trained further for "
        "a few minutes on drawn clips. "
        "Figures in percent; the first frame's masks are given, the first and the "
        "last frame are not scored.",
        rows,
        pages,
        DECIMALS,
    )
    print(text_tables.text_table(rows, DECIMALS))


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
