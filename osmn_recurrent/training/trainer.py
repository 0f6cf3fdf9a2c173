"""Training a network: the loop around `steps.TrainStep`."""

import contextlib
import functools
import math
import pathlib
import signal
import threading
import time

import tensorflow as tf

from osmn_recurrent import files, run_folder
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import presets
from osmn_recurrent.training import (
    callbacks,
    distribution,
    optimizers,
    pipeline,
    run_file,
    steps,
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
    model,
    data,
    settings,
    workdir,
    description="training",
    validation=(),
    strategy=None,
):
    """Trains `model` and stores it; goes on where a broken-off run stopped.

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
            model.guide_kind,
            settings.batch_size,
            settings.seed,
        )
    chief = distribution.worker_of(strategy)[0] == 0
    with run_folder.hold(workdir) if chief else contextlib.nullcontext():
        return _Training(
            model, samples, settings, workdir, description, validation, strategy
        ).run()


WORKER_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class _Training:
    """One call of `train`."""

    def __init__(
        self, model, samples, settings, workdir, description, validation, strategy
    ):
        self.model, self.samples, self.settings = model, samples, settings
        self.workdir, self.strategy = pathlib.Path(workdir), strategy
        self.workdir.mkdir(parents=True, exist_ok=True)
        self.chief = distribution.worker_of(strategy)[0] == 0
        steps.prepare(model, settings, strategy.num_replicas_in_sync)
        with strategy.scope():
            self.optimizer = optimizers.make_optimizer(
                settings, model.dtype_policy.name
            )
            self.optimizer.build(steps.trained_variables(model, settings))
        self.train_step = steps.TrainStep(model, self.optimizer, settings, strategy)
        self.state = TrainState(self.workdir / "state.npz", model, self.optimizer)
        self.validation = None
        if validation:
            self.validation = Validation(model, validation, settings, strategy)
        self.callbacks = self._callbacks(description) if self.chief else []
        self.done, self.best, self.best_step, self.stale = 0, -1.0, 0, 0
        self.mean, self.seconds, self.skipped = callbacks.MeanLoss(), 0.0, 0
        self.modulation = {}

    def _callbacks(self, description):
        shown = self.validation.samples if self.validation else self.samples
        return [
            callbacks.ProgressBar(description, self.settings.steps),
            callbacks.CsvLog(self.workdir),
            callbacks.SpreadWatch(),
            callbacks.TensorBoardLog(
                self.workdir / "tensorboard",
                self.model,
                [shown.sample(number) for number in range(min(4, len(shown)))],
            ),
        ]

    def run(self):
        """Trains to the end; returns the path of `model.keras`."""
        self.record = run_file.claim(self)
        self._resume()
        if self.chief:
            run_file.write(self)
        self._tell("begin", self.done)
        try:
            with _stop_between_steps() as stop:
                self._loop(stop)
        except WORKER_GONE as error:
            raise InputError(
                f"another worker is gone after step {self.done} "
                f"({str(error).splitlines()[0][:120]}); start the same command again "
                f"on all machines, it goes on from {self.state.path}."
            ) from None
        finally:
            self._tell("end")
        path = self.workdir / "model.keras"
        if self.chief:
            self._finish(path)
        # The others wait for the files.
        distribution.sum_over_workers(self.strategy, [0.0])
        if self.best_step:
            with self.strategy.scope():
                presets.load_weights(self.model, path)
        self.model.rematerialise(False)
        return path

    def _loop(self, stop):
        settings, start = self.settings, time.perf_counter() - self.seconds
        batches = self._batches()
        self.train_step.compile(batches.element_spec)
        while self.done < settings.steps and not self._stale():
            loss = self._step(next(batches))
            self.done += 1
            self.seconds = time.perf_counter() - start
            self.mean.add(loss)
            self._tell("step", self.done, loss)
            if self.done % callbacks.ROW_EVERY == 0 or self.done == settings.steps:
                rate = float(self.optimizer.learning_rate)
                self._tell("row", self.done, self.mean.take(), rate, self.seconds)
            last = self.done == settings.steps
            if self._due(settings.validate_every) or last:
                self._validate()
            if stop.is_set() or self._due(settings.save_every) or last:
                self._save()
            if stop.is_set():
                raise KeyboardInterrupt
        self._save()

    def _due(self, every):
        return bool(every) and self.done % every == 0

    def _stale(self):
        return bool(self.settings.patience) and self.stale >= self.settings.patience

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
        if self.validation is None:
            return
        figures = self.validation()
        self._tell("validated", self.done, figures)
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
        self.mean = callbacks.MeanLoss(progress["loss_total"], progress["loss_count"])
        self.seconds = progress["seconds"]
        self.modulation = progress.get("modulation", {})

    def _store(self, name):
        # A copy: the file is for use, without this training's marks.
        with files.replace_when_done(self.workdir / name) as temporary:
            presets.with_dtype(self.model, self.model.dtype_policy).save(temporary)

    def _finish(self, path):
        self._store("last.keras")
        source = self.workdir / ("best.keras" if self.best_step else "last.keras")
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

    def _tell(self, event, *values):
        for callback in self.callbacks:
            getattr(callback, event)(*values)


@contextlib.contextmanager
def _stop_between_steps():
    """Turns the first Ctrl-C or SIGTERM into an event; the second one strikes.

    A step that is broken off in the middle would leave weights and moments
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
