"""What a training shows while it runs: bar, CSV files, TensorBoard.

All are `keras.callbacks.Callback`s. `params` holds "steps" and "first_step", after
which the training starts or resumes. `on_train_batch_end` gets the step, from 0, and
its "loss"; every `ROW_EVERY` steps also "mean_loss" since the last time,
"learning_rate" and "seconds" since the start. `on_epoch_end` gets the number of the
stretch of `validate_every` steps, from 0, and the figures of the validation behind
it, where there is one, as "val_J", ...; `on_train_end` is called for
whatever reason the training ends.
"""

import contextlib
import math
import pathlib
import warnings

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from osmn_recurrent import files
from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.inference.modulation_health import LOWEST_SPREAD
from osmn_recurrent.training import pipeline

ROW_EVERY = 100
"""Steps whose mean loss makes a row of `loss.csv` and a point in TensorBoard."""

ROW = ("mean_loss", "learning_rate", "seconds")
"""What `on_train_batch_end` then gets beside the step's loss."""


class ProgressBar(keras.callbacks.Callback):
    """One bar over all steps, with the loss, the last J and the time left.

    Args:
        description: text before the bar.
    """

    def __init__(self, description):
        super().__init__()
        self.description, self._shown = description, {}

    def on_train_begin(self, logs=None):
        """Opens the bar."""
        self._bar = tqdm(
            total=self.params["steps"],
            initial=self.params["first_step"],
            desc=self.description,
            unit="step",
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar by a step."""
        self._shown["loss"] = f"{logs['loss']:.4g}"
        self._bar.set_postfix(self._shown, refresh=False)
        self._bar.update()

    def on_epoch_end(self, epoch, logs=None):
        """Shows J in percent."""
        if "val_J" in logs:
            self._shown["J"] = f"{100 * logs['val_J']:.1f}"

    def on_train_end(self, logs=None):
        """Closes the bar."""
        self._bar.close()


class CsvLog(keras.callbacks.Callback):
    """`loss.csv` (step, loss, rate, seconds) and `validation.csv`.

    A resumed training drops the rows behind the step it resumes at. The
    files are written whole at every row, so that a full disk cuts none. A figure that
    was not measured is left empty.

    Args:
        workdir: folder of both files.
    """

    FILES = {  # noqa: RUF012 - a constant
        "loss.csv": ("step", "loss", "learning_rate", "seconds"),
        "validation.csv": ("step", "loss", "J", "F", "J&F", "spread"),
    }

    def __init__(self, workdir):
        super().__init__()
        self.workdir, self._lines, self._step = pathlib.Path(workdir), {}, 0

    def on_train_begin(self, logs=None):
        """Starts the files, or cuts them to the step that the training resumes at."""
        step = self._step = self.params["first_step"]
        for name, header in self.FILES.items():
            path, rows = self.workdir / name, []
            if step and path.exists():
                lines = path.read_text(encoding="utf-8").splitlines()[1:]
                steps = [line.partition(",")[0] for line in lines]
                rows = [
                    # Earlier versions had fewer columns.
                    line + "," * (len(header) - 1 - line.count(","))
                    for line, own in zip(lines, steps, strict=True)
                    if own.isdecimal() and int(own) <= step
                ]
            self._lines[name] = [",".join(header), *rows]
            self._write(name)

    def on_train_batch_end(self, batch, logs=None):
        """Adds a row to `loss.csv` when it is due."""
        self._step = batch + 1
        if "mean_loss" in logs:
            loss, rate, seconds = map(logs.get, ROW)
            row = f"{loss:.6g}", f"{rate:.4g}", f"{seconds:.1f}"
            self._add("loss.csv", (self._step, *row))

    def on_epoch_end(self, epoch, logs=None):
        """Adds a row to `validation.csv`."""
        if "val_J" not in logs:
            return
        figures = [logs.get(f"val_{n}") for n in self.FILES["validation.csv"][1:]]
        row = ("" if value is None else f"{value:.6g}" for value in figures)
        self._add("validation.csv", (self._step, *row))

    def _add(self, name, row):
        self._lines[name].append(",".join(map(str, row)))
        self._write(name)

    def _write(self, name):
        files.write_text(self.workdir / name, "\n".join(self._lines[name]) + "\n")


class SpreadWarning(UserWarning):
    """A visual modulator whose gammas are the same for all objects."""


class SpreadWatch(keras.callbacks.Callback):
    """Warns, once, when the visual modulator has stopped to matter."""

    def __init__(self):
        super().__init__()
        self._said, self._step = False, 0

    def on_train_batch_end(self, batch, logs=None):
        """Counts."""
        self._step = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the spread of the gammas."""
        spread = logs.get("val_spread", float("nan"))
        if spread < LOWEST_SPREAD and not self._said:
            self._said = True
            warnings.warn(
                f"after step {self._step} the gammas of different objects differ by "
                f"{spread:.1e} (standard deviation, mean over channels): what the "
                "network is shown of the object changes nothing. See "
                "docs/visual_guide.md; the channelwise visual modulator and samples "
                "with distractors keep it alive.",
                SpreadWarning,
                stacklevel=2,
            )


class TensorBoardLog(keras.callbacks.Callback):
    """Scalars and pictures for TensorBoard.

    Pictures are strips of frame, spatial guide, ground truth and prediction of the
    same few samples at every `validate_every` steps.

    Args:
        folder: for the event files.
        model: the network that is trained.
        samples: samples to show, as `Samples.sample` gives them.
    """

    def __init__(self, folder, model, samples):
        super().__init__()
        self.samples, self.folder, self._step = list(samples), folder, 0
        with files.no_room_explained(folder):
            self._writer = tf.summary.create_file_writer(str(folder))
        images = [sample[0] for sample in self.samples]
        length = images[0].shape[0] if images and images[0].ndim == 4 else None
        self._probability = tf.function(
            lambda inputs: tf.sigmoid(model(inputs, training=False)),
            input_signature=pipeline.batch_spec(length)[:1],
        )

    def _writing(self):
        stack = contextlib.ExitStack()
        stack.enter_context(files.no_room_explained(self.folder))
        stack.enter_context(self._writer.as_default(self._step))
        return stack

    def on_train_batch_end(self, batch, logs=None):
        """Writes loss and rate when they are due."""
        self._step = batch + 1
        if "mean_loss" in logs:
            with self._writing():
                tf.summary.scalar("training/loss", logs["mean_loss"])
                tf.summary.scalar("training/learning_rate", logs["learning_rate"])

    def on_epoch_end(self, epoch, logs=None):
        """Writes the figures and the pictures."""
        with self._writing():
            for name, value in logs.items():
                if name.startswith("val_"):
                    figure = name.removeprefix("val_")
                    tf.summary.scalar(f"validation/{figure}", value)
            for number, sample in enumerate(self.samples):
                tf.summary.image(f"sample {number}", self.strip(sample)[None])
            self._writer.flush()

    def strip(self, sample):
        """Frame, guide, ground truth and prediction side by side.

        Args:
            sample: `(image, visual_guide, spatial_guide, label)`; of a clip
                the last frame is shown.

        Returns:
            (h, 4 w, 3) uint8 RGB.
        """
        image, visual, guide, label = (np.asarray(x, np.float32) for x in sample)
        inputs = {"image": image, "visual_guide": visual, "spatial_guide": guide}
        found = self._probability(
            {name: tf.constant(value[None]) for name, value in inputs.items()}
        )[0].numpy()
        if image.ndim == 4:
            image, guide, label, found = image[-1], guide[-1], label[-1], found[-1]
        frame = image[..., ::-1] + np.array(MEAN_BGR)[::-1]
        # MaskTrack's guide has 255 where others have 1.
        maps = guide / max(1.0, guide.max()), label, found
        grey = [np.repeat(255.0 * each, 3, axis=-1) for each in maps]
        strip = np.concatenate([frame, *grey], axis=1)
        return np.clip(np.rint(strip), 0, 255).astype(np.uint8)

    def on_train_end(self, logs=None):
        """Closes the event file."""
        with files.no_room_explained(self.folder):
            self._writer.close()


class MeanLoss:
    """Running mean of the loss since the last row; part of the saved state."""

    def __init__(self, total=0.0, count=0):
        self.total, self.count = total, count

    def add(self, loss):
        """Counts a step in; what is not finite is left out."""
        if math.isfinite(loss):
            self.total += loss
            self.count += 1

    def take(self):
        """The mean, and starts again."""
        mean = self.total / max(1, self.count)
        self.total, self.count = 0.0, 0
        return mean
