"""Measures an optimiser step: seconds and peak memory, with and without tricks.

    python -m experiments.training_speed --model=reconvnet --clip_length=4 \\
        --height=240 --width=427 --precisions=float32,bfloat16

Every row runs in a process of its own on one fixed batch of noise, so that its peak
memory is its own. Prints a table and writes training_speed.json.
"""

import multiprocessing
import pathlib
import resource
import statistics
import time

from absl import flags

from experiments import hardware
from osmn_recurrent import files, programs, provenance
from osmn_recurrent.cli import shared
from osmn_recurrent.models.precision import PRECISIONS

FLAGS = flags.FlagValues()
shared.define(FLAGS, "model", "reconvnet")
shared.define(FLAGS, "backbone", "vgg16")
shared.define(FLAGS, "clip_length", 4)
shared.define(FLAGS, "height", 240, lower_bound=16)
shared.define(FLAGS, "width", 427, lower_bound=16)
shared.define(FLAGS, "batch_size", 1)
shared.define(FLAGS, "precisions", ["float32", "bfloat16"])
flags.DEFINE_list(
    "ways",
    ["plain", "rematerialise", "truncation=1"],
    "How each precision is run: plain, rematerialise, truncation=N.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "steps", 5, note="After one to warm up.")
shared.define(FLAGS, "out", "runs/training_speed")


def measure(case):
    """One row, in this process.

    Args:
        case: dict of model, size, clip_length, height, width, batch_size,
            precision, way and steps.

    Returns:
        Dict of "s/step" (median), "peak GB" and "loss".
    """
    import numpy as np
    import tensorflow as tf

    from osmn_recurrent.models import building
    from osmn_recurrent.training import distribution, optimizers, steps
    from osmn_recurrent.training.sample_settings import SampleSettings
    from osmn_recurrent.training.settings import TrainSettings

    way, _, value = case["way"].partition("=")
    length = case["clip_length"] or None
    settings = TrainSettings(
        samples=SampleSettings(clip_length=length),
        loss="lovasz_hinge",
        batch_size=case["batch_size"],
        rematerialise=way == "rematerialise",
        truncation=int(value) if way == "truncation" else None,
    )
    model = building.build_model(
        case["model"], case["backbone"], dtype=PRECISIONS[case["precision"]]
    )
    steps.prepare(model, settings, 1)
    optimizer = optimizers.make_optimizer(settings, model.dtype_policy.name)
    optimizer.build(steps.trained_variables(model, settings))
    strategy = distribution.make_strategy("one")
    step = steps.TrainStep(model, optimizer, settings, strategy)
    rng = np.random.default_rng(0)
    sides = (case["batch_size"], *([length] if length else []))
    sides = (*sides, case["height"], case["width"])
    inputs = {
        "image": rng.normal(0, 60, (*sides, 3)),
        "visual_guide": rng.normal(0, 60, (case["batch_size"], 224, 224, 3)),
        "spatial_guide": rng.uniform(0, 1, (*sides, 1)),
    }
    inputs = {name: tf.constant(x, tf.float32) for name, x in inputs.items()}
    labels = tf.constant(rng.uniform(0, 1, (*sides, 1)) > 0.8, tf.float32)
    times = []
    for number in range(case["steps"] + 1):
        start = time.perf_counter()
        loss = step((inputs, labels), number)
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"s/step": statistics.median(times[1:]), "peak GB": peak, "loss": loss}


def main():
    """Measures; see the module's text."""
    from osmn_recurrent.reports import text_tables

    path = pathlib.Path(FLAGS.out) / "training_speed.json"
    files.check_output(path)
    names = (
        *("model", "backbone", "clip_length", "height"),
        *("width", "batch_size", "steps"),
    )
    case = {name: FLAGS[name].value for name in names}
    rows = []
    for precision in FLAGS.precisions:
        for way in FLAGS.ways:
            print(f"{precision}, {way} ...", flush=True)
            context = multiprocessing.get_context("spawn")
            with context.Pool(1) as pool:
                own = {**case, "precision": precision, "way": way}
                found = pool.apply(measure, (own,))
            rows.append({"precision": precision, "way": way, **found})
    content = {"case": case, "rows": rows, "hardware": hardware.describe()}
    content["versions"] = provenance.versions()
    files.write_json(path, content)
    print(text_tables.text_table(rows, {"s/step": 2, "peak GB": 1, "loss": 4}))
    print(hardware.in_words(hardware.describe()))
    return programs.Done((path,))


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
