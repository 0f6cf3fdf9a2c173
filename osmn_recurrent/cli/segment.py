"""Segments the objects of a video, given their masks in its first frame.

Example:

    osmn segment --video=clip.mp4 --mask=first.png --out=runs/mine

Without --weights it uses those that come with the package. Presets and .keras
files know their model; a .weights.h5 file needs --model, --backbone, --model_option.
Writes OUT/CLIP/FRAME.png (palette masks under the frames' names), beside them
run.json (settings, versions, seconds per frame), and OUT/CLIP.webm, the masks
over the frames. A run that broke off goes on when it is started again.
"""

import contextlib
import pathlib
import sys

from absl import flags

from osmn_recurrent import files, programs, run_folder
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared, tuning
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.published import DEFAULT

FLAGS = flags.FlagValues()
shared_flags.define_model(FLAGS)
shared_flags.define_network(FLAGS)
shared_flags.define_loop(FLAGS)

DEFAULT_FPS = 24.0
"""Frames per second of DAVIS, for folders of frames."""

shared.define(
    FLAGS,
    "weights",
    DEFAULT,
    note="osmn-lite0, osmn-compact and reconvnet-compact come with the package; "
    "TensorFlow 1 checkpoints go through osmn convert osmn.",
)
shared.define(
    FLAGS,
    "video",
    note="Or camera:0 for the first camera (until Ctrl-C; masks alone are written).",
    required=True,
)
shared.define(
    FLAGS,
    "mask",
    note="Or several, or a folder of them, named like their frames, where objects "
    "appear later.",
    required=True,
    several=True,
)
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "finetune_steps", 0)
flags.DEFINE_bool("overlay", True, "Write OUT/CLIP.webm.", flag_values=FLAGS)
flags.DEFINE_bool(
    "cutouts",
    False,
    "Write OUT/CLIP_cutouts/FRAME.png: the objects without background (RGBA).",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "tracks",
    False,
    "Write OUT/CLIP.json: COCO's run-length code, a track per object.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "sheet",
    False,
    "Write OUT/CLIP_sheet.png: six frames with their masks side by side.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "opacity",
    0.5,
    "Opacity of the masks in the overlay.",
    lower_bound=0.0,
    upper_bound=1.0,
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "fps",
    None,
    "Frames per second of the overlay. Default: the video file's, or "
    f"{DEFAULT_FPS:g} for a folder.",
    lower_bound=0.1,
    flag_values=FLAGS,
)
shared.define(FLAGS, "overwrite", False)


def main():
    """Segments; see the module's text."""
    from osmn_recurrent.datasets.video_files import open_clip

    loop = shared_flags.loop_options(FLAGS, FLAGS.weights)
    options = shared_flags.parse_model_options(FLAGS.model_option)
    if FLAGS.video.startswith("camera:"):
        return follow_camera(loop, options)
    mask = FLAGS.mask[0] if len(FLAGS.mask) == 1 else FLAGS.mask
    clip = open_clip(FLAGS.video, mask)
    clip.check()
    out = pathlib.Path(FLAGS.out)
    files.check_output(out, folder=True)
    files.sweep(out / f"{clip.name}_cutouts")
    if FLAGS.finetune_steps:
        tuning.check_first_mask_alone(clip)
    with run_folder.hold(out / clip.name):
        written = segment(clip, out, loop, options)
    return programs.Done(written, _advice(out))


def segment(clip, out, loop, options):
    """Segments a clip into a folder that is held, and writes what is asked for.

    Args:
        clip: the clip.
        out: folder for the results.
        loop: of `shared_flags.loop_options`.
        options: further settings of the network.

    Returns:
        Tuple of the paths of what was written.
    """
    from osmn_recurrent.inference import output

    model = load_network(FLAGS.weights, FLAGS.model, FLAGS.backbone, options)
    segmenter = tuning.make_segmenter(model, clip, out, loop, FLAGS.finetune_steps)
    folder = out / clip.name
    try:
        outcome = output.segment_clip(segmenter, clip, folder, FLAGS.overwrite)
    except KeyboardInterrupt:
        paths = output.mask_files(clip, folder)
        print(
            f"{output.count_done(paths)} of {len(clip)} masks are in {folder}; "
            "the same command goes on from there.",
            file=sys.stderr,
        )
        raise
    written = [outcome.folder]
    if FLAGS.overlay:
        written.append(write_overlay(clip, outcome, out / f"{clip.name}.webm"))
    written += write_others(clip, outcome, out)
    print(_summary(clip, outcome))
    return tuple(written)


def load_network(weights, name, backbone, options):
    """The network of `--weights`.

    Args:
        weights: a `.keras` file, which knows its network, a `.weights.h5`, or
            the name of a preset, which knows it too.
        name: the network's name; may be None with a `.keras` file.
        backbone: name of its trunk, or None.
        options: further settings of the network. With a `.keras` file all
            of these must agree with what it holds.

    Returns:
        A built `SegmentationModel`.

    Raises:
        InputError: unusable weights, unknown or contradicting settings.
    """
    from osmn_recurrent.models import presets, published

    if weights in published.PRESETS:
        preset = published.PRESETS[weights]
        name, backbone = name or preset.model, backbone or preset.backbone
        options = {**preset.settings, **options}
        weights = published.file_for(weights, name, backbone, options)
    weights = pathlib.Path(weights)
    if weights.suffix == ".keras" and weights.is_file():
        model = presets.load_model(weights)
        wanted = dict(options)
        if backbone:
            wanted["backbone"] = backbone
        if name:
            wanted["model"] = presets.MODELS[name].__name__
        held = {"model": type(model).__name__, **model.get_config()}
        wrong = [k for k, v in wanted.items() if k not in held or held[k] != v]
        if wrong:
            raise InputError(
                f"{weights} holds a network with "
                + ", ".join(f"{k}={held.get(k)}" for k in wrong)
                + ", not what the flags say; leave out --model, --backbone and "
                "--model_option, which a .keras file knows by itself."
            )
        return model
    if name is None:
        raise InputError(
            f"{weights} does not say which network it belongs to; give --model "
            "(and --backbone), or a .keras file."
        )
    try:
        model = presets.build_model(name, backbone, **options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"--model_option: {' '.join(str(error).split()).rstrip('.')}; see "
            f"the options of {presets.MODELS[name].__name__}."
        ) from None
    presets.load_weights(model, weights)
    return model


def write_overlay(clip, outcome, path):
    """Writes the masks of a segmented clip over its frames as a video.

    Args:
        clip: the clip.
        outcome: `inference.output.Outcome` of its segmentation.
        path: the .webm file, which browsers play too; kept
            if it is there and no mask is new.

    Returns:
        `path`.
    """
    from tqdm import tqdm

    from osmn_recurrent import masks
    from osmn_recurrent.inference import output
    from osmn_recurrent.reports.overlays import OverlayVideoWriter

    if path.exists() and not outcome.computed and not FLAGS.overwrite:
        return path
    fps = FLAGS.fps or _own_fps(clip)
    paths = output.mask_files(clip, outcome.folder)
    with OverlayVideoWriter(
        path, fps, clip.size, FLAGS.opacity, clip.palette()
    ) as writer:
        for frame, mask in zip(
            tqdm(clip.frames(), total=len(clip), desc="overlay", unit="frame"),
            paths,
            strict=True,
        ):
            writer.write(frame, masks.read_mask(mask))
    return path


def write_others(clip, outcome, out):
    """Writes what --cutouts, --tracks and --sheet ask for; gives the paths."""
    from tqdm import tqdm

    from osmn_recurrent import masks
    from osmn_recurrent.inference import output, writers

    paths, written = output.mask_files(clip, outcome.folder), []
    if FLAGS.cutouts:
        written.append(out / f"{clip.name}_cutouts")
        frames = tqdm(clip.frames(), total=len(clip), desc="cut-outs", unit="frame")
        for frame, path in zip(frames, paths, strict=True):
            ids = masks.read_mask(path)
            writers.write_cutout(written[-1] / path.name, frame, ids)
    if FLAGS.tracks:
        written.append(out / f"{clip.name}.json")
        names = [pathlib.Path(path).name for path in clip.frame_paths] or None
        files.write_json(written[-1], writers.tracks(clip.name, paths, names))
    if FLAGS.sheet:
        from osmn_recurrent.reports import overlays

        written.append(out / f"{clip.name}_sheet.png")
        frames = overlays.Lazy(len(clip), clip.frame)
        ids = overlays.Lazy(len(clip), lambda index: masks.read_mask(paths[index]))
        overlays.contact_sheet(written[-1], [(clip.name, frames, ids)])
    return written


def follow_camera(loop, options):
    """Segments what a camera sees, until Ctrl-C or its end."""
    from tqdm import tqdm

    from osmn_recurrent import masks
    from osmn_recurrent.datasets.video_files import camera_frames
    from osmn_recurrent.inference import output

    number = FLAGS.video.removeprefix("camera:")
    if not number.isdigit() or len(FLAGS.mask) != 1:
        raise InputError(
            f"--video={FLAGS.video} --mask={','.join(FLAGS.mask)}: expected "
            "camera:0 (or another number) and one mask, of its first frame."
        )
    ids, palette = masks.read_mask_with_palette(FLAGS.mask[0])
    files.check_output(FLAGS.out, folder=True)
    model = load_network(FLAGS.weights, FLAGS.model, FLAGS.backbone, options)
    segmenter = tuning.make_segmenter(model, None, None, loop)
    folder = pathlib.Path(FLAGS.out) / f"camera{number}"
    stream = output.segment_stream(
        segmenter, camera_frames(int(number)), ids, folder, palette
    )
    with (
        contextlib.suppress(KeyboardInterrupt),  # how a camera is ended
        contextlib.closing(stream),
    ):
        for _ in tqdm(stream, desc=folder.name, unit="frame"):
            pass
    count = len(list(folder.glob("*.png")))
    print(f"{folder.name}: {count} frames")
    return programs.Done((folder,))


def _own_fps(clip):
    """Frames per second of a video file, `DEFAULT_FPS` for a folder."""
    path = getattr(clip, "video_path", None)
    if path is None:
        return DEFAULT_FPS
    import cv2

    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return fps if fps > 0 else DEFAULT_FPS


def _summary(clip, outcome):
    frames = "1 frame" if outcome.frames == 1 else f"{outcome.frames} frames"
    objects = len(outcome.objects)
    speed = ""
    if outcome.seconds is not None:
        speed = (
            f", {outcome.seconds:.3f} s a frame ({outcome.network_seconds:.3f} "
            "without reading and writing)"
        )
    done = f"{outcome.computed} new" if outcome.computed else "none new"
    return (
        f"{clip.name}: {frames} ({done}), {objects} "
        f"object{'' if objects == 1 else 's'}{speed}"
    )


def _advice(out):
    """What helps most where an object was lost."""
    if FLAGS.finetune_steps:
        return ""
    command = programs.osmn_command(
        "segment",
        weights=FLAGS.weights if FLAGS["weights"].present else None,
        video=FLAGS.video,
        mask=",".join(FLAGS.mask),
        finetune_steps=100,
        out=f"{out}_finetuned",
    )
    return f"{command}  (where an object was lost)"


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
