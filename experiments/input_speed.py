"""Measures how fast training samples are made, against the released way.

Example, on the cores that training will have:

    python -m experiments.input_speed --data_dir=DAVIS --year=2016 --out=runs/speed

Two loaders make stage 2's samples (guide frame, earlier mask, frame, mask) of
the same clips: the pipeline of `osmn_recurrent.training`, and a plain Pillow
and NumPy loader in one process that works as the release does. They take
turns, a batch each, so that whatever else the machine does slows both.
Prints a table and writes input_speed.json.
"""

import pathlib
import statistics
import time

from absl import flags

from osmn_recurrent import files, programs
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()

flags.DEFINE_string(
    "data_dir",
    None,
    "DAVIS folder (JPEGImages, Annotations, ImageSets).",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_enum("year", "2017", ["2016", "2017"], "DAVIS edition.", flag_values=FLAGS)
flags.DEFINE_string("split", "train", "List under ImageSets.", flag_values=FLAGS)
flags.DEFINE_string("resolution", "480p", "Folder under JPEGImages.", flag_values=FLAGS)
flags.DEFINE_integer("clips", 4, "Clips to read, 0: all.", flag_values=FLAGS)
flags.DEFINE_integer("height", 480, "Height of the network image.", flag_values=FLAGS)
flags.DEFINE_integer("width", 854, "Width of the network image.", flag_values=FLAGS)
flags.DEFINE_integer(
    "batch_size", 4, "Samples per batch (OSMN, stage 2: 4).", flag_values=FLAGS
)
flags.DEFINE_integer(
    "rounds", 20, "Turns of each loader.", lower_bound=3, flag_values=FLAGS
)
flags.DEFINE_list(
    "caches",
    ["none", "frames"],
    "What the pipeline keeps in memory; a row of the table each.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out", None, "Folder for input_speed.json; default: none.", flag_values=FLAGS
)
flags.DEFINE_bool("overwrite", False, "Replace an earlier result.", flag_values=FLAGS)

BATCHES_PER_TURN = 8
"""Of the pipeline; the released way, being slower, makes one."""


class ReleasedWay:
    """Batches as the release makes them: one process, Pillow, whole arrays.

    Nothing here is used by the library. What differs from it is how, not
    what: medians of all pixels' coordinates, a Gaussian on a grid, whole
    frames cropped and converted.

    Args:
        samples: `ClipSamples`; its clips, starts and ranges are used.
    """

    def __init__(self, samples):
        import numpy as np

        self.samples, self.number = samples, 0
        self.rng = np.random.default_rng(0)

    def batch(self, size):
        """A batch of `size` samples: four stacked float32 arrays."""
        import numpy as np

        made = [self._sample() for _ in range(size)]
        return [np.stack(part) for part in zip(*made, strict=True)]

    def _sample(self):
        import numpy as np
        from PIL import Image

        c, t, i = self.samples.index[
            self.samples._order(0)[self.number % len(self.samples)]
        ]
        self.number += 1
        clip, settings = self.samples.clips[c], self.samples.settings
        look = int(self.rng.choice(self.samples._guide_frames[c, i]))

        def label(frame):
            ids = np.array(Image.open(clip.mask_paths[frame]))
            return Image.fromarray(
                ((ids > 0) if clip.binary else (ids == i)).astype(np.uint8)
            )

        size = (settings.size[1], settings.size[0])
        before = np.array(label(t).resize(size, Image.Resampling.NEAREST))
        truth = np.array(label(t + 1).resize(size, Image.Resampling.NEAREST))
        image = Image.open(clip.frame_paths[t + 1]).convert("RGB")
        image = self._network(image.resize(size, Image.Resampling.BILINEAR))
        guide = self._visual(
            Image.open(clip.frame_paths[look]).convert("RGB"), label(look)
        )
        return image, guide, self._heat(before), truth[..., None].astype(np.float32)

    def _network(self, image):
        import numpy as np

        return np.array(image, np.float32)[..., ::-1] - np.array(
            (104, 117, 123), np.float32
        )

    def _visual(self, frame, mask):
        import numpy as np
        from PIL import Image

        set_pixels = np.array(mask)
        rows, columns = np.where(set_pixels.any(1))[0], np.where(set_pixels.any(0))[0]
        box = (columns[0], rows[0], columns[-1], rows[-1])
        width, height = box[2] - box[0], box[3] - box[1]
        left, top, right, bottom = self.rng.uniform(-0.1, 0.1, 4)
        moved = (
            int(left * width),
            int(top * height),
            int(width * (1 + right)),
            int(height * (1 + bottom)),
        )
        angle, flip = self.rng.uniform(-10, 10), self.rng.uniform() < 0.5

        def cut(picture, resampling):
            picture = picture.crop(box).crop(moved).resize((224, 224), resampling)
            picture = picture.rotate(angle, Image.Resampling.NEAREST)
            return (
                picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else picture
            )

        guide = self._network(cut(frame, Image.Resampling.BILINEAR))
        guide[np.array(cut(mask, Image.Resampling.NEAREST)) == 0] = 0
        return guide

    def _heat(self, mask):
        import numpy as np

        if not mask.any():
            return np.zeros((*mask.shape, 1), np.float32)
        points = np.stack(np.nonzero(mask), axis=1)[:, ::-1].astype(np.float32)
        centre = np.median(points, axis=0)
        spread = np.median(np.abs(points - centre), axis=0)
        sigma = np.maximum(1.4826 * spread, 5.0)
        centre = centre + self.rng.uniform(-0.2, 0.2, 2) * sigma
        sigma = sigma * self.rng.uniform(1 / 1.4, 1.4, 2)
        grid = np.stack(
            np.meshgrid(np.arange(mask.shape[1]), np.arange(mask.shape[0])), axis=2
        )
        heat = np.exp(-np.sum((grid - centre) ** 2 / (2 * sigma**2), axis=2))
        return heat[..., None].astype(np.float32)


def measure(clips, settings, batch_size, rounds, cache):
    """Seconds per batch of both loaders, in turns.

    Args:
        clips: list of `Clip`s.
        settings: `SampleSettings` of stills, one scale.
        batch_size: samples per batch.
        rounds: turns of each.
        cache: of `ClipSamples`.

    Returns:
        dict of samples per second of both, the ratio of the sums, and the
        median of the turns' ratios.
    """
    from osmn_recurrent.training import pipeline
    from osmn_recurrent.training.samples import ClipSamples

    samples = ClipSamples(clips, settings, batch_size=batch_size, cache=cache)
    released = ReleasedWay(samples)
    if cache != "none":  # an epoch fills it
        for number in range(len(samples)):
            samples.sample(number)
    times = {"pipeline": [], "released way": []}
    released.batch(batch_size)
    for turn in range(rounds):
        start = time.perf_counter()
        # A pipeline that ends with its turn, so that it does not work on in
        # the other's; its start counts too.
        first = turn * BATCHES_PER_TURN
        dataset = pipeline.make_dataset(samples, batch_size, first)
        for _ in dataset.take(BATCHES_PER_TURN):
            pass
        seconds = time.perf_counter() - start
        times["pipeline"].append(seconds / BATCHES_PER_TURN)
        start = time.perf_counter()
        released.batch(batch_size)
        times["released way"].append(time.perf_counter() - start)
    speed = {
        name: batch_size * rounds / sum(seconds) for name, seconds in times.items()
    }
    ratios = [
        slow / fast
        for fast, slow in zip(times["pipeline"], times["released way"], strict=True)
    ]
    return {
        "cache": cache,
        "pipeline_samples_per_second": speed["pipeline"],
        "released_samples_per_second": speed["released way"],
        "ratio": speed["pipeline"] / speed["released way"],
        "median_ratio": statistics.median(ratios),
    }
