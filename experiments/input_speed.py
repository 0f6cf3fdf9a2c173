"""Measures how fast training samples are made, against the released way.

Example, on the cores that training will have:

    python -m experiments.input_speed --dataset=davis2016 --data_dir=DAVIS \\
        --out=runs/speed

Two loaders make stage 2's samples (guide frame, earlier mask, frame, mask) of
the same clips: the pipeline of `osmn_recurrent.training`, and a plain Pillow
and NumPy loader in one process that works as the release does. They take
turns, a batch each, so that whatever else the machine does slows both.
Prints a table and writes input_speed.json.
"""

import os
import pathlib
import time

import numpy as np
from absl import flags
from PIL import Image
from tqdm import tqdm

from osmn_recurrent import files, programs
from osmn_recurrent.cli import shared
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()

shared.define(FLAGS, "data_dir", required=True)
shared.define(FLAGS, "dataset", "davis2017")
shared.define(FLAGS, "split", "train")
shared.define(FLAGS, "resolution", "480p")
flags.DEFINE_integer("clips", 4, "Clips to read, 0: all.", flag_values=FLAGS)
shared.define(FLAGS, "height", 480)
shared.define(FLAGS, "width", 854)
shared.define(FLAGS, "batch_size", 4, note="OSMN, stage 2: 4.")
shared.define(FLAGS, "rounds", 20, note="Of each loader.", lower_bound=3)
flags.DEFINE_list(
    "caches",
    ["none", "frames"],
    "What the pipeline keeps in memory; a row of the table each.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "out", note="Default: nothing is written.")
shared.define(FLAGS, "overwrite", False)

BATCHES_PER_TURN, RELEASED_PER_TURN = 8, 2
"""Batches of a turn; the released way is slower."""


class ReleasedWay:
    """Batches as the release makes them: one process, Pillow, whole arrays.

    Nothing here is used by the library. What differs from it is how, not
    what: medians of all pixels' coordinates, a Gaussian on a grid, whole
    frames cropped and converted.

    Args:
        samples: `ClipSamples`; its clips, starts and ranges are used.
    """

    def __init__(self, samples):
        self.samples, self.number = samples, 0
        self.rng = np.random.default_rng(0)

    def batch(self, size):
        """A batch of `size` samples: four stacked float32 arrays."""
        made = [self._sample() for _ in range(size)]
        return [np.stack(part) for part in zip(*made, strict=True)]

    def _sample(self):
        c, t, i = self.samples.index[
            self.samples._order(0)[self.number % len(self.samples)]
        ]
        self.number += 1
        clip, settings = self.samples.clips[c], self.samples.settings
        seen = int(self.rng.choice(self.samples._guide_frames[c, i]))

        def label(frame):
            ids = np.array(Image.open(clip.mask_paths[frame]))
            return Image.fromarray(
                ((ids > 0) if clip.binary else (ids == i)).astype(np.uint8)
            )

        size = (settings.size[1], settings.size[0])
        before = np.array(label(t).resize(size, Image.Resampling.NEAREST))
        ground_truth = np.array(label(t + 1).resize(size, Image.Resampling.NEAREST))
        image = Image.open(clip.frame_paths[t + 1]).convert("RGB")
        image = self._network(image.resize(size, Image.Resampling.BILINEAR))
        guide = self._visual(
            Image.open(clip.frame_paths[seen]).convert("RGB"), label(seen)
        )
        return (
            image,
            guide,
            self._heat(before),
            ground_truth[..., None].astype(np.float32),
        )

    def _network(self, image):
        return np.array(image, np.float32)[..., ::-1] - np.array(
            (104, 117, 123), np.float32
        )

    def _visual(self, frame, mask):
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
    """Time per sample of both loaders, in turns.

    Args:
        clips: list of `Clip`s.
        settings: `SampleSettings` of images, one scale.
        batch_size: samples per batch.
        rounds: turns of each.
        cache: of `ClipSamples`; filled before.

    Returns:
        dict: samples per second of both, their ratio, milliseconds of
        processor time per sample of both, and their ratio, which does not
        depend on what else the machine does.
    """
    from osmn_recurrent.training import pipeline
    from osmn_recurrent.training.samples import ClipSamples

    samples = ClipSamples(clips, settings, batch_size=batch_size, cache=cache)
    released = ReleasedWay(samples)
    if cache != "none":
        for number in tqdm(range(2 * len(samples)), "filling the cache", leave=False):
            samples.sample(number)

    def pipeline_turn(turn):
        # A pipeline that ends with its turn, so that it does not work on in
        # the other's; its start counts too.
        first = turn * BATCHES_PER_TURN
        dataset = pipeline.make_dataset(samples, batch_size, first)
        for _ in dataset.take(BATCHES_PER_TURN):
            pass

    def released_turn(turn):
        for _ in range(RELEASED_PER_TURN):
            released.batch(batch_size)

    pipeline_turn(0), released_turn(0)  # the first of each is not counted
    wall, cpu = [0.0, 0.0], [0.0, 0.0]
    for turn in tqdm(range(rounds), f"cache: {cache}", unit="turn"):
        for which, work in enumerate((pipeline_turn, released_turn)):
            start = time.perf_counter(), time.process_time()
            work(turn)
            wall[which] += time.perf_counter() - start[0]
            cpu[which] += time.process_time() - start[1]
    made = [n * batch_size * rounds for n in (BATCHES_PER_TURN, RELEASED_PER_TURN)]
    return {
        "cache": cache,
        "pipeline_per_second": made[0] / wall[0],
        "released_per_second": made[1] / wall[1],
        "ratio": made[0] / wall[0] * wall[1] / made[1],
        "pipeline_cpu_ms": cpu[0] / made[0] * 1e3,
        "released_cpu_ms": cpu[1] / made[1] * 1e3,
        "cpu_ratio": cpu[1] / made[1] * made[0] / cpu[0],
    }


def main():
    """Measures; see the module's text."""
    caches = tuple(FLAGS.caches)
    if not set(caches) <= {"none", "frames"}:
        raise InputError(f"--caches={','.join(caches)} must be some of none, frames.")
    out = pathlib.Path(FLAGS.out) / "input_speed.json" if FLAGS.out else None
    if out:
        files.refuse_to_overwrite(out, FLAGS.overwrite)
        files.check_output(out)
    place = FLAGS.dataset, FLAGS.data_dir, FLAGS.split, FLAGS.resolution
    clips = registry.clips(*place, first_mask_only=False)
    from osmn_recurrent.training.sample_settings import SampleSettings

    settings = SampleSettings(size=(FLAGS.height, FLAGS.width), scales=(1.0,))
    clips = clips[: FLAGS.clips or None]
    rows = [
        measure(clips, settings, FLAGS.batch_size, FLAGS.rounds, cache)
        for cache in caches
    ]
    cores = len(os.sched_getaffinity(0))
    print(
        f"samples per second at {FLAGS.width}x{FLAGS.height}, batches of "
        f"{FLAGS.batch_size}, {cores} cores\n"
        "cache   pipeline  released way  ratio  CPU ms  released CPU ms  CPU ratio"
    )
    for row in rows:
        print(
            f"{row['cache']:7} {row['pipeline_per_second']:8.1f}"
            f"{row['released_per_second']:14.1f}{row['ratio']:7.2f}"
            f"{row['pipeline_cpu_ms']:8.1f}{row['released_cpu_ms']:17.1f}"
            f"{row['cpu_ratio']:11.2f}"
        )
    if out:
        result = {
            "size": [FLAGS.height, FLAGS.width],
            "batch_size": FLAGS.batch_size,
            "rounds": FLAGS.rounds,
            "cores": cores,
            "load": os.getloadavg()[0],
            "rows": rows,
        }
        files.write_json(out, result)
    return programs.Done((out,) if out else ())


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
