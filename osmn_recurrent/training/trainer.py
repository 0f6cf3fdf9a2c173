"""Training a network on clips with Keras' `fit`."""

import dataclasses
import functools
import pathlib

import keras

from osmn_recurrent import files, provenance
from osmn_recurrent.losses import LOSSES
from osmn_recurrent.models import presets
from osmn_recurrent.training import callbacks, optimizers, pipeline
from osmn_recurrent.training.samples import ClipSamples, SampleSettings

STEPS_PER_ROW = 100
"""Steps whose mean loss makes a row of `loss.csv`."""


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """Settings of one training; defaults are OSMN's stage 2.

    Attributes:
        samples: `SampleSettings`.
        loss: "balanced_cross_entropy" (OSMN) or "lovasz_hinge" (ReConvNet).
        reduction: of the balanced cross-entropy: "sum" as released, or
            "image_mean", whose scale does not depend on batch and image size
            (gradient clipping needs that).
        steps: optimiser steps (rounded down to whole rows of `loss.csv`).
        batch_size: samples per step.
        learning_rate: of the non-recurrent variables.
        recurrent_learning_rate: of the ConvLSTMs and their gammas
            (ReConvNet: ten times the other).
        warmup_steps: the rates rise linearly over these first steps; 0 as in
            the papers, which start from trained weights.
        final_rate: the rates fall along a cosine to this share of their
            value; 1 keeps them as the papers do.
        freeze_batch_norm: the spatial modulator normalises with its moving
            averages and keeps them (release, stage 2); its scale and centre
            are trained all the same.
        clip_norm: largest norm of the whole gradient; None: no clipping, as
            in the papers.
        seed: fixes data order and augmentation.
    """

    samples: SampleSettings = dataclasses.field(default_factory=SampleSettings)
    loss: str = "balanced_cross_entropy"
    reduction: str = "sum"
    steps: int = 50_000
    batch_size: int = 4
    learning_rate: float = 1e-6
    recurrent_learning_rate: float = 1e-5
    warmup_steps: int = 0
    final_rate: float = 1.0
    freeze_batch_norm: bool = True
    clip_norm: float | None = None
    seed: int = 0


def train(model, clips, settings, workdir, description="training"):
    """Trains `model` on `clips` and stores it.

    Writes `model.keras`, `loss.csv` and `run.json` into `workdir`.

    Args:
        model: a built `SegmentationModel`; its weights change.
        clips: list of `Clip`s with a mask for every frame.
        settings: `TrainSettings`.
        workdir: folder for the results, made if missing.
        description: text of the progress bar.

    Returns:
        The path of `model.keras`.

    Raises:
        InputError: clips without usable objects, or a loss that is no number.
    """
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(settings.seed)
    samples = ClipSamples(
        clips,
        settings.samples,
        model.guide_kind,
        settings.batch_size,
        settings.seed,
    )
    dataset = pipeline.make_dataset(samples, settings.batch_size)
    if hasattr(model, "modulator_sp"):
        model.modulator_sp.freeze_statistics = settings.freeze_batch_norm
    optimizer = make_optimizer(settings)
    model.compile(optimizer=optimizer, loss=make_loss(settings), jit_compile=False)
    epochs = max(1, settings.steps // STEPS_PER_ROW)
    per_epoch = settings.steps // epochs
    model.fit(
        dataset,
        epochs=epochs,
        steps_per_epoch=per_epoch,
        verbose=0,
        callbacks=[
            callbacks.ProgressBar(description, epochs * per_epoch),
            callbacks.LossLog(workdir / "loss.csv", per_epoch),
            callbacks.StopAtNaN(),
        ],
    )
    path = workdir / "model.keras"
    with files.replace_when_done(path) as temporary:
        # A copy: the file is for use, without loss and Adam's moments.
        presets.with_dtype(model, model.dtype_policy).save(temporary)
    write_run(workdir, model, settings, samples, optimizer)
    return path


def make_loss(settings):
    """The loss of `TrainSettings`, a function of labels and logits."""
    if settings.loss == "balanced_cross_entropy":
        return functools.partial(LOSSES[settings.loss], reduction=settings.reduction)
    return LOSSES[settings.loss]


def make_optimizer(settings):
    """The `GroupedAdam` of `TrainSettings`."""
    rate = settings.learning_rate
    if settings.final_rate != 1.0 or settings.warmup_steps:
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if settings.warmup_steps else rate,
            decay_steps=settings.steps - settings.warmup_steps,
            alpha=settings.final_rate,
            warmup_target=rate if settings.warmup_steps else None,
            warmup_steps=settings.warmup_steps,
        )
    factor = settings.recurrent_learning_rate / settings.learning_rate
    return optimizers.GroupedAdam(
        rate,
        optimizers.recurrent_groups(factor),
        global_clipnorm=settings.clip_norm,
    )


def write_run(workdir, model, settings, samples, optimizer):
    """Writes `run.json`: what was trained, how, and with which versions."""
    groups = optimizer.group_table(model.trainable_variables)
    files.write_json(
        pathlib.Path(workdir) / "run.json",
        {
            "model": {"class": type(model).__name__, **model.get_config()},
            "settings": dataclasses.asdict(settings),
            "clips": [clip.name for clip in samples.clips],
            "starts": len(samples),
            "groups": {
                name: {"variables": v, "parameters": p, "rate_factor": f}
                for name, (v, p, f) in groups.items()
            },
            "versions": provenance.versions(),
            "backend": keras.backend.backend(),
            "git_commit": provenance.git_commit(),
        },
    )
