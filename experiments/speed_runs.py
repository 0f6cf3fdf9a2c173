"""What `experiments.speed` measures: loops that take turns of a few frames."""

import collections
import contextlib
import copy
import pathlib
import re
import tempfile
import time

import numpy as np
import tensorflow as tf

from experiments import release_loop
from osmn_recurrent import guides
from osmn_recurrent.backbones.vgg16 import VGG16
from osmn_recurrent.inference import threads
from osmn_recurrent.media.mask_files import write_mask
from osmn_recurrent.media.pictures import read_frame


class Footage:
    """Frames that are drawn, in memory and as JPEG files; boxes as objects.

    Args:
        folder: where the files go.
        size: `(height, width)`.
        length: number of frames; after the last one the first follows.
    """

    def __init__(self, folder, size, length=8):
        from PIL import Image

        self.size = height, width = size
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
        base = np.asarray(Image.fromarray(coarse).resize((width, height)))
        self.frames = [np.roll(base, 3 * t, axis=1) for t in range(length)]
        self.paths = [folder / f"{t:05d}.jpg" for t in range(length)]
        for frame, path in zip(self.frames, self.paths, strict=True):
            Image.fromarray(frame).save(path, quality=95)

    def first_mask(self, objects):
        """(height, width) uint8 with as many boxes side by side."""
        height, width = self.size
        mask = np.zeros(self.size, np.uint8)
        step = width // objects
        for k in range(objects):
            left = k * step + step // 4
            mask[height // 4 : height * 3 // 4, left : left + step // 2] = k + 1
        return mask

    def indices(self, first, count):
        """The places of `count` frames from number `first` on."""
        return [k % len(self.frames) for k in range(first, first + count)]


class Loop:
    """Something to measure.

    Attributes:
        labels: dict: what it is ("loop", "objects", "precision", "files").
    """

    def __init__(self, footage, **labels):
        self.footage, self.labels, self.place = footage, labels, 1

    def turn(self, count):
        """Goes over the next `count` frames."""
        indices = self.footage.indices(self.place, count)
        self.place += count
        self.run(indices)

    def run(self, indices):
        """Goes over the frames at `indices`."""
        raise NotImplementedError


class OurLoop(Loop):
    """`VideoSegmenter`, with files as `segment_clip` has them: in threads."""

    def __init__(self, segmenter, footage, objects, folder):
        super().__init__(
            footage,
            loop="ours",
            objects=objects,
            precision=segmenter.precision,
            files=folder is not None,
        )
        self.segmenter, self.folder = copy.copy(segmenter), folder
        self.segmenter.start(footage.frames[0], footage.first_mask(objects))

    def run(self, indices):
        """As of `Loop`."""
        if self.folder is None:
            for k in indices:
                self.segmenter.step(self.footage.frames[k])
            return
        frames = (read_frame(self.footage.paths[k]) for k in indices)
        with (
            contextlib.closing(threads.prefetch(frames)) as prefetched,
            threads.AsyncWriter() as writer,
        ):
            for k, frame in zip(indices, prefetched, strict=True):
                ids = self.segmenter.step(frame)
                writer.put(write_mask, self.folder / f"{k:05d}.png", ids)


class ReleasedLoop(Loop):
    """`release_loop.ReleaseLoop`, once per object."""

    def __init__(self, graph, adapt, footage, objects, folder):
        super().__init__(
            footage,
            loop="released",
            objects=objects,
            precision="float32",
            files=folder is not None,
        )
        ids, self.objects = footage.first_mask(objects), []
        for k in range(1, objects + 1):
            own = folder and folder / str(k)
            if own:
                own.mkdir(parents=True)
            self.objects.append(release_loop.ReleaseLoop(graph, adapt, own))
            self.objects[-1].start(footage.frames[0], ids == k)

    def run(self, indices):
        """As of `Loop`; frames are read anew for each object."""
        for single in self.objects:
            for k in indices:
                read = self.labels["files"]
                single.step(
                    read_frame(self.footage.paths[k])
                    if read
                    else self.footage.frames[k]
                )


class Floor(Loop):
    """The trunk on one frame; VGG16's as `release_loop.bare_convolutions`."""

    def __init__(self, model, footage, precision, working_size=None):
        plain = isinstance(model.backbone, VGG16)
        super().__init__(
            footage,
            loop="VGG16 alone" if plain else "trunk alone",
            objects=None,
            precision=precision,
            files=False,
        )
        if plain:
            self.function = release_loop.bare_convolutions(model, precision)
        else:
            self.function = _trunk_function(model)
        size = guides.network_size(working_size, *footage.size)
        self.images = [
            guides.network_image(frame, size)[None] for frame in footage.frames
        ]

    def run(self, indices):
        """As of `Loop`."""
        for k in indices:
            # One number back: the work is done when it is there.
            float(tf.reduce_sum(self.function(self.images[k])[0, 0, 0]))


def _trunk_function(model):
    """`tf.function` of an image (1, H, W, 3) to the trunk's last map."""
    trunk = model.backbone

    def run(image):
        x = trunk.network_input(trunk.pad(image))
        for level in model.seg.blocks:
            x = level(x)
        return x

    return tf.function(
        run, input_signature=[tf.TensorSpec((1, None, None, 3), tf.float32)]
    )


def measure(loops, rounds, count, progress):
    """Times the loops in turns, so that other work on the machine hits all.

    Args:
        loops: list of `Loop`.
        rounds: number of turns of each that count, after one that does not.
        count: frames per turn.
        progress: called after each turn.

    Returns:
        List of dicts, one per loop: its labels, "seconds" and "cpu_seconds"
        per frame (medians over the turns; wall clock, and the sum over this
        process' threads, which other processes do not lengthen), and
        "turns", the seconds per frame of each.
    """
    wall, cpu = ([[] for _ in loops] for _ in range(2))
    for number in range(rounds + 1):
        for k, loop in enumerate(loops):
            started, busy = time.perf_counter(), time.process_time()
            loop.turn(count)
            if number:
                wall[k].append((time.perf_counter() - started) / count)
                cpu[k].append((time.process_time() - busy) / count)
            progress()
    return [
        {
            **loop.labels,
            "seconds": float(np.median(wall[k])),
            "cpu_seconds": float(np.median(cpu[k])),
            "turns": wall[k],
        }
        for k, loop in enumerate(loops)
    ]


def compare(rows):
    """Adds "times_faster" than the release and "over_floor" to `rows`.

    Ratios are medians of the ratios within a round, so that a slow moment of
    the machine does not count for one side alone.

    Args:
        rows: of `measure`, changed in place; None where there is nothing to
            compare with.
    """

    def turns(**wanted):
        for row in rows:
            if all(row[key] == value for key, value in wanted.items()):
                return np.array(row["turns"]), row["cpu_seconds"]
        return None

    for row in rows:
        own, busy = np.array(row["turns"]), row["cpu_seconds"]
        pair = {"objects": row["objects"], "files": row["files"]}
        released = turns(loop="released", **pair) if row["loop"] == "ours" else None
        floor = turns(objects=None, precision=row["precision"])
        if row["loop"].endswith(" alone"):
            floor = None
        row["times_faster"] = released and float(np.median(released[0] / own))
        row["times_less_cpu"] = released and released[1] / busy
        row["over_floor"] = floor and float(np.median(own / floor[0])) - 1
        row["cpu_over_floor"] = floor and busy / floor[1] - 1


def endure(loop, frames, progress):
    """Whether a loop stays as small and as fast as it begins.

    Args:
        loop: a `Loop` that has run before.
        frames: number of frames to go over, at least 20.
        progress: called after each frame.

    Returns:
        Dict: "frames", "megabytes" resident after a tenth of them and after
        all (None where the system does not tell), "seconds" and
        "cpu_seconds": medians per frame of the second and of the last tenth.
    """
    tenth, seconds, busy = frames // 10, [], []
    megabytes = []
    for number in range(1, frames + 1):
        started, used = time.perf_counter(), time.process_time()
        loop.turn(1)
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - used)
        if number in (tenth, frames):
            megabytes.append(_resident())
        progress()
    parts = (slice(tenth, 2 * tenth), slice(-tenth, None))
    return {
        **loop.labels,
        "frames": frames,
        "megabytes": megabytes,
        "seconds": [float(np.median(seconds[part])) for part in parts],
        "cpu_seconds": [float(np.median(busy[part])) for part in parts],
    }


def _resident():
    """Resident memory of this process in MB, or None."""
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    except OSError:  # no Linux
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmRSS")]
    return int(found[0]) / 1024


def profile(loop, count):
    """Where the time of a loop goes, from TensorFlow's own tracer.

    Args:
        loop: a `Loop` that has run before.
        count: frames to trace.

    Returns:
        List of `(part, seconds per frame, share)`, longest first. Parts are
        the network's layers and, as "guide and merge", what surrounds it;
        operations of several threads add up.
    """
    from experiments import trace_files

    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0
    )
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, options):
            loop.turn(count)
        (trace,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = trace_files.read(trace)
    parts = collections.Counter()
    for plane in space.planes:
        names = {entry.key: entry.value.name for entry in plane.event_metadata}
        for line in plane.lines:
            for event in line.events:
                name = names.get(event.metadata_id, "")
                operation = re.fullmatch(r"([\w/.]+):(_?[A-Z]\w*)", name)
                if operation:
                    parts[_part(*operation.groups())] += event.duration_ps / 1e12
    total = sum(parts.values())
    return [
        (part, seconds / count, seconds / total)
        for part, seconds in parts.most_common()
    ]


def _part(path, kind):
    """The layer that an operation belongs to, or what it does."""
    scopes = [re.sub(r"(_\d+)?$", "", scope, count=1) for scope in path.split("/")]
    if len(scopes) == 1:
        return "pooling" if "Pool" in kind else "guide and merge"
    if re.fullmatch(r"(conv|level)\d", scopes[0]):
        return f"{scopes[0]} {'convolutions' if 'Conv' in kind else 'modulation'}"
    return scopes[0]
