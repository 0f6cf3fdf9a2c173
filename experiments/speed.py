"""Times the loop against the released procedure and against bare VGG16.

    python -m experiments.speed --objects=1,3,5 --out=runs/speed

All take turns of a few frames, so that other work on the machine slows them
all alike; figures are medians over the turns, ratios medians of each round's
ratio. "Released" is the released procedure re-enacted in float32 (one object
at a time, nothing shared, a PNG and a NumPy heat map per frame; see
experiments/release_loop.py), for OSMN on VGG16. "VGG16 alone" is the 13
convolutions and 4 poolings that no such network can do without, "trunk alone" the
same for other backbones. CPU seconds
are those of this process' threads, which other processes do not lengthen.

With --video, --mask and --weights it also compares the masks: of each object
alone, ours in each precision against the released procedure's. Writes
speed.json and speed.png, and prints the tables.
"""

import pathlib
import tempfile

from absl import flags

from osmn_recurrent import programs
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.precision import PRECISIONS

FLAGS = flags.FlagValues()

shared.define(FLAGS, "model", note="Default: osmn.")
shared_flags.define_network(FLAGS)
shared.define(FLAGS, "weights", note="Default: random weights, as fast.")
shared.define(FLAGS, "height", 480, lower_bound=16)
shared.define(FLAGS, "width", 854, lower_bound=16)
shared.define(FLAGS, "working_size", note="Default: the frames' own.")
shared.define(FLAGS, "objects", ["1", "3", "5"], several=True)
shared.define(
    FLAGS,
    "precisions",
    list(PRECISIONS),
    note="The released procedure is float32.",
)
flags.DEFINE_bool(
    "files",
    True,
    "Measure also with reading JPEG frames and writing PNG masks.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "released", True, "Measure the released procedure (OSMN).", flag_values=FLAGS
)
shared.define(FLAGS, "rounds", 5, note="After one that is not.")
flags.DEFINE_integer("turn", 2, "Frames per turn.", 1, flag_values=FLAGS)
flags.DEFINE_bool(
    "profile", False, "Show also where a frame's time goes.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "long_video",
    None,
    "Also go over so many frames, with the last of --objects and first of "
    "--precisions, and compare memory and time of beginning and end.",
    20,
    flag_values=FLAGS,
)
shared.define(FLAGS, "video", note="Masks are compared on it.")
shared.define(FLAGS, "mask", note="A folder of all masks gives J too.", several=True)
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "overwrite", False)


def main():
    """Measures; see the module's text."""
    from osmn_recurrent import files

    objects = _numbers(",".join(FLAGS.objects).split(","))
    precisions = _precisions(FLAGS.precisions)
    out = pathlib.Path(FLAGS.out)
    files.refuse_to_overwrite(out / "speed.json", FLAGS.overwrite)
    files.check_output(out, folder=True)
    clip = _clip()

    from experiments import hardware, release_loop, speed_runs
    from osmn_recurrent import provenance
    from osmn_recurrent.inference.segmenter import VideoSegmenter

    model = _network()
    size = shared_flags.parse_working_size(FLAGS.working_size)
    segmenters = {
        name: VideoSegmenter(model, name, working_size=size) for name in precisions
    }
    released = None
    if FLAGS.released and release_loop.fits(model):
        released = release_loop.release_graph(model)
    machine, before = hardware.describe(), hardware.load()
    result = {
        "model": type(model).__name__,
        "backbone": model.backbone.name,
        "frame": [FLAGS.height, FLAGS.width],
        "working_size": FLAGS.working_size,
        "hardware": machine,
        "versions": provenance.versions(),
        "git_commit": provenance.git_commit(),
        "turn": FLAGS.turn,
    }
    with tempfile.TemporaryDirectory() as folder:
        loops = _loops(pathlib.Path(folder), model, segmenters, released, objects)
        result["rows"] = _measured(loops)
        if FLAGS.profile:
            ours = [loop for loop in loops if loop.labels["loop"] == "ours"]
            result["profiles"] = [
                {**loop.labels, "parts": speed_runs.profile(loop, FLAGS.turn)}
                for loop in ours
                if not loop.labels["files"]
            ]
        if FLAGS.long_video:
            result["endurance"] = _endured(loops, objects[-1], precisions[0])
    result["load_average"] = [before, hardware.load()]
    if clip is not None:
        from experiments import agreement

        result["masks"] = agreement.of_clip(clip, segmenters, released)
    files.write_json(out / "speed.json", result)
    _plot(result, out / "speed.png")
    print(report(result))
    return programs.Done((out / "speed.json", out / "speed.png"))


def _numbers(texts):
    """`["1", "3"]` to [1, 3].

    Raises:
        InputError: anything but numbers from 1 to 254.
    """
    if not texts or not all(t.isdigit() and 0 < int(t) < 255 for t in texts):
        raise InputError(
            f"--objects={','.join(texts)}: expected numbers from 1 to 254, such "
            "as 1,3,5."
        )
    return [int(text) for text in texts]


def _precisions(names):
    wrong = [name for name in names if name not in PRECISIONS]
    if wrong or not names:
        raise InputError(
            f"--precisions={','.join(names)}: expected some of {', '.join(PRECISIONS)}."
        )
    return names


def _clip():
    """The clip of --video and --mask, checked, or None."""
    if FLAGS.video is None and FLAGS.mask is None:
        return None
    if None in (FLAGS.video, FLAGS.mask, FLAGS.weights):
        raise InputError(
            "masks are compared with --video, --mask and --weights together; "
            "give all three or none of --video and --mask."
        )
    from osmn_recurrent.datasets.video_files import open_clip

    clip = open_clip(FLAGS.video, FLAGS.mask)
    clip.check()
    return clip


def _network():
    """The network of the flags; with random weights where none are given."""
    import keras
    import numpy as np

    from osmn_recurrent.cli.segment import load_network
    from osmn_recurrent.models import building

    options = shared_flags.parse_model_options(FLAGS.model_option)
    if FLAGS.weights:
        return load_network(FLAGS.weights, FLAGS.model, FLAGS.backbone, options)
    keras.utils.set_random_seed(0)
    model = building.build_model(FLAGS.model or "osmn", FLAGS.backbone, **options)
    # Zero kernels, which new modulators have, could be quicker than others.
    rng = np.random.default_rng(0)
    for layer in model.modulator.heads() if hasattr(model.modulator, "heads") else ():
        layer.kernel.assign(rng.normal(0, 0.001, layer.kernel.shape))
    return model


def _loops(folder, model, segmenters, released, objects):
    """All loops, those of one setting side by side."""
    import tensorflow as tf

    from experiments import speed_runs

    footage = speed_runs.Footage(folder, (FLAGS.height, FLAGS.width))
    adapt = tf.function(model.adapt)
    loops = []
    for precision, segmenter in segmenters.items():
        size = segmenter.working_size
        loops.append(speed_runs.Floor(segmenter.model, footage, precision, size))
    for count in objects:
        for with_files in (False, True) if FLAGS.files else (False,):

            def place(name, count=count, with_files=with_files):
                return folder / f"{name}_{count}" if with_files else None

            if released is not None:
                loops.append(
                    speed_runs.ReleasedLoop(
                        released, adapt, footage, count, place("released")
                    )
                )
            for precision, segmenter in segmenters.items():
                loops.append(
                    speed_runs.OurLoop(segmenter, footage, count, place(precision))
                )
    return loops


def _measured(loops):
    """The rows of the table, with a progress bar."""
    from tqdm import tqdm

    from experiments import speed_runs

    total = len(loops) * (FLAGS.rounds + 1)
    with tqdm(total=total, desc="measuring", unit="turn") as progress:
        rows = speed_runs.measure(loops, FLAGS.rounds, FLAGS.turn, progress.update)
    speed_runs.compare(rows)
    return rows


def _endured(loops, count, precision):
    """The result of --frames."""
    from tqdm import tqdm

    from experiments import speed_runs

    wanted = ("ours", count, precision, FLAGS.files)
    loop = next(x for x in loops if tuple(x.labels.values()) == wanted)
    with tqdm(total=FLAGS.long_video, desc="endurance", unit="frame") as progress:
        return speed_runs.endure(loop, FLAGS.long_video, progress.update)


def report(result):
    """The text that the program prints: hardware, tables, profiles."""
    from experiments import hardware
    from osmn_recurrent.reports import text_tables

    versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    load = ["unknown" if v is None else f"{v:.1f}" for v in result["load_average"]]
    height, width = result["frame"]
    parts = [
        f"{result['model']} ({result['backbone']}), frames of {width}x{height}",
        f"{hardware.in_words(result['hardware'])}; {versions}",
        f"load average {load[0]} before, {load[1]} after (this program adds "
        f"about {result['hardware']['cores']})",
        text_tables.text_table(
            [_line(row) for row in result["rows"]],
            {"s/frame": 3, "CPU s/frame": 3, "x released": 2, "x by CPU": 2},
        ),
    ]
    for entry in result.get("profiles", ()):
        lines = [
            {"part": part, "ms/frame": 1000 * seconds, "%": 100 * share}
            for part, seconds, share in entry["parts"]
            if share > 0.005
        ]
        title = f"{entry['objects']} object(s), {entry['precision']}"
        parts.append(f"{title}:\n{text_tables.text_table(lines)}")
    if "endurance" in result:
        long = result["endurance"]
        lines = [
            {"measure": key, "beginning": long[key][0], "end": long[key][1]}
            for key in ("megabytes", "seconds", "cpu_seconds")
        ]
        title = f"{long['frames']} frames, {long['objects']} object(s)"
        digits = {"beginning": 4, "end": 4}
        parts.append(f"{title}:\n{text_tables.text_table(lines, digits)}")
    if "masks" in result:
        digits = {"smallest IoU": 5, "mean IoU": 5, "pixels changed, %": 3, "J": 2}
        parts.append(text_tables.text_table(result["masks"], digits))
    return "\n\n".join(parts)


def _line(row):
    def percent(value):
        return None if value is None else 100 * value

    return {
        "loop": row["loop"],
        "objects": "-" if row["objects"] is None else row["objects"],
        "precision": row["precision"],
        "files": "yes" if row["files"] else "no",
        "s/frame": row["seconds"],
        "CPU s/frame": row["cpu_seconds"],
        "x released": row["times_faster"],
        "x by CPU": row["times_less_cpu"],
        "% over VGG16": percent(row["over_floor"]),
        "% by CPU": percent(row["cpu_over_floor"]),
    }


def _plot(result, path):
    """Bars of seconds per frame, one group per number of objects."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from experiments import hardware
    from osmn_recurrent import files

    rows = [row for row in result["rows"] if row["objects"] and not row["files"]]
    floors = [row for row in result["rows"] if row["objects"] is None]
    kinds = list(dict.fromkeys((row["loop"], row["precision"]) for row in rows))
    counts = list(dict.fromkeys(row["objects"] for row in rows))
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for k, kind in enumerate(kinds):
        own = [row for row in rows if (row["loop"], row["precision"]) == kind]
        shift = (k - len(kinds) / 2 + 0.5) * 0.8 / len(kinds)
        places = [counts.index(row["objects"]) + shift for row in own]
        bars = axes.bar(
            places,
            [row["seconds"] for row in own],
            0.75 / len(kinds),
            label=" ".join(kind),
        )
        axes.bar_label(bars, fmt="%.2f", fontsize=7)
    for row, style in zip(floors, ("-", "--", ":"), strict=False):
        label = f"{row['loop']} {row['precision']}"
        axes.axhline(row["seconds"], color="grey", linestyle=style, label=label)
    axes.set_xticks(range(len(counts)), [str(count) for count in counts])
    axes.set(xlabel="objects", ylabel="seconds per frame (no files)")
    height, width = result["frame"]
    axes.set_title(
        f"{result['model']} ({result['backbone']}), {width}x{height}\n"
        f"{hardware.in_words(result['hardware'])}",
        fontsize=9,
    )
    axes.legend(fontsize=8)
    with files.replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=120)
    pyplot.close(figure)


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
