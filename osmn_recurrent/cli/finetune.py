"""Fine-tunes a network on each video's first frame, and segments the video.

    osmn finetune --weights=osmn.keras \\
        --dataset=davis2016 --data_dir=DAVIS --split=val --out=runs/tuned
    osmn finetune --weights=osmn.keras \\
        --video=clip.mp4 --mask=first.png --out=runs/mine

Every object gets a tuned copy of the network; the stored weights are not
touched. Writes OUT/masks/SEQUENCE/FRAME.png, OUT/sequences/SEQUENCE.json
(seconds, J before and after where the ground truth is there) and OUT/table.txt. A
run that was interrupted resumes with the sequence that it was at.
"""

import dataclasses
import pathlib

from absl import flags

from osmn_recurrent import files, programs, run_folder, text_files
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import segment, shared, tuning
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
shared_flags.define_model(FLAGS)
shared_flags.define_network(FLAGS)


shared.define(FLAGS, "weights", required=True)
shared.define(FLAGS, "out", required=True)
shared_flags.define_dataset(FLAGS, "davis2017", required=False)
flags.DEFINE_list(
    "sequences", [], "Only these sequences of the list.", flag_values=FLAGS
)
shared.define(FLAGS, "video")
shared.define(FLAGS, "mask")
shared.define(
    FLAGS,
    "finetune_steps",
    note="Default: the paper's; compact networks: 100. They have their own defaults of "
    "all the following, see FinetuneSettings.for_network.",
)
shared.define(
    FLAGS,
    "learning_rate",
    note="Default: the paper's (OSMN 1e-5, ReConvNet 1e-6, OSVOS 1e-8 SGD, MaskTrack "
    "1e-3 SGD).",
)
shared.define(
    FLAGS, "batch_size", note="Default: the paper's (MaskTrack 10, others 1)."
)
flags.DEFINE_enum(
    "optimizer",
    None,
    ["adam", "sgd"],
    "Default: the paper's (OSVOS, MaskTrack: sgd, others adam).",
    flag_values=FLAGS,
)
shared.define(FLAGS, "loss", note="Default: the paper's.")
shared.define(FLAGS, "reduction", note="Default: the paper's, sum.")
shared.define(FLAGS, "clip_norm", note="Default: none.")
shared.define(FLAGS, "trainable", note="Default for OSVOS-M: its modulator.")
flags.DEFINE_bool(
    "move",
    False,
    "Also shift, scale, rotate and mirror the frame where the published "
    "settings do not (OSMN).",
    flag_values=FLAGS,
)
shared.define(
    FLAGS,
    "clip_length",
    note="Pseudo-clips move as with --move. Default: 4 for ReConvNet, 0 for others.",
)
flags.DEFINE_bool(
    "adapt",
    False,
    "Keep learning while segmenting, in the manner of onAVOS.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "working_size", note="Default: the preset's, or the frames' own.")
shared.define(FLAGS, "merge", "argmax")
flags.DEFINE_bool(
    "before",
    True,
    "Where the ground truth is there, also segment without tuning to compare.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "keep_weights",
    False,
    "Keep the tuned networks in OUT/tuned (full size: 660 MB each).",
    flag_values=FLAGS,
)
shared.define(FLAGS, "seed", 0)
shared.define(FLAGS, "overwrite", False)


def main():
    """Tunes and segments; see the module's text."""
    out = pathlib.Path(FLAGS.out)
    working_size = shared_flags.working_size(FLAGS, FLAGS.weights)
    clips = list_clips()
    check_places(out, clips)
    model = segment.load_network(
        FLAGS.weights,
        FLAGS.model,
        FLAGS.backbone,
        shared_flags.parse_model_options(FLAGS.model_option),
    )
    settings = finetune_settings(model)
    with run_folder.hold(out):
        claim(out, clips, model, settings, working_size)
        rows = [
            tune_and_segment(model, clip, settings, working_size, out) for clip in clips
        ]
        table = table_of(rows)
        files.write_text(out / "table.txt", table + "\n")
    print(table)
    advice = ""
    if FLAGS.data_dir is not None:
        advice = programs.osmn_command(
            "report",
            results=out / "masks",
            **shared_flags.dataset_arguments(FLAGS),
            out=out / "report.html",
        )
    return programs.Done((out / "table.txt", out / "masks"), advice)


def list_clips():
    """The clips that the flags name, each checked.

    Raises:
        InputError: neither or both kinds of clips, a clip that cannot be
            segmented, an unknown sequence.
    """
    if (FLAGS.data_dir is None) == (FLAGS.video is None):
        raise InputError("give either --data_dir or --video and --mask.")
    if FLAGS.video is not None:
        from osmn_recurrent.datasets.video_files import open_clip

        if FLAGS.mask is None:
            raise InputError("--video needs --mask, the mask of its first frame.")
        clips = [open_clip(FLAGS.video, FLAGS.mask)]
    else:
        place = shared_flags.dataset_place(FLAGS)
        clips = registry.clips(*place, first_mask_only=False)
        unknown = set(FLAGS.sequences) - {clip.name for clip in clips}
        if unknown:
            raise InputError(
                f"--sequences: {', '.join(sorted(unknown))} not in the list "
                f"{FLAGS.split} of {FLAGS.data_dir}."
            )
        if FLAGS.sequences:
            clips = [clip for clip in clips if clip.name in FLAGS.sequences]
    for clip in clips:
        clip.check()
    return clips


def finetune_settings(model):
    """`FinetuneSettings`: the network's own with what the flags change."""
    from osmn_recurrent.training import online
    from osmn_recurrent.training.first_frame import NO_MOTION
    from osmn_recurrent.training.pseudo_clips import Motion

    settings = online.FinetuneSettings.for_network(model)
    given = {
        name: FLAGS[name].value
        for name in (
            "learning_rate",
            "batch_size",
            "optimizer",
            "loss",
            "reduction",
            "clip_norm",
            "trainable",
        )
        if FLAGS[name].value is not None
    }
    if FLAGS.finetune_steps not in (None, shared.AUTO):
        given["iterations"] = FLAGS.finetune_steps
    transforms = settings.transforms
    if FLAGS.clip_length is not None:
        transforms = dataclasses.replace(
            transforms, clip_length=FLAGS.clip_length or None
        )
    moving = FLAGS.move or transforms.clip_length
    if moving and transforms.motion == NO_MOTION:
        transforms = dataclasses.replace(transforms, flip=0.5, motion=Motion())
    return dataclasses.replace(
        settings, **given, seed=FLAGS.seed, transforms=transforms
    )


def check_places(out, clips):
    """Refuses, before work starts, to replace what the run reads."""
    files.check_output(out, folder=True)
    inputs = [path for clip in clips for path in clip.input_files()]
    inputs += [path for clip in clips for path in clip.mask_paths.values()]
    folders = [out / name for name in ("sequences", "tuned")]
    folders += [out / n / clip.name for n in ("masks", "before") for clip in clips]
    files.refuse_inputs(folders, [*inputs, FLAGS.weights], folders)


def claim(out, clips, model, settings, working_size):
    """Refuses to mix results of different settings in one folder."""
    from osmn_recurrent.models import building

    run = run_folder.RunFolder(out, "finetune")
    parts = {
        "weights_sha256": building.weights_digest(model),
        "finetuning": dataclasses.asdict(settings),
        "adapt": FLAGS.adapt,
        "merge": FLAGS.merge,
        "working_size": working_size,
    }
    rows = sorted((out / "sequences").glob("*.json"))
    run.claim(parts, [*rows, out / "table.txt"], FLAGS.overwrite)
    run.write()


def tune_and_segment(model, clip, settings, working_size, out):
    """One clip's row, from its file if it was finished before.

    Returns:
        Dict for the table and OUT/sequences/CLIP.json.
    """
    from osmn_recurrent.inference import output
    from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
    from osmn_recurrent.inference.segmenter import VideoSegmenter
    from osmn_recurrent.models.precision import precision_of
    from osmn_recurrent.training import online

    path = out / "sequences" / f"{clip.name}.json"
    inputs = {"inputs": tuning.digest_of(clip)}
    if path.exists() and not FLAGS.overwrite:
        stored = text_files.read_json(path, "a result of osmn finetune")
        changed = run_folder.differences(stored, inputs)
        if changed:
            raise InputError(
                f"{path} is of other frames or masks of {clip.name} than are there "
                "now; give --overwrite to begin anew or name another place."
            )
        return {key: value for key, value in stored.items() if key not in inputs}
    scored = FLAGS.data_dir is not None and len(clip.mask_paths) == len(clip)
    before = None
    if scored and FLAGS.before:
        plain = VideoSegmenter(
            model, precision_of(model), FLAGS.merge, working_size=working_size
        )
        folder = out / "before" / clip.name
        output.segment_clip(plain, clip, folder, FLAGS.overwrite, later_masks=False)
        before = mean_j(clip, out / "before")
    settings = online.at_size(settings, clip, working_size)
    models, seconds = tuning.tuned_networks(model, clip, settings, out)
    if FLAGS.adapt:
        from osmn_recurrent.training.adaptation import AdaptingSegmenter

        segmenter = AdaptingSegmenter(models, None, settings, FLAGS.merge, working_size)
    else:
        segmenter = ObjectwiseSegmenter(models, FLAGS.merge, working_size)
    folder = out / "masks" / clip.name
    done = output.segment_clip(
        segmenter, clip, folder, FLAGS.overwrite, later_masks=False
    )
    after = mean_j(clip, out / "masks") if scored else None
    row = {
        "sequence": clip.name,
        "frames": len(clip),
        "objects": len(models),
        "iterations": settings.iterations,
        "tuning s": seconds,
        "s/frame": done.seconds,
        "s/frame with tuning": None
        if done.seconds is None
        else done.seconds + seconds / len(clip),
        "J before": before,
        "J after": after,
        "difference": None if before is None or after is None else after - before,
    }
    files.write_json(path, {**row, **inputs})
    if not FLAGS.keep_weights:
        for weights in tuning.tuned_files(clip, out, models):
            weights.unlink(missing_ok=True)
            weights.with_suffix(".json").unlink(missing_ok=True)
    return row


def mean_j(clip, results):
    """Mean J over a clip's objects in percent, by the data set's rules."""
    from osmn_recurrent.metrics import result_folder

    sequences = registry.sequences(*shared_flags.dataset_place(FLAGS))
    own = [each for each in sequences if each.name == clip.name]
    scores = result_folder.evaluate_folder(results, own, processes=1)[clip.name]
    return 100 * sum(each.summary()["J-Mean"] for each in scores.values()) / len(scores)


def table_of(rows):
    """The table of all clips, with means where there are several."""
    from osmn_recurrent.reports.text_tables import text_table

    rows = list(rows)
    if len(rows) > 1:
        mean = {"sequence": "mean"}
        for key in list(rows[0])[1:]:
            values = [row[key] for row in rows if row[key] is not None]
            mean[key] = sum(values) / len(values) if values else None
        rows.append(mean)
    return text_table(rows, {"s/frame": 3, "s/frame with tuning": 3, "J after": 2})


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
