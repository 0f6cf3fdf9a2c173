"""Segments the objects of a video, given their masks in its first frame.

Example:

    osmn segment --video=clip.mp4 --mask=first.png --out=runs/mine

Without --weights it uses those that come with the package. Presets and .keras
files know their model; a .weights.h5 file needs --model, --backbone, --model_option.
Writes OUT/CLIP/FRAME.png (palette masks under the frames' names), beside them
run.json (settings, versions, seconds per frame), and OUT/CLIP_overlay.mp4, the
masks over the frames. An interrupted run resumes when it is started again.

Several --video, a pattern (--video='clips/*.mp4') or --list=videos.csv segment many
videos with one network, --shard and --runner spread them; see docs/many_videos.md.
"""

import contextlib
import functools
import pathlib
import sys

from absl import flags

from osmn_recurrent import files, masks, programs, run_folder
from osmn_recurrent.cli import exports, segment_many, shared, tuning
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.presets import DEFAULT

FLAGS = flags.FlagValues()
shared_flags.define_model(FLAGS)
shared_flags.define_network(FLAGS)
shared_flags.define_loop(FLAGS)

shared.define(
    FLAGS,
    "weights",
    DEFAULT,
    note="osmn-lite0, reconvnet-lite0, osmn-compact and reconvnet-compact come with "
    "the package; "
    "TensorFlow 1 checkpoints go through osmn convert osmn.",
)
shared.define(
    FLAGS,
    "video",
    note="Or camera:0 for the first camera, rtsp://... or https://... (until Ctrl-C or "
    "the end; masks alone are written), or a pattern such as 'clips/*.mp4'.",
    several=True,
)
shared.define(
    FLAGS,
    "mask",
    note="Or a folder of them, or several, named like their frames, where objects "
    "appear later. Of several videos: one each, or a folder with NAME.png or NAME/.",
    several=True,
)
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "finetune_steps", shared.AUTO)
exports.define(FLAGS)
shared.define(FLAGS, "overwrite", False)
segment_many.define(FLAGS)


def main():
    """Segments; see the module's text."""
    segment_many.check(FLAGS)
    exports.check(FLAGS)
    from osmn_recurrent.datasets.video_files import is_stream

    network = Network()
    if any(is_stream(video) for video in FLAGS.video or ()):
        return follow_stream(network)
    if segment_many.wanted(FLAGS):
        return segment_many.run(FLAGS, worker)
    written = one_video(FLAGS.video[0], FLAGS.mask, network)
    return programs.Done(written, _advice(pathlib.Path(FLAGS.out), network.tuned))


def worker(arguments=None):
    """What does many videos: a function of a `many_videos.Job`.

    Args:
        arguments: flags as on the command line, for another process, which has
            not read any; None: they are read.
    """
    if arguments is not None:
        FLAGS(["segment", *arguments])
    network = Network()

    def work(job):
        written = one_video(job.video, list(job.masks), network)
        return [str(path) for path in written]

    return work


class Network:
    """The network that the flags ask for, loaded when it is first used."""

    def __init__(self):
        self.loop = shared_flags.loop_options(FLAGS, FLAGS.weights)
        self._options = shared_flags.parse_model_options(FLAGS.model_option)
        self.tuned = False

    @functools.cached_property
    def _model(self):
        return load_network(FLAGS.weights, FLAGS.model, FLAGS.backbone, self._options)

    @functools.cached_property
    def _segmenter(self):
        return tuning.make_segmenter(self._model, None, None, self.loop)

    def finetune_steps(self, clip):
        """How many steps of fine-tuning a clip gets."""
        if FLAGS.finetune_steps == shared.AUTO and self.loop["refine"] != "none":
            return 0
        return tuning.steps_for(FLAGS.finetune_steps, self._model, clip)

    def segmenter(self, clip=None, out=None):
        """The segmenter of a clip; of all clips, but for one that is tuned."""
        steps = 0 if clip is None else self.finetune_steps(clip)
        if not steps:
            return self._segmenter
        self.tuned = True
        if FLAGS.finetune_steps == shared.AUTO:
            print(
                f"{clip.name}: the network learns the first mask in {steps} steps per "
                "object; --finetune_steps=0 leaves that out"
            )
        return tuning.make_segmenter(self._model, clip, out, self.loop, steps)


def one_video(video, mask, network):
    """Segments a video; gives a tuple of the paths of what was written.

    Args:
        video: file or folder.
        mask: as `open_clip` takes it.
        network: `Network`.
    """
    from osmn_recurrent.datasets import projects
    from osmn_recurrent.datasets.video_files import note_idle_masks, open_clip

    if projects.is_project(video) and not mask:
        clip = projects.open_project_clip(video)
        clip.check()
    else:
        clip = open_clip(video, mask)
        clip.check()
        note_idle_masks(clip)
    out = pathlib.Path(FLAGS.out)
    files.check_output(out, folder=True)
    if FLAGS.finetune_steps != shared.AUTO and FLAGS.finetune_steps:
        tuning.check_first_mask_alone(clip)
    followers = exports.make(FLAGS, clip, out)
    mattes = exports.make_mattes(FLAGS, clip, out)
    with run_folder.hold(out / clip.name):
        outcome = segment(clip, out, network, followers, mattes)
    print(_summary(clip, outcome))
    beside = [*([] if mattes is None else [mattes]), *followers]
    return (outcome.folder, *(each.path for each in beside))


def segment(clip, out, network, followers, mattes=None):
    """Segments a clip into a folder that is held, and writes what is asked for.

    Args:
        clip: the clip.
        out: folder for the results.
        network: `Network`.
        followers: of `exports.make`.
        mattes: of `exports.make_mattes`.

    Returns:
        `inference.output.Outcome`.
    """
    from osmn_recurrent.inference import output

    folder = out / clip.name
    output.check_places(clip, folder, [*followers, *([mattes] if mattes else [])])
    segmenter = network.segmenter(clip, out)
    try:
        return output.segment_clip(
            segmenter,
            clip,
            folder,
            FLAGS.overwrite,
            followers=followers,
            mattes=mattes,
        )
    except KeyboardInterrupt:
        paths = output.mask_files(clip, folder)
        print(
            f"{output.count_done(paths)} of {len(clip)} masks are in {folder}; "
            "the same command resumes from there.",
            file=sys.stderr,
        )
        raise


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
    from osmn_recurrent.models import building, presets

    if weights in presets.PRESETS:
        preset = presets.PRESETS[weights]
        name, backbone = name or preset.model, backbone or preset.backbone
        options = {**preset.settings, **options}
        weights = presets.file_for(weights, name, backbone, options)
    weights = pathlib.Path(weights)
    if weights.suffix == ".keras" and weights.is_file():
        model = building.load_model(weights)
        wanted = dict(options)
        if backbone:
            wanted["backbone"] = backbone
        if name:
            wanted["model"] = building.MODELS[name].__name__
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
        model = building.build_model(name, backbone, **options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"--model_option: {' '.join(str(error).split()).rstrip('.')}; see "
            f"the options of {building.MODELS[name].__name__}."
        ) from None
    building.load_weights(model, weights)
    return model


def follow_stream(network):
    """Segments what a camera or an address gives, until Ctrl-C or its end."""
    from tqdm import tqdm

    from osmn_recurrent.datasets.video_files import stream_frames
    from osmn_recurrent.inference import output
    from osmn_recurrent.media.mask_files import read_mask_with_palette

    if len(FLAGS.mask) * len(FLAGS.video) != 1:
        raise InputError(
            f"--video={' '.join(FLAGS.video)} --mask={' '.join(FLAGS.mask)}: expected "
            "camera:0 (or another number) or an address, and one mask, of its first "
            "frame."
        )
    name, frames = stream_frames(FLAGS.video[0])
    ids, palette = read_mask_with_palette(FLAGS.mask[0])
    if not masks.object_ids(ids):
        raise InputError(
            f"{FLAGS.mask[0]} is empty: no object to follow; mark the objects in it "
            "with ids from 1 on."
        )
    files.check_output(FLAGS.out, folder=True)
    segmenter = network.segmenter()
    folder = pathlib.Path(FLAGS.out) / name
    stream = output.segment_stream(segmenter, frames, ids, folder, palette)
    with (
        contextlib.suppress(KeyboardInterrupt),  # how a camera is ended
        contextlib.closing(stream),
    ):
        for _ in tqdm(stream, desc=folder.name, unit="frame"):
            pass
    count = len(list(folder.glob("*.png")))
    print(f"{folder.name}: {count} frames")
    return programs.Done((folder,))


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


def _advice(out, tuned):
    """What helps most where an object was lost."""
    if tuned:
        return ""
    command = programs.osmn_command(
        "segment",
        weights=FLAGS.weights if FLAGS["weights"].present else None,
        video=FLAGS.video[0],
        mask=FLAGS.mask,
        finetune_steps=100,
        out=f"{out}_finetuned",
    )
    return f"{command}  (where an object was lost)"


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    # By its own name, under which other processes find `worker`.
    from osmn_recurrent.cli import segment as program

    program.console()
