"""Speed as ratios within one run, compared with the ratios that were kept.

    make bench            (python -m experiments.bench)
    python -m experiments.bench --keep      # these ratios are the new ones

A ratio hardly depends on the machine: the loop around a network against its bare
trunk, an optimiser step against the bare convolutions of its graph, forward and
backward, bfloat16 against float32, the start of `osmn segment` against importing
TensorFlow, ours against the plain way of scoring. Both sides take turns; figures are
medians of each round's ratio. Smaller is faster. Writes OUT/bench.json and names what
is more than a tenth above experiments/records/bench.json, with exit code 1; --keep
replaces that file.
"""

import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from experiments import hardware
from osmn_recurrent import files, programs, provenance
from osmn_recurrent.cli import shared

KEPT = pathlib.Path(__file__).with_name("records") / "bench.json"
ALLOWED = 1.1
"""Times the kept ratio; more is named."""
NETWORKS = (("osmn", "efficientnet_lite0"), ("reconvnet", "efficientnet_lite0"))

FLAGS = flags.FlagValues()
shared.define(FLAGS, "height", 480, lower_bound=16)
shared.define(FLAGS, "width", 854, lower_bound=16)
shared.define(FLAGS, "rounds", 5, note="After one that is not.")
flags.DEFINE_bool(
    "keep",
    False,
    "These are the ratios to compare with from now on.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "out", "runs/bench")


def main():
    """Measures, compares; see the module's text."""
    from osmn_recurrent.reports import text_tables

    path = pathlib.Path(FLAGS.out) / "bench.json"
    files.check_output(path)
    before, rows = hardware.load(), []
    for measured in (loops, training_steps, start, scoring):
        print(f"{measured.__name__.replace('_', ' ')} ...", flush=True)
        rows += measured(FLAGS.rounds)
    kept = json.loads(KEPT.read_text("utf-8"))["rows"] if KEPT.exists() else []
    compare(rows, kept)
    content = {
        "rows": rows,
        "rounds": FLAGS.rounds,
        "hardware": hardware.describe(),
        "load_average": [before, hardware.load()],
        "versions": provenance.versions(),
        "git_commit": provenance.git_commit(),
    }
    written = [path]
    files.write_json(path, content)
    if FLAGS.keep:
        files.write_json(KEPT, content)
        written.append(KEPT)
    print(text_tables.text_table(rows, {"ratio": 3, "kept": 3, "seconds": 4}))
    print(hardware.in_words(content["hardware"]))
    slower = [row for row in rows if row["slower"]]
    for row in slower:
        print(
            f"slower: {row['what']}: {row['ratio']:.3f} times {row['against']}, "
            f"kept: {row['kept']:.3f}"
        )
    if slower and not FLAGS.keep:
        raise SystemExit(1)
    return programs.Done(tuple(written))


def compare(rows, kept):
    """Adds "kept" and "slower" to rows.

    Args:
        rows: dicts of "what", "against", "ratio"; changed in place.
        kept: such rows of an earlier run.
    """
    known = {(row["what"], row["against"]): row["ratio"] for row in kept}
    for row in rows:
        row["kept"] = known.get((row["what"], row["against"]))
        row["slower"] = row["kept"] is not None and (
            row["ratio"] > ALLOWED * row["kept"]
        )


def side_by_side(functions, rounds, repeat=1):
    """Runs functions in turns.

    Args:
        functions: of no arguments.
        rounds: turns of each that count, after one that does not.
        repeat: calls per turn.

    Returns:
        List of the seconds per call of each turn, for each function.
    """
    seconds = [[] for _ in functions]
    for number in range(rounds + 1):
        for function, own in zip(functions, seconds, strict=True):
            begun = time.perf_counter()
            for _ in range(repeat):
                function()
            if number:
                own.append((time.perf_counter() - begun) / repeat)
    return seconds


def ratio_row(what, seconds, against, others):
    """A row of the record: the median of the rounds' ratios."""
    return {
        "what": what,
        "against": against,
        "seconds": statistics.median(seconds),
        "ratio": statistics.median(
            own / other for own, other in zip(seconds, others, strict=True)
        ),
    }


def loops(rounds):
    """A frame of `VideoSegmenter` against the bare trunk, and in bfloat16."""
    from experiments import speed_runs
    from osmn_recurrent.inference.segmenter import VideoSegmenter
    from osmn_recurrent.models import building

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        footage = speed_runs.Footage(pathlib.Path(folder), (FLAGS.height, FLAGS.width))
        for network in NETWORKS:
            model = building.build_model(*network)
            ours = [
                speed_runs.OurLoop(
                    VideoSegmenter(model, precision), footage, count, None
                )
                for precision, count in (
                    ("float32", 1),
                    ("float32", 3),
                    ("bfloat16", 1),
                )
            ]
            floor = speed_runs.Floor(model, footage, "float32")
            turns = [lambda loop=loop: loop.turn(1) for loop in (floor, *ours)]
            bare, one, three, bfloat16 = side_by_side(turns, rounds, repeat=4)
            name = ", ".join(network)
            rows += [
                ratio_row(f"{name}: frame, 1 object", one, "trunk alone", bare),
                ratio_row(f"{name}: frame, 3 objects", three, "trunk alone", bare),
                ratio_row(f"{name}: frame, bfloat16", bfloat16, "float32", one),
            ]
    return rows


def training_steps(rounds):
    """An optimiser step against its convolutions, forward and backward."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    batch, length, *_ = sides = 2, 3, 160, 256
    inputs = {
        "image": rng.normal(0, 60, (*sides, 3)),
        "visual_guide": rng.normal(0, 60, (batch, 224, 224, 3)),
        "spatial_guide": rng.uniform(0, 1, (*sides, 1)),
    }
    inputs = {name: tf.constant(x, tf.float32) for name, x in inputs.items()}
    labels = tf.constant(rng.uniform(0, 1, (*sides, 1)) > 0.8, tf.float32)
    rows = []
    for network in (*NETWORKS, ("osmn", "vgg16_compact")):
        functions = _steps_of(network, (inputs, labels), length)
        plain, bare, own = side_by_side(functions, rounds)
        name = ", ".join(network)
        rows += [
            ratio_row(f"{name}: training step", plain, "bare convolutions", bare),
            ratio_row(f"{name}: scheduled sampling", own, "true guides", plain),
        ]
    return rows


def _steps_of(network, batch, length):
    """A training step, its convolutions alone, and it with guides of its own making."""
    from osmn_recurrent.models import building
    from osmn_recurrent.training import distribution, optimizers, steps
    from osmn_recurrent.training.sample_settings import SampleSettings
    from osmn_recurrent.training.settings import TrainSettings

    settings = TrainSettings(
        samples=SampleSettings(clip_length=length),
        loss="cross_entropy_lovasz",
        batch_size=len(batch[1]),
    )
    model = building.build_model(*network)
    steps.prepare(model, settings, 1)
    optimizer = optimizers.make_optimizer(settings)
    optimizer.build(steps.trained_variables(model, settings))
    strategy = distribution.make_strategy("one")
    plain, own = (
        steps.TrainStep(model, optimizer, each, strategy)
        for each in (settings, dataclasses.replace(settings, scheduled_sampling=1.0))
    )
    bare = bare_convolutions(
        convolutions_of(lambda inputs: model(inputs, training=True), batch[0])
    )
    return (lambda: plain(batch, 0)), bare, (lambda: own(batch, 0))


def convolutions_of(function, inputs):
    """The convolutions of a graph.

    Args:
        function: of the inputs; its graph at their sizes is read.
        inputs: nest of tensors.

    Returns:
        List of `(function of an image and a kernel, image's shape, kernel's shape,
        options)`.
    """
    import tensorflow as tf

    kinds = {
        "Conv2D": tf.nn.conv2d,
        "DepthwiseConv2dNative": tf.nn.depthwise_conv2d,
    }
    specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), inputs)
    graph = tf.function(function).get_concrete_function(specs).graph
    found = []
    for operation in graph.get_operations():
        if operation.type not in kinds:
            continue
        padding = operation.get_attr("padding").decode()
        if padding == "EXPLICIT":
            sides = operation.get_attr("explicit_paddings")
            padding = [list(sides[k : k + 2]) for k in range(0, len(sides), 2)]
        options = {"strides": list(operation.get_attr("strides")), "padding": padding}
        shapes = (tuple(x.shape) for x in operation.inputs)
        found.append((kinds[operation.type], *shapes, options))
    return found


def bare_convolutions(found):
    """Convolutions forward and backward, with nothing between them.

    Args:
        found: of `convolutions_of`.

    Returns:
        Function of no arguments that runs them on noise.
    """
    import tensorflow as tf

    made = [
        (convolve, tf.random.normal(image), 0.01 * tf.random.normal(kernel), options)
        for convolve, image, kernel, options in found
    ]

    @tf.function
    def run():
        total = 0.0
        for convolve, image, kernel, options in made:
            with tf.GradientTape() as tape:
                tape.watch((image, kernel))
                result = convolve(image, kernel, **options)
            # The result takes the place of the gradient that a loss would give.
            for gradient in tape.gradient(result, (image, kernel), result):
                total += gradient[0, 0, 0, 0]
        return total

    return lambda: float(run())


def start(rounds):
    """`osmn segment` on two frames of the shipped clip against importing TensorFlow."""
    from osmn_recurrent.datasets import video_files

    clip = video_files.example_clip()
    with tempfile.TemporaryDirectory() as folder:
        video, mask = write_beginning(clip, pathlib.Path(folder))

        def segment():
            out = pathlib.Path(folder) / f"masks{time.monotonic_ns()}"
            verb = ("-m", "osmn_recurrent.cli.main", "segment", f"--out={out}")
            _quietly(*verb, f"--video={video}", f"--mask={mask}", "--nooverlay")

        def imported():
            _quietly("-c", "import tensorflow, keras; keras.ops.zeros(1)")

        ours, theirs = side_by_side([segment, imported], min(rounds, 3))
    return [ratio_row("osmn segment, 2 frames", ours, "import tensorflow", theirs)]


def write_beginning(clip, folder):
    """Two frames of a clip and its first mask as files: `(frames' folder, mask)`."""
    from PIL import Image

    from osmn_recurrent.media.mask_files import write_mask

    frames = folder / "frames"
    frames.mkdir()
    for t in range(2):
        Image.fromarray(clip.frame(t)).save(frames / f"{t:05d}.png")
    write_mask(folder / "mask.png", clip.mask(0))
    return frames, folder / "mask.png"


def _quietly(*arguments):
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def scoring(rounds):
    """J and F of 20 frames with 3 objects against the plain way, object by object."""
    import numpy as np

    from osmn_recurrent.metrics.davis_scores import evaluate_masks

    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: FLAGS.height, : FLAGS.width]

    def frame():
        ids = np.zeros((FLAGS.height, FLAGS.width), np.uint8)
        for k in range(1, 4):
            y, x = rng.uniform(0.2, 0.8, 2) * ids.shape
            ids[(rows - y) ** 2 + (columns - x) ** 2 < (FLAGS.height / 6) ** 2] = k
        return ids

    true_masks, predicted = [[frame() for _ in range(20)] for _ in range(2)]
    own, plain = side_by_side(
        [
            lambda: evaluate_masks(true_masks, predicted),
            lambda: plain_scores(true_masks, predicted),
        ],
        rounds,
    )
    return [ratio_row("evaluate, 20 frames of 3 objects", own, "plain scoring", plain)]


def plain_scores(ground_truth, predicted):
    """J and F as the official evaluator works: whole frames, disc dilation.

    Returns:
        List of `(J, F)` per frame and object.
    """
    import cv2
    import numpy as np

    scores = []
    for true_ids, ids in zip(ground_truth, predicted, strict=True):
        for k in range(1, int(true_ids.max()) + 1):
            true, own = true_ids == k, ids == k
            union = np.logical_or(true, own).sum()
            j = np.logical_and(true, own).sum() / union if union else 1.0
            radius = int(np.ceil(0.008 * np.linalg.norm(true.shape)))
            y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
            disc = (x * x + y * y <= radius * radius).astype(np.uint8)
            edges = [_edges(each).astype(np.uint8) for each in (true, own)]
            near = [cv2.dilate(edge, disc) for edge in edges]
            recall = (edges[0] & near[1]).sum() / max(1, edges[0].sum())
            precision = (edges[1] & near[0]).sum() / max(1, edges[1].sum())
            both = precision + recall
            scores.append((j, 2 * precision * recall / both if both else 0.0))
    return scores


def _edges(mask):
    """Pixels that differ from a neighbour to the right or below (the evaluator's)."""
    import numpy as np

    right = np.pad(mask[:, 1:], [[0, 0], [0, 1]], "edge")
    below = np.pad(mask[1:], [[0, 1], [0, 0]], "edge")
    corner = np.pad(mask[1:, 1:], [[0, 1], [0, 1]], "edge")
    edges = (mask ^ right) | (mask ^ below) | (mask ^ corner)
    edges[-1], edges[:, -1] = (mask ^ right)[-1], (mask ^ below)[:, -1]
    edges[-1, -1] = False
    return edges


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
