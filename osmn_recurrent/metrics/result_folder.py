"""Checking and scoring a folder of predicted masks.

A result folder holds one palette (or grey, or 0/255) PNG per frame, named
like the frame: `<results>/<sequence>/<frame>.png`. Everything is looked at
before anything is reported: a folder with a fault gets no score.
"""

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import image_size
from osmn_recurrent.media.pictures import picture_paths
from osmn_recurrent.metrics.frame_scores import (
    is_binary,
    read_values,
    score_frame,
    scored_objects,
)
from osmn_recurrent.metrics.statistics import ObjectScores

_FRAMES_PER_TASK = 8


class ResultFolderError(InputError):
    """All faults of a result folder at once.

    Attributes:
        faults: list of str, one sentence each.
    """

    def __init__(self, results, faults):
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(
            f"{results} has {count}, so it gets no score:\n" + "\n".join(faults)
        )
        self.faults = faults


def evaluate_folder(results, sequences, processes=None):
    """Checks the masks of all sequences and scores them.

    Shows a progress bar. Frames that do not count (first and last of DAVIS)
    may be absent; where they are there, they are checked like the others.

    Args:
        results: the result folder.
        sequences: list of `Sequence`, of `registry.sequences`.
        processes: how many work at a time, by default as many as there are
            cores; 1 stays in this process.

    Returns:
        `{sequence name: {object id: ObjectScores}}`. Objects of which no
        frame counts have no scores.

    Raises:
        ResultFolderError: missing or unreadable masks, masks of another size,
            ids that are not the sequence's.
        InputError: the ground truth of some sequence is missing.
    """
    incomplete = [
        x.name for x in sequences if not x.ground_truth.keys() >= set(x.frames)
    ]
    if incomplete:
        raise InputError(
            f"{len(incomplete)} of {len(sequences)} sequences, {incomplete[0]} "
            "first, do not have a true mask for every frame; they cannot be scored."
        )
    return _run(results, sequences, processes, scored=True)


def check_folder(results, sequences, processes=None):
    """Checks the masks of all sequences: a submission without public ground truth.

    All frames must be there, the first and last too.

    Args:
        results: the result folder.
        sequences: list of `Sequence`; the first mask tells size and ids.
        processes: see `evaluate_folder`.

    Raises:
        ResultFolderError: see `evaluate_folder`.
    """
    _run(results, sequences, processes, scored=False)


@dataclasses.dataclass(frozen=True)
class _Rules:
    """What every predicted mask of a sequence is held against."""

    name: str
    ids: tuple
    binary: bool
    size: tuple
    picture_size: tuple | None
    read_ground_truth: Callable


def _run(results, sequences, processes, scored):
    results = pathlib.Path(results)
    if not results.is_dir():
        raise InputError(
            f"{results}: no such folder; expected <results>/<sequence>/<frame>.png."
        )
    faults, tasks, rows = [], [], {}
    with _mapper(processes) as run:
        plans = run(_plan, [(results / each.name, each, scored) for each in sequences])
        for rules, objects, items, wrong in plans:
            faults += wrong
            rows[rules.name] = {i: [] for i in objects}
            tasks += [
                (rules, items[start : start + _FRAMES_PER_TASK], scored)
                for start in range(0, len(items), _FRAMES_PER_TASK)
            ]
        if faults:  # No score will come of it: only look for more of them.
            tasks = [(rules, items, False) for rules, items, _ in tasks]
        total = sum(len(items) for _, items, _ in tasks)
        label = "scoring" if scored and not faults else "checking"
        with tqdm(total=total, desc=label, unit="mask") as bar:
            for task, (scores, wrong) in zip(tasks, run(_work, tasks), strict=True):
                faults += wrong
                for i, row in scores:
                    rows[task[0].name][i].append(row)
                bar.update(len(task[1]))
    if faults:
        raise ResultFolderError(results, faults)
    return {
        name: {i: _object_scores(found) for i, found in objects.items()}
        for name, objects in rows.items()
    }


def _object_scores(rows):
    frames, j, f = zip(*rows, strict=True) if rows else ((), (), ())
    return ObjectScores(np.array(j, float), np.array(f, float), frames)


@contextlib.contextmanager
def _mapper(processes):
    """A `map` whose calls run in several processes, results in order."""
    processes = processes or _cores()
    if processes == 1:
        yield map
        return
    # A process that has TensorFlow's threads must not fork; one that has none
    # starts workers at once that way. OpenCV's threads are put away meanwhile:
    # a worker would wait for them for ever.
    method = "spawn" if {"tensorflow", "jax"} & set(sys.modules) else None
    context = multiprocessing.get_context(method)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with concurrent.futures.ProcessPoolExecutor(
            processes, context, _start_worker
        ) as pool:
            yield pool.map
    finally:
        cv2.setNumThreads(threads)


def _cores():
    if hasattr(os, "sched_getaffinity"):  # Linux: those this process may use
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_worker():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """A worker does not outlive a run that was killed."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _plan(arguments):
    """Reads a sequence's first true mask and lists its predicted ones.

    Returns:
        `(rules, object ids, items, faults)`; an item is `(frame, predicted
        mask, true mask, ids of the objects that it is scored for)`.
    """
    folder, sequence, scored = arguments
    read_ground_truth, rules = (
        sequence.read_ground_truth or read_values,
        sequence.protocol,
    )
    values = read_ground_truth(sequence.ground_truth[sequence.frames[0]])
    objects = sequence.objects
    binary = rules.binary or (is_binary(values) and len(objects or (1,)) == 1)
    if objects is None:
        first, last = rules.skip
        counted = sequence.frames[first : len(sequence.frames) - last]
        ids = (1,) if binary else scored_objects(values)
        objects = dict.fromkeys(ids, counted)
    if scored:
        needed = {frame for frames in objects.values() for frame in frames}
    else:
        needed = set(sequence.frames)
    found, faults = _list_masks(folder, sequence, needed)
    by_frame = {frame: [] for frame in found}
    for i, frames in objects.items():
        for frame in found.keys() & frames:
            by_frame[frame].append(i)
    rules = _Rules(
        name=sequence.name,
        ids=tuple(objects),
        binary=binary,
        size=values.shape,
        picture_size=image_size(sequence.picture) if sequence.picture else None,
        read_ground_truth=read_ground_truth,
    )
    items = [
        (frame, path, sequence.ground_truth.get(frame), tuple(by_frame[frame]))
        for frame, path in found.items()
    ]
    return rules, tuple(objects), items, faults


def _list_masks(folder, sequence, needed):
    """`({frame: mask file}, faults)` of the frames of a sequence."""
    if not folder.is_dir():
        return {}, (
            f"{folder}: no such folder; expected {len(needed)} masks of "
            f"{sequence.name}.",
        )
    present = {path.stem: path for path in picture_paths(folder, (".png",))}
    found = {name: present[name] for name in sequence.frames if name in present}
    missing = [name for name in sequence.frames if name in needed - found.keys()]
    strays = [path.name for name, path in present.items() if name not in found]
    hint = f"; the folder has {strays[0]}, which is no frame's name" if strays else ""
    return found, tuple(
        f"{folder / name}.png: no such mask{hint}; write one for every frame."
        for name in missing
    )


def _work(task):
    """Checks and scores frames: `([(id, (frame, J, F)), ...], faults)`."""
    rules, items, measure = task
    rows, faults = [], []
    for frame, path, true_path, objects in items:
        try:
            predicted = _read_prediction(rules, path)
            if measure and objects:
                true = rules.read_ground_truth(true_path)
                if true.shape != rules.size:
                    raise InputError(
                        f"true mask {true_path} is not of the size of the first, "
                        f"{rules.size[1]}x{rules.size[0]}; correct the data set."
                    )
                pairs = score_frame(true, predicted, objects, rules.binary)
                for i, pair in zip(objects, pairs, strict=True):
                    rows.append((i, (frame, *pair)))
        except InputError as error:
            faults.append(str(error))
    return rows, faults


def _read_prediction(rules, path):
    """(H, W) uint8 ids of a predicted mask, or `InputError`."""
    values = read_values(path)
    if values.shape != rules.size:
        if values.shape != rules.picture_size:
            raise InputError(
                f"{path} is {values.shape[1]}x{values.shape[0]}, but the true "
                f"masks of {rules.name} are {rules.size[1]}x{rules.size[0]}; "
                "write masks at the frames' size."
            )
        size = rules.size[::-1]
        values = np.asarray(Image.fromarray(values).resize(size, Image.NEAREST))
    if rules.binary:
        return values
    ids = rules.ids
    if max(ids, default=0) == len(ids) and values.max() <= len(ids):
        return values
    if len(ids) == 1 and is_binary(values):
        return (values > 0) * np.uint8(ids[0])
    unknown = sorted(set(np.unique(values).tolist()) - {0, *ids})
    if unknown:
        raise InputError(
            f"{path} has {_listing('id', unknown)}, but {rules.name} has "
            f"{_listing('object', ids)}; write the ids of the first true mask."
        )
    return values


def _listing(what, numbers, most=5):
    if not numbers:
        return f"no {what}"
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return (
        f"{what}{'s' if len(numbers) > 1 else ''} "
        f"{', '.join(map(str, numbers[:most]))}{more}"
    )
