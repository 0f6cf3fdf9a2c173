"""Training a network: the loop around `steps.TrainStep`."""

import contextlib
import functools
import math
import os
import pathlib
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from osmn_recurrent import files, run_folder
from osmn_recurrent.datasets.clips import Clip
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import building
from osmn_recurrent.models.segmentation_model import SegmentationModel
from osmn_recurrent.training import (
    distribution,
    optimizers,
    pipeline,
    run_file,
    steps,
)
from osmn_recurrent.training.callbacks import (
    ROW,
    ROW_EVERY,
    CsvLog,
    MeanLoss,
    ProgressBar,
    SpreadWatch,
    TensorBoardLog,
)
from osmn_recurrent.training.samples import ClipSamples
from osmn_recurrent.training.settings import TrainSettings
from osmn_recurrent.training.state import TrainState
from osmn_recurrent.training.validation import Validation

__all__ = ["TrainSettings", "train"]

SKIPPED_IN_A_ROW = 50
"""Steps without a finite loss that float16 may skip one after the other; the
loss scale is halved each time."""


def train(
    model: SegmentationModel,
    data: Any,
    settings: TrainSettings,
    workdir: str | os.PathLike,
    description: str = "training",
    validation: Sequence[Clip] = (),
    strategy: tf.distribute.Strategy | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> pathlib.Path:
    """Trains `model` and stores it; resumes where an interrupted run stopped.

    Writes into `workdir`: `run.json` (settings, versions, result), `loss.csv`,
    `validation.csv`, `tensorboard/`, `state.npz` (everything that a
    continuation needs), `last.keras` and, when done, `model.keras`: the
    network of the best validation, or the last one without validation.

    Args:
        model: a built `SegmentationModel`, made in the strategy's scope; its
            weights change.
        data: list of `Clip`s with a mask for every frame, or an object with
            `sample(number)`, such as `ImageSamples`.
        settings: `TrainSettings`.
        workdir: folder for the results, made if missing.
        description: text of the progress bar.
        validation: `Clip`s with a mask for every frame, scored by
            propagation; the training stops when J does not rise any more
            (`TrainSettings.patience`).
        strategy: of `distribution.make_strategy`; default: one device.
        callbacks: `keras.callbacks.Callback`s. A batch is a step, counted from 0 over
            the whole training; an epoch is a stretch of `validate_every` steps, and
            its logs are "loss", that of its last step, and, with validation clips,
            "val_J", "val_F", "val_J&F", "val_loss". `model.stop_training` ends the
            training as `patience` does. What callbacks count is not part of the
            saved state, and rates are settings: the schedules of Keras' callbacks
            have nothing to set. With several workers each calls its own.

    Returns:
        The path of `model.keras`.

    Raises:
        InputError: data without usable objects, settings that contradict
            each other or the state in `workdir`, a full disk, or a loss that
            is not finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state is saved first.
    """
    strategy = strategy or distribution.make_strategy("one")
    settings.check(strategy.num_replicas_in_sync)
    samples = data
    if not hasattr(data, "sample"):
        samples = ClipSamples(
            data,
            settings.samples,
            model.guide,
            settings.batch_size,
            settings.seed,
        )
    chief = distribution.worker_of(strategy)[0] == 0
    with run_folder.hold(workdir) if chief else contextlib.nullcontext():
        training = _Training(model, samples, settings, workdir, validation, strategy)
        return training.run(description, callbacks)


WORKER_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class _Training:
    """One call of `train`."""

    def __init__(self, model, samples, settings, workdir, validation, strategy):
        self.model, self.samples, self.settings = model, samples, settings
        self.workdir, self.strategy = pathlib.Path(workdir), strategy
        self.workdir.mkdir(parents=True, exist_ok=True)
        self.chief = distribution.worker_of(strategy)[0] == 0
        steps.prepare(model, settings, strategy.num_replicas_in_sync)
        with strategy.scope():
            self.optimizer = optimizers.make_optimizer(
                settings, model.dtype_policy.name, strategy.num_replicas_in_sync
            )
            self.optimizer.build(steps.trained_variables(model, settings))
        self.train_step = steps.TrainStep(model, self.optimizer, settings, strategy)
        self.state = TrainState(self.workdir / "state.npz", model, self.optimizer)
        self.validation = None
        if validation:
            self.validation = Validation(model, validation, settings, strategy)
        self.done, self.best, self.best_step, self.stale = 0, -1.0, 0, 0
        self.mean, self.seconds, self.skipped = MeanLoss(), 0.0, 0
        self.modulation = {}

    def _callbacks(self, description, given):
        settings, own = self.settings, []
        if self.chief:
            pictures = self.validation.samples if self.validation else self.samples
            numbers = range(min(4, len(pictures)))
            own = [
                ProgressBar(description),
                CsvLog(self.workdir),
                SpreadWatch(),
                TensorBoardLog(
                    self.workdir / "tensorboard",
                    self.model,
                    [pictures.sample(number) for number in numbers],
                ),
            ]
        return keras.callbacks.CallbackList(
            [*own, *given],
            model=self.model,
            epochs=math.ceil(settings.steps / self._epoch_length()),
            steps=settings.steps,
            first_step=self.done,
        )

    def _epoch_length(self):
        return self.settings.validate_every or self.settings.steps

    def run(self, description, callbacks):
        """Trains to the end; returns the path of `model.keras`."""
        self.record = run_file.claim(self)
        self._resume()
        if self.chief:
            run_file.write(self)
        self.callbacks = self._callbacks(description, callbacks)
        self.model.stop_training = False
        self.callbacks.on_train_begin()
        try:
            with _stop_between_steps() as stop:
                self._loop(stop)
        except WORKER_GONE as error:
            raise InputError(
                f"another worker is gone after step {self.done} "
                f"({str(error).splitlines()[0][:120]}); start the same command again "
                f"on all machines, it resumes from {self.state.path}."
            ) from None
        finally:
            self.callbacks.on_train_end()
        path = self.workdir / "model.keras"
        if self.chief:
            self._finish(path)
        # The others wait for the files.
        distribution.sum_over_workers(self.strategy, [0.0])
        if self.best_step:
            with self.strategy.scope():
                building.load_weights(self.model, path)
        self.model.rematerialise(False)
        return path

    def _loop(self, stop):
        settings, start = self.settings, time.perf_counter() - self.seconds
        batches = self._batches()
        self.train_step.compile(batches.element_spec)
        while self.done < settings.steps and not self._over():
            if self.done % self._epoch_length() == 0:
                self.callbacks.on_epoch_begin(self.done // self._epoch_length())
            self.callbacks.on_train_batch_begin(self.done)
            loss = self._step(next(batches))
            self.done += 1
            self.seconds = time.perf_counter() - start
            self.mean.add(loss)
            self._tell_step(loss)
            last = self.done == settings.steps
            if self._due(settings.validate_every) or last:
                self._end_epoch(loss)
            if stop.is_set() or self._due(settings.save_every) or last:
                self._save()
            if stop.is_set():
                raise KeyboardInterrupt
        self._save()

    def _tell_step(self, loss):
        logs = {"loss": loss}
        if self.done % ROW_EVERY == 0 or self.done == self.settings.steps:
            rate = float(self.optimizer.learning_rate)
            logs |= zip(ROW, (self.mean.take(), rate, self.seconds), strict=True)
        self.callbacks.on_train_batch_end(self.done - 1, logs)

    def _end_epoch(self, loss):
        logs = {"loss": loss}
        if self.validation is not None:
            self.callbacks.on_test_begin()
            figures = self._validate()
            self.callbacks.on_test_end(figures)
            logs |= {f"val_{name}": value for name, value in figures.items()}
        self.callbacks.on_epoch_end((self.done - 1) // self._epoch_length(), logs)

    def _due(self, every):
        return bool(every) and self.done % every == 0

    def _over(self):
        patience = self.settings.patience
        return self.model.stop_training or (patience and self.stale >= patience)

    def _batches(self):
        settings = self.settings
        make = functools.partial(
            pipeline.make_dataset,
            self.samples,
            settings.batch_size,
            first_batch=self.done,
        )
        own = settings.batch_size // self.strategy.num_replicas_in_sync
        return iter(distribution.distribute(self.strategy, make, own))

    def _step(self, batch):
        loss = self.train_step(batch, self.done)
        if math.isfinite(loss):
            self.skipped = 0
            return loss
        self.skipped += 1
        scaled = self.optimizer is not optimizers.adam_of(self.optimizer)
        if not scaled or self.skipped > SKIPPED_IN_A_ROW:
            first = self.done * self.settings.batch_size
            numbers = range(first, first + self.settings.batch_size)
            batch = "; ".join(self.samples.describe(number) for number in numbers)
            raise InputError(
                f"the loss of step {self.done + 1} is {loss}; its batch is {batch}. "
                "Lower the learning rate or set a clip_norm, and start again."
            )
        return loss

    def _validate(self):
        figures = self.validation()
        self.stale += 1
        if figures["J"] > self.best:
            self.best, self.best_step, self.stale = figures["J"], self.done, 0
            self.modulation = {
                name: value
                for name, value in figures.items()
                if name.startswith(("spread", "dead"))
            }
            if self.chief:
                self._store("best.keras")
        return figures

    def _progress(self):
        return {
            "step": self.done,
            "best": self.best,
            "best_step": self.best_step,
            "stale": self.stale,
            "loss_total": self.mean.total,
            "loss_count": self.mean.count,
            "seconds": self.seconds,
            "modulation": self.modulation,
        }

    def _save(self):
        if self.chief:
            self.state.save(self._progress())

    def _resume(self):
        with self.strategy.scope():
            progress = self.state.load()
        if progress is None:
            return
        self.done, self.best = progress["step"], progress["best"]
        self.best_step, self.stale = progress["best_step"], progress["stale"]
        self.mean = MeanLoss(progress["loss_total"], progress["loss_count"])
        self.seconds = progress["seconds"]
        self.modulation = progress.get("modulation", {})

    def _store(self, name):
        # A copy: the file is for use, without this training's marks.
        with files.replace_when_done(self.workdir / name) as temporary:
            building.with_dtype(self.model, self.model.dtype_policy).save(temporary)

    def _finish(self, path):
        self._store("last.keras")
        source = self.workdir / ("best.keras" if self.best_step else "last.keras")
        # A run that ended before and resumed may have found nothing better since.
        if source.exists() or not path.exists():
            with files.replace_when_done(path) as temporary:
                temporary.write_bytes(source.read_bytes())
        (self.workdir / "best.keras").unlink(missing_ok=True)
        run_file.write(self, finished=True)
        skipped = getattr(self.samples, "skipped", {})
        if skipped:
            total = sum(skipped.values())
            print(f"{total} samples could not be read and were skipped:")
            for message, count in skipped.items():
                print(f"  {count} x {message}")


@contextlib.contextmanager
def _stop_between_steps():
    """Turns the first Ctrl-C or SIGTERM into an event; the second one strikes.

    A step that is interrupted in the middle would leave weights and moments
    of different steps.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number, frame):
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
