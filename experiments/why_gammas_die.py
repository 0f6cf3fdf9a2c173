"""Why the published visual modulator dies in short trainings, step by step.

    python -m experiments.why_gammas_die --out=runs/why
    python -m experiments.why_gammas_die --backbone=efficientnet_lite0 --rate=3e-4 \\
        --out=runs/why_lite0

OSMN is trained on drawn clips with all that is new at one rate, as one does without
the papers' weights, and after some of the steps 16 objects that are not trained on
are shown to it: how far their gammas lie apart, what share of the gammas' way from
one they have in common, which units of the modulator answer all of them alike, and
whether the gradients of their gammas point the same way. Causes are told apart by
changing one thing at a time (`CAUSES`). Writes OUT/why.json and OUT/why.png and
prints the table of docs/why_gammas_die.md.
"""

import dataclasses
import pathlib
import re

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from tqdm import tqdm

from experiments import hardware
from osmn_recurrent import backbones, files, guides, masks, programs, provenance
from osmn_recurrent.cli import shared
from osmn_recurrent.datasets import moving_shapes, registry
from osmn_recurrent.inference import modulation_health
from osmn_recurrent.losses import balanced_cross_entropy
from osmn_recurrent.models import building
from osmn_recurrent.reports import text_tables
from osmn_recurrent.training import distribution, optimizers, pipeline, steps
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.samples import ClipSamples
from osmn_recurrent.training.settings import TrainSettings

FLAGS = flags.FlagValues()
shared.define(
    FLAGS,
    "backbone",
    "vgg16_compact",
    note="EfficientNet-Lite starts from ImageNet weights, the others from nothing.",
)
shared.define(FLAGS, "steps", 150)
flags.DEFINE_float(
    "rate", 1e-3, "Learning rate of all that is not slowed down.", flag_values=FLAGS
)
shared.define(FLAGS, "seed", 0)
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "overwrite", False)

WATCHED = (0, 1, 2, 5, 10, 20, 40, 60, 100, 150, 200, 300)
"""Steps after which the objects are looked at, besides the last one."""

OBJECTS, BATCH = 16, 8
SIZE = (128, 224)
SLOW = 0.01
"""Share of the rate at which a part is slowed down."""


@dataclasses.dataclass(frozen=True)
class Cause:
    """One thing that is changed.

    Attributes:
        modulator: `visual_modulator` of the network.
        options: `modulator_options`.
        slow: "trunk" of the modulator, its "outputs", or "": what has `SLOW` times
            the rate.
    """

    modulator: str = "release"
    options: dict = dataclasses.field(default_factory=dict)
    slow: str = ""


CAUSES = {
    "as published": Cause(),
    "features centred over the batch": Cause(options={"batch_statistics": True}),
    "outputs at 1% of the rate": Cause(slow="outputs"),
    "modulator's trunk at 1% of the rate": Cause(slow="trunk"),
    "channelwise": Cause(modulator="channelwise"),
}
flags.DEFINE_multi_enum(
    "cause", list(CAUSES), list(CAUSES), "Causes that are tried.", flag_values=FLAGS
)


def main():
    """Runs the program; see the module's text."""
    out = pathlib.Path(FLAGS.out)
    places = (out / "why.json", out / "why.png")
    for place in places:
        files.refuse_to_overwrite(place, FLAGS.overwrite)
    clips, held_out = drawn_clips(out / "data")
    views, batch = held_out_objects(held_out)
    found = {}
    for name in FLAGS.cause:
        found[name] = watch(CAUSES[name], name, clips, views, batch)
    files.write_json(
        places[0],
        {
            "backbone": FLAGS.backbone,
            "rate": FLAGS.rate,
            "steps": FLAGS.steps,
            "objects": OBJECTS,
            "seed": FLAGS.seed,
            "causes": found,
            "hardware": hardware.describe(),
            "versions": provenance.versions(),
        },
    )
    plot(found, places[1])
    rows = rows_of(found)
    print(text_tables.text_table(rows, decimals(rows)))
    return programs.Done(places)


def drawn_clips(folder):
    """Clips to train on and clips for the objects that are watched."""
    moving_shapes.write_moving_shapes(
        folder, train=40, val=8, frames=10, size=(120, 214), seed=FLAGS.seed
    )
    return [
        registry.clips("davis2017", folder, split, first_mask_only=False)
        for split in ("train", "val")
    ]


def held_out_objects(clips):
    """Visual guides of the objects, and one-frame samples of them.

    Returns:
        `(views, (image, spatial, label))`: (N, 224, 224, 3), and (N, H, W, 3),
        (N, H, W, 1) and (N, H, W, 1), float32.
    """
    views, samples = [], []
    for clip in clips:
        frame, ids = clip.frame(0), clip.mask(0)
        for i in masks.object_ids(ids):
            mask = masks.resize_mask(ids == i, SIZE)
            views.append(guides.visual_guide(frame, ids == i))
            samples.append(
                (
                    guides.network_image(frame, SIZE),
                    guides.spatial_guide(mask),
                    mask[..., None].astype(np.float32),
                )
            )
    views = np.stack(views[:OBJECTS])
    return views, [np.stack(each) for each in zip(*samples[:OBJECTS], strict=True)]


def build(cause):
    """The network of a cause, and the groups of its rates."""
    keras.utils.set_random_seed(FLAGS.seed)
    weights = "imagenet" if backbones.find(FLAGS.backbone).pretrained else None
    model = building.build_model(
        "osmn",
        FLAGS.backbone,
        weights,
        visual_modulator=cause.modulator,
        modulator_options=cause.options,
    )
    if not cause.slow:
        return model, (("all", "", 1.0),)
    heads = [v.path for layer in model.modulator.heads() for v in layer.variables]
    own = [v.path for v in model.modulator.trainable_variables]
    slowed = heads if cause.slow == "outputs" else sorted(set(own) - set(heads))
    pattern = "^(" + "|".join(map(re.escape, slowed)) + ")$"
    return model, (("slow", pattern, SLOW), ("other", f"^(?!{pattern[1:]})", 1.0))


def watch(cause, name, clips, views, batch):
    """Trains one network and looks at the objects between the steps.

    Returns:
        List of dicts, one per reading: "step" and what `measure` says.
    """
    settings = TrainSettings(
        samples=SampleSettings(size=SIZE, scales=(1.0,)),
        reduction="image_mean",
        steps=FLAGS.steps,
        batch_size=4,
        learning_rate=FLAGS.rate,
        recurrent_learning_rate=FLAGS.rate,
        freeze_batch_norm=False,
        clip_norm=1.0,
        seed=FLAGS.seed,
    )
    model, groups = build(cause)
    steps.prepare(model, settings, 1)
    optimizer = optimizers.GroupedAdam(FLAGS.rate, groups, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    one = distribution.make_strategy("one")
    train_step = steps.TrainStep(model, optimizer, settings, one)
    samples = ClipSamples(
        clips, settings.samples, model.guide, settings.batch_size, settings.seed
    )
    batches = iter(pipeline.make_dataset(samples, settings.batch_size))
    gradients = tf.function(lambda *given: gamma_gradients(model, *given))
    found = []
    for step in tqdm(range(FLAGS.steps + 1), desc=name, unit="step"):
        if step in WATCHED or step == FLAGS.steps:
            found.append({"step": step, **measure(model, gradients, views, batch)})
        if step < FLAGS.steps:
            train_step(next(batches), step)
    return found


def gamma_gradients(model, gammas, image, spatial, label):
    """Gradients of the objects' losses with respect to their gammas, (N, P)."""
    with tf.GradientTape() as tape:
        tape.watch(gammas)
        state = model.initial_state(len(image), *image.shape[1:3])
        logits, _ = model.step(model.encode(image), spatial, gammas, state)
        # A sum over objects: each one's gammas are in its own loss alone.
        loss = len(image) * balanced_cross_entropy(label, logits, "image_mean")
    return tape.gradient(loss, gammas)


def measure(model, gradients, views, batch):
    """What the objects' gammas look like now.

    Returns:
        A dict: "spread" (standard deviation of gamma over objects, mean over
        channels); "common" (share of the gammas' mean squared distance from one that
        all objects have in common, 0 to 1); "cosine" (mean cosine between two
        objects' gradients of the gammas); "dead" (`{layer: share of units}`).
    """
    gammas = modulation_health.gammas_of(model, views)
    health = modulation_health.modulation_spread(model, views)
    away = gammas.astype(np.float64) - 1.0
    square = np.square(away).sum(1).mean()
    parts = [
        gradients(
            tf.constant(gammas[k : k + BATCH]),
            *(tf.constant(each[k : k + BATCH]) for each in batch),
        ).numpy()
        for k in range(0, len(gammas), BATCH)
    ]
    return {
        "spread": health.overall,
        "common": float(np.square(away.mean(0)).sum() / square) if square else None,
        "cosine": mean_cosine(np.concatenate(parts)),
        "dead": health.dead,
    }


def mean_cosine(vectors):
    """Mean cosine over all pairs of rows of (N, P); None where a row is zero."""
    vectors = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        return None
    units = vectors / lengths
    count = len(units)
    return float((np.square(units.sum(0)).sum() - count) / (count * (count - 1)))


def rows_of(found):
    """One row per cause: spread early and late, and what is dead at the end."""
    rows = []
    for name, checks in found.items():
        by_step = {check["step"]: check for check in checks}
        last = checks[-1]
        row = {"what differs": name}
        for step in (10, 40):
            if step in by_step:
                row[f"spread at {step}"] = by_step[step]["spread"]
        row[f"spread at {last['step']}"] = last["spread"]
        row["cosine at 0"] = checks[0]["cosine"]
        row["common at the end"] = last["common"]
        dead = list(last["dead"].values())
        row["dead in the last layer, %"] = 100 * dead[-1] if dead else None
        rows.append(row)
    return rows


def decimals(rows):
    """Digits after the point of each column."""
    keys = {key for row in rows for key in row}
    small = {key: 2 for key in keys if key.startswith(("cosine", "common"))}
    return {key: 4 for key in keys if key.startswith("spread")} | small


def plot(found, path):
    """Spread, common share, cosine and dead units over the steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    titles = {
        "spread": "spread of the gammas over objects",
        "cosine": "cosine between objects' gradients of the gammas",
        "common": "share of the gammas' way from one common to all objects",
    }
    for axis, (key, title) in zip(axes.flat, titles.items(), strict=False):
        for name, checks in found.items():
            points = [(k["step"], k[key]) for k in checks if k[key] is not None]
            axis.plot(*zip(*points, strict=True), marker=".", label=name)
        axis.set(title=title, xlabel="step")
        axis.set_xscale("symlog", linthresh=1)
    axes[0, 0].set_yscale("log")
    axes[0, 0].axhline(modulation_health.LOWEST_SPREAD, color="grey", ls=":")
    axes[0, 0].legend(fontsize=8)
    first = next((checks for checks in found.values() if checks[0]["dead"]), [])
    for layer in first[0]["dead"] if first else ():
        shares = [(look["step"], 100 * look["dead"][layer]) for look in first]
        axes[1, 1].plot(*zip(*shares, strict=True), marker=".", label=layer)
    axes[1, 1].set(title=f"dead units, %: {next(iter(found))}", xlabel="step")
    axes[1, 1].set_xscale("symlog", linthresh=1)
    axes[1, 1].legend(fontsize=8)
    with files.replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=90, format="png")
    pyplot.close(figure)


def console():
    """Entry of the program."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
