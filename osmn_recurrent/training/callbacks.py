"""What a training shows while it runs."""

import csv
import math
import time

import keras
from tqdm import tqdm

from osmn_recurrent.errors import InputError


class ProgressBar(keras.callbacks.Callback):
    """One bar over all steps, with the running loss and the time left.

    Args:
        description: text before the bar.
        steps: number of steps in all.
    """

    def __init__(self, description, steps):
        super().__init__()
        self.description, self.steps = description, steps

    def on_train_begin(self, logs=None):
        """Opens the bar."""
        self.bar = tqdm(total=self.steps, desc=self.description, unit="step")

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar by a step."""
        self.bar.set_postfix(loss=f"{logs['loss']:.4g}", refresh=False)
        self.bar.update()

    def on_train_end(self, logs=None):
        """Closes the bar."""
        self.bar.close()


class LossLog(keras.callbacks.Callback):
    """Writes `epoch, step, loss, seconds` to a CSV file, a row per epoch.

    Args:
        path: the CSV file, replaced if it exists.
        steps_per_epoch: steps of an epoch.
    """

    def __init__(self, path, steps_per_epoch):
        super().__init__()
        self.path, self.steps_per_epoch = path, steps_per_epoch

    def on_train_begin(self, logs=None):
        """Starts the clock and the file."""
        self.start = time.perf_counter()
        self._write("w", ("epoch", "step", "loss", "seconds"))

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch's mean loss."""
        seconds = time.perf_counter() - self.start
        step = (epoch + 1) * self.steps_per_epoch
        self._write("a", (epoch + 1, step, f"{logs['loss']:.6g}", f"{seconds:.1f}"))

    def _write(self, mode, row):
        with open(self.path, mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)


class StopAtNaN(keras.callbacks.Callback):
    """Ends a training whose loss is no finite number."""

    def on_train_batch_end(self, batch, logs=None):
        """Raises `InputError` naming the step."""
        if not math.isfinite(logs["loss"]):
            step = int(self.model.optimizer.iterations)
            raise InputError(
                f"the loss of step {step} is {logs['loss']}; lower the learning "
                "rate or set a clip_norm, and start again."
            )
