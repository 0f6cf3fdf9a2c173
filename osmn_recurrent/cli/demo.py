"""Segments a real clip, then trains both networks on drawn ones and compares them.

    osmn demo --out=runs/demo

First the clip that comes with the package is segmented with the packaged
weights, in seconds: OUT/example holds its masks, an overlay video and a contact
sheet. Then moving textured shapes are drawn and written in DAVIS-2017 layout;
compact OSMN is trained on them, then compact ReConvNet from it; held-out clips
are segmented with both, and with the baseline "copy the first mask". The out
folder then holds results.json, report.html, contact_sheet.png, an overlay
video per network and clip, and everything in between. An interrupted run
resumes at the first stage that is not finished.
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
shared.define(FLAGS, "osmn_steps", 600)
shared.define(FLAGS, "reconvnet_steps", 160)
shared.define(FLAGS, "overwrite", False)

COPY, OSMN, RECONVNET = "copy the first mask", "OSMN", "ReConvNet"
METHODS = (COPY, OSMN, RECONVNET)


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
    segment_example(out / "example")
    train, held_out = make_videos(out / "data", settings)
    networks = train_networks(train, out, settings)
    masks, seconds = segment_all(networks, held_out, out / "masks")
    scores = score_all(held_out, masks)
    rows = table_rows(scores, seconds)
    files.write_json(
        out / "results.json",
        {
            "settings": dataclasses.asdict(settings),
            "methods": rows,
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
    from osmn_recurrent.models.published import DEFAULT
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
    """Trains OSMN, then ReConvNet from it, unless they are trained already.

    The papers start from ImageNet weights, COCO and DAVIS and train for days.
    From scratch and in minutes the rates are a thousand times higher, with a
    warm-up, falling rates and clipped gradients, and batch norm learns its
    statistics. ReConvNet's ConvLSTMs are coupled residually, so that it
    starts from OSMN's result instead of from nothing; its clips have eight
    frames, since its state has to serve whole videos; its guides are
    disturbed more, since at test time they come from imperfect masks; and it
    keeps the balanced cross-entropy, because with the Lovasz hinge and four
    frames J was lower when these settings were chosen.

    Returns:
        `{method: network}`.
    """
    import keras

    from osmn_recurrent.models import presets
    from osmn_recurrent.training import trainer
    from osmn_recurrent.training.augmentation import GuideAugmentation
    from osmn_recurrent.training.samples import SampleSettings

    images = trainer.TrainSettings(
        samples=SampleSettings(size=settings.size, scales=(1.0,)),
        reduction="image_mean",
        steps=settings.osmn_steps,
        batch_size=4,
        learning_rate=1e-3,
        recurrent_learning_rate=1e-3,
        warmup_steps=min(40, settings.osmn_steps // 2),
        final_rate=0.1,
        freeze_batch_norm=False,
        clip_norm=1.0,
        seed=settings.seed,
    )
    sequences = dataclasses.replace(
        images,
        samples=dataclasses.replace(
            images.samples,
            clip_length=8,
            guide_augmentation=GuideAugmentation(shift=0.3, spread=0.5),
        ),
        steps=settings.reconvnet_steps,
        batch_size=1,
        learning_rate=3e-4,
        recurrent_learning_rate=1e-3,
        warmup_steps=min(20, settings.reconvnet_steps // 2),
    )
    folder = out / "models"
    finished = {m: folder / m.lower() / "model.keras" for m in (OSMN, RECONVNET)}
    keras.utils.set_random_seed(settings.seed)
    if not finished[OSMN].exists():
        model = presets.build_model("osmn", "vgg16_compact")
        trainer.train(model, clips, images, finished[OSMN].parent, "OSMN")
    osmn = presets.load_model(finished[OSMN])
    if not finished[RECONVNET].exists():
        model = presets.build_model("reconvnet", "vgg16_compact", coupling="residual")
        presets.transfer_weights(model, osmn)
        folder = finished[RECONVNET].parent
        trainer.train(model, clips, sequences, folder, "ReConvNet")
    return {OSMN: osmn, RECONVNET: presets.load_model(finished[RECONVNET])}


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
    return found, seconds


def score_all(clips, masks):
    """`{method: {(clip name, object id): ObjectScores}}`."""
    from osmn_recurrent.metrics.davis import evaluate_masks

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


DECIMALS = {"s/frame": 3}


def show(clips, masks, scores, rows, out):
    """Prints the table and writes the pictures, videos and the page."""
    from osmn_recurrent.reports import html, overlays, tables

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
            sheet.append((f"{clip.name}\n{method}\nJ {mean:.1f}", frames, ids))
            if method == COPY:
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
        "Compact networks, trained from scratch for a few minutes on drawn clips. "
        "Figures in percent; the first frame's masks are given, the first and the "
        "last frame are not scored.",
        rows,
        pages,
        DECIMALS,
    )
    print(tables.text_table(rows, DECIMALS))


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
