"""What a training shows while it runs: bar, CSV files, TensorBoard."""

import math
import pathlib
import warnings

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from osmn_recurrent import files
from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.inference.modulation_health import LOWEST_SPREAD
from osmn_recurrent.training import pipeline

ROW_EVERY = 100
"""Steps whose mean loss makes a row of `loss.csv` and a point in TensorBoard."""


class Callback:
    """Base of callbacks; methods do nothing by default."""

    def begin(self, step):
        """The training starts, or goes on, after `step` steps."""

    def step(self, step, loss):
        """Step number `step` (from 1) had this loss."""

    def row(self, step, loss, rate, seconds):
        """Mean loss of the last steps, learning rate, time since the start."""

    def validated(self, step, figures):
        """A validation's figures, see `Validation`."""

    def end(self):
        """The training ends, for whatever reason."""


class ProgressBar(Callback):
    """One bar over all steps, with the loss, the last J and the time left.

    Args:
        description: text before the bar.
        steps: number of steps in all.
    """

    def __init__(self, description, steps):
        self.description, self.steps, self._shown = description, steps, {}

    def begin(self, step):
        """Opens the bar."""
        self._bar = tqdm(
            total=self.steps,
            initial=step,
            desc=self.description,
            unit="step",
            dynamic_ncols=True,
        )

    def step(self, step, loss):
        """Moves the bar by a step."""
        self._shown["loss"] = f"{loss:.4g}"
        self._bar.set_postfix(self._shown, refresh=False)
        self._bar.update()

    def validated(self, step, figures):
        """Shows J in percent."""
        self._shown["J"] = f"{100 * figures['J']:.1f}"

    def end(self):
        """Closes the bar."""
        self._bar.close()


class CsvLog(Callback):
    """`loss.csv` (step, loss, rate, seconds) and `validation.csv`.

    A training that goes on drops the rows behind the step it goes on from. The
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
        self.workdir, self._lines = pathlib.Path(workdir), {}

    def begin(self, step):
        """Starts the files, or cuts them to `step`."""
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

    def row(self, step, loss, rate, seconds):
        """Adds a row to `loss.csv`."""
        self._add("loss.csv", (step, f"{loss:.6g}", f"{rate:.4g}", f"{seconds:.1f}"))

    def validated(self, step, figures):
        """Adds a row to `validation.csv`."""
        names = self.FILES["validation.csv"][1:]
        row = (f"{figures[n]:.6g}" if n in figures else "" for n in names)
        self._add("validation.csv", (step, *row))

    def _add(self, name, row):
        self._lines[name].append(",".join(map(str, row)))
        self._write(name)

    def _write(self, name):
        files.write_text(self.workdir / name, "\n".join(self._lines[name]) + "\n")


class SpreadWarning(UserWarning):
    """A visual modulator whose gammas are the same for all objects."""


class SpreadWatch(Callback):
    """Warns, once, when the visual modulator has stopped to matter."""

    def __init__(self):
        self._said = False

    def validated(self, step, figures):
        """Looks at the spread of the gammas."""
        spread = figures.get("spread", float("nan"))
        if spread < LOWEST_SPREAD and not self._said:
            self._said = True
            warnings.warn(
                f"after step {step} the gammas of different objects differ by "
                f"{spread:.1e} (standard deviation, mean over channels): what the "
                "network is shown of the object changes nothing. See "
                "docs/visual_guide.md; the channelwise visual modulator and samples "
                "with distractors keep it alive.",
                SpreadWarning,
                stacklevel=2,
            )


class TensorBoardLog(Callback):
    """Scalars and pictures for TensorBoard.

    Pictures are strips of frame, spatial guide, truth and prediction of the
    same few samples at every validation (or row, where there is none).

    Args:
        folder: for the event files.
        model: the network that is trained.
        samples: samples to show, as `Samples.sample` gives them.
    """

    def __init__(self, folder, model, samples):
        self.model, self.samples, self.folder = model, list(samples), folder
        with files.no_room_explained(folder):
            self._writer = tf.summary.create_file_writer(str(folder))
        images = [sample[0] for sample in self.samples]
        length = images[0].shape[0] if images and images[0].ndim == 4 else None
        self._probability = tf.function(
            lambda inputs: tf.sigmoid(model(inputs, training=False)),
            input_signature=pipeline.batch_spec(length)[:1],
        )

    def row(self, step, loss, rate, seconds):
        """Writes loss and rate."""
        with files.no_room_explained(self.folder), self._writer.as_default(step):
            tf.summary.scalar("training/loss", loss)
            tf.summary.scalar("training/learning_rate", rate)

    def validated(self, step, figures):
        """Writes the figures and the pictures."""
        with files.no_room_explained(self.folder), self._writer.as_default(step):
            for name, value in figures.items():
                tf.summary.scalar(f"validation/{name}", value)
            for number, sample in enumerate(self.samples):
                tf.summary.image(f"sample {number}", self.strip(sample)[None])
            self._writer.flush()

    def strip(self, sample):
        """Frame, guide, truth and prediction side by side.

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

    def end(self):
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
