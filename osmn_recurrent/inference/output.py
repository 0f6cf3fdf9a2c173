"""A clip's masks as files, and resuming an interrupted run."""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from osmn_recurrent import files
from osmn_recurrent.datasets.clips import Clip
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import edits, threads
from osmn_recurrent.inference.followers import Crew, Follower
from osmn_recurrent.inference.mattes import Mattes
from osmn_recurrent.inference.merging import MERGES
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.media.mask_files import read_mask, write_mask
from osmn_recurrent.run_folder import RunFolder, hold

RUN_FILE = "run.json"
"""Lies beside the masks: how they were made, and whether all are there."""

OUTPUTS = "outputs"
"""Key in it: names of what lies beside the folder of masks and is of its runs."""

WARM_UP = 2
"""Computed frames that are not timed; the first one traces the network."""

TIMED = 1000
"""Frames that count for the timing, the last ones."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What `segment_clip` did.

    Attributes:
        folder: where the masks are.
        frames: number of frames of the clip.
        computed: number of masks made now; the others were there already.
        objects: ids that were followed, ascending.
        seconds: median wall-clock seconds per frame, with reading the frame
            and writing the mask, or None if there are too few frames after
            the first `WARM_UP` (or, with nothing computed, that of the run
            that made the masks).
        network_seconds: the same without reading and writing.
    """

    folder: pathlib.Path
    frames: int
    computed: int
    objects: tuple
    seconds: float | None
    network_seconds: float | None


def segment_clip(
    segmenter: VideoSegmenter,
    clip: Clip,
    folder: str | os.PathLike,
    overwrite: bool = False,
    later_masks: bool = True,
    followers: Iterable[Follower] = (),
    mattes: Mattes | None = None,
) -> "Outcome":
    """Segments a clip and writes one palette PNG per frame.

    Masks are named after the frames and have the palette of the clip's first
    mask; `run.json` beside them holds the settings. An interrupted run resumes
    after the last mask and writes the same masks as an uninterrupted one, bit
    for bit (on the same machine): guides come from the masks that are there.
    The state of a recurrent network is not stored (86 MB per object at full
    width) but recomputed, by running the network over the frames before;
    other networks only read those frames. Frames are prefetched in one thread
    and masks written in another (`threads`).

    Args:
        segmenter: `VideoSegmenter`.
        clip: `Clip` with a mask for the frame in which its first object appears;
            masks of the frames before are empty.
        folder: where the masks go, made if missing.
        overwrite: replace masks that are there instead of resuming.
        later_masks: whether later masks bring new objects; False uses the first
            mask alone.
        followers: `Follower`s, which write other results from the same frames and
            masks, each in a thread. One whose result is there is left out, unless
            masks are made anew.
        mattes: `Mattes` that are written beside the masks, or None. Where masks
            are there and mattes are not, the network goes through the frames
            again, to the same masks.

    Returns:
        `Outcome`.

    Raises:
        InputError: before work starts, if the clip cannot be used (see
            `Clip.check`), if `folder` holds masks made in another way or of
            frames that were replaced since, lies where the clip's own files
            do, or is another run's, or a follower's file is not of an earlier run;
            later, if a frame cannot be decoded or a mask not written. Masks
            written until then stay.
    """
    folder = pathlib.Path(folder)
    if clip.corrected and mattes is not None:
        raise InputError(
            f"{clip.name} is a studio project, of which no mattes are made; leave the "
            "matte out, or segment its video with masks of its own."
        )
    if clip.listed and segmenter.guides_from != "own":
        raise InputError(
            f"{clip.name} lists the frames in which each object is shown, which leaves "
            "the others' guides as they are only with --guides_from=own; give it, or "
            "name the data set without such lists (youtube_vos)."
        )
    clip.check()
    own: list = [*followers, *([] if mattes is None else [mattes])]
    check_places(clip, folder, own)
    paths, run = mask_files(clip, folder), RunFolder(folder, "segment", RUN_FILE)
    settings = {
        **segmenter.settings(),
        "later_masks": later_masks,
        "clip": _identity(clip, later_masks),
    }
    digests = clip.frame_digests()
    kept = digests[:1] if len(set(digests)) == 1 else digests
    record: dict = {"frames_sha256": " ".join(kept)}
    record[OUTPUTS] = sorted(
        {*run.recorded(OUTPUTS, ()), *(each.path.name for each in own)}
    )
    with hold(folder):
        soft = [] if mattes is None else mattes.files
        if mattes is not None:
            files.sweep(mattes.path)
        stored = run.claim({"settings": settings}, [*paths, *soft], overwrite)
        done = count_done(paths)
        if stored and done:
            _refuse_other_frames(clip, run, stored, digests, done)
        if mattes is not None:
            done = min(done, count_done(mattes.files))
        if "finished" in stored and done == len(paths):
            outcome = {**stored["finished"], "computed": 0}
            followers = [each for each in followers if not each.is_there()]
            if followers:
                run.write(**record, finished=stored["finished"])
                _follow(clip, paths, followers, mattes)
        else:
            run.write(**record)
            with Crew(followers) as crew:
                maker = _Maker(segmenter, clip, paths, later_masks, mattes, done)
                outcome = maker.write_all(crew)
                run.write(**record, finished=outcome)
    return Outcome(folder, **{**outcome, "objects": tuple(outcome["objects"])})


def check_places(clip, folder, followers=()):
    """Refuses, before work starts, results that would replace a person's files.

    Args:
        clip: the clip.
        folder: for its masks.
        followers: of `segment_clip`; what exists under their names must be of an
            earlier run in `folder`.

    Raises:
        InputError: naming the file.
    """
    run = RunFolder(folder, "segment", RUN_FILE)
    files.refuse_inputs(
        [folder, *(each.path for each in followers)],
        [*clip.input_files(), *clip.mask_paths.values()],
    )
    owned = run.recorded(OUTPUTS, ())
    for path in (each.path for each in followers):
        empty = path.is_dir() and not any(path.iterdir())
        if os.path.lexists(path) and path.name not in owned and not empty:
            raise InputError(
                f"{path} exists already and is no result of an earlier run (see "
                f"{run.path}); move it, or name another place for the results."
            )
        files.check_output(path, folder=path.is_dir())


def _follow(clip, paths, followers, mattes):
    """Shows followers a clip whose masks, and mattes, are all there."""
    with (
        Crew(followers) as crew,
        contextlib.closing(threads.prefetch(clip.frames())) as frames,
    ):
        progress = tqdm(frames, total=len(paths), desc=clip.name, unit="frame")
        for index, frame in enumerate(progress):
            alpha = None if mattes is None else mattes.read(index)
            crew.put(frame, read_mask(paths[index]), alpha)


def segment_stream(segmenter, frames, first_mask, folder, palette=None):
    """Segments frames as they come and writes FOLDER/00000.png, 00001.png ...

    For what cannot be read twice, such as a camera; a stream does not
    resume. Ctrl-C ends it, and all masks are whole files.

    Args:
        segmenter: `VideoSegmenter`.
        frames: iterable of (H, W, 3) uint8 RGB; gone through here, not ahead,
            so that a camera's frames are as fresh as they can be.
        first_mask: (H, W) uint8 ids of the first frame.
        folder: where the masks go; must not hold any.
        palette: 768 ints, by default DAVIS'.

    Yields:
        (H, W) uint8 ids, one map per frame.

    Raises:
        InputError: `folder` holds masks; as `VideoSegmenter.segment`; a mask
            cannot be written.
    """
    folder = pathlib.Path(folder)
    if any(folder.glob("*.png")):
        raise InputError(
            f"{folder} holds masks, and a stream cannot resume from them; name "
            "another place."
        )
    with hold(folder), threads.AsyncWriter() as writer:
        for index, ids in enumerate(segmenter.segment(frames, first_mask)):
            writer.put(write_mask, folder / f"{index:05d}.png", ids, palette)
            yield ids


def mask_files(clip, folder):
    """The mask file of each frame of `clip` in `folder`, in order."""
    return [pathlib.Path(folder) / f"{name}.png" for name in clip.frame_names]


def count_done(paths):
    """How many of `paths` exist before the first that does not."""
    return next((k for k, path in enumerate(paths) if not path.exists()), len(paths))


def _identity(clip, later_masks):
    """What tells this clip from another, but for its frames' contents."""
    digest = hashlib.sha256(json.dumps(clip.frame_names).encode())
    given = sorted(clip.mask_paths) if later_masks else [clip.first]
    for index in given:
        digest.update(np.ascontiguousarray(clip.mask(index)))
    if clip.corrected:
        digest.update(json.dumps(sorted(clip.dropped.items())).encode())
    if clip.listed:
        shown = {i: sorted(frames) for i, frames in sorted(clip.listed.items())}
        digest.update(json.dumps(shown).encode())
    return {
        "name": clip.name,
        "frames": len(clip),
        "size": clip.size,
        "masks_of_frames": given,
        "sha256": digest.hexdigest(),
    }


def _refuse_other_frames(clip, run, stored, digests, done):
    """Refuses masks of frames that were replaced since.

    Frames without a mask may have changed: a damaged one was replaced.
    """
    before = stored.get("frames_sha256", "").split()
    before = before * len(digests) if len(before) == 1 else before
    pairs = zip(before, digests[: max(done, 1)])
    changed = next((k for k, (there, now) in enumerate(pairs) if there != now), None)
    if changed is not None or len(before) < done:
        raise InputError(
            f"{run.folder} holds masks of other frames: frame "
            f"{clip.frame_names[changed or 0]} of {clip.name} has been replaced since "
            "they were made; give --overwrite to make them anew or name another place."
        )


class _Maker:
    """Goes through a clip and writes masks, and mattes where they are wanted.

    Args:
        segmenter, clip, later_masks, mattes: of `segment_clip`.
        paths: the masks' files.
        done: how many frames need nothing written.
    """

    def __init__(self, segmenter, clip, paths, later_masks, mattes, done):
        self.segmenter, self.clip, self.paths = segmenter, clip, paths
        self.later_masks, self.mattes, self.done = later_masks, mattes, done

    def write_all(self, crew):
        """Fields of `Outcome` but the folder; `crew` sees every frame."""
        clip, palette, objects = self.clip, self.clip.palette(), set()
        seconds = collections.deque(maxlen=TIMED)
        try:
            with (
                contextlib.closing(threads.prefetch(clip.frames())) as frames,
                threads.AsyncWriter() as writer,
                tqdm(total=len(self.paths), desc=clip.name, unit="frame") as progress,
            ):
                before = time.perf_counter()
                for index, frame in enumerate(frames):
                    started = time.perf_counter()
                    ids, alpha = self._next(index, frame)
                    stepped = time.perf_counter()
                    objects.update(self.segmenter.objects)
                    if index >= self.done:
                        # The matte first: a frame with a mask has one.
                        if alpha is not None:
                            writer.put(self.mattes.write, index, alpha)
                        writer.put(write_mask, self.paths[index], ids, palette)
                    crew.put(frame, ids, alpha)
                    now = time.perf_counter()
                    if index >= max(self.done, clip.first + 1) + WARM_UP:
                        seconds.append((now - before, stepped - started))
                    before = now
                    progress.update()
        except InputError as error:
            raise InputError(
                f"{str(error).rstrip('.')}; the {count_done(self.paths)} masks before "
                f"it are kept in {self.paths[0].parent}."
            ) from None
        medians = np.median(seconds, axis=0).tolist() if seconds else (None, None)
        return {
            "frames": len(self.paths),
            "computed": len(self.paths) - self.done,
            "objects": sorted(objects),
            "seconds": medians[0],
            "network_seconds": medians[1],
        }

    def _next(self, index, frame):
        """`(ids, matte or None)` of the next frame."""
        wanted = self.later_masks or index == self.clip.first
        mask, soft = self.clip.mask(index) if wanted else None, None
        new = None if self.clip.corrected else mask
        if index == 0:
            ids = self.segmenter.start(frame, mask)
        elif index < self.done:
            ids = read_mask(self.paths[index])
            self.segmenter.replay(frame, ids, new)
        elif self.mattes is None and not self.clip.listed:
            ids = self.segmenter.step(frame, new)
        else:
            ids, soft = self.segmenter.step(frame, new, probabilities=True)
            if self.clip.listed:
                ids = self._of_listed(index, soft)
        if self.clip.corrected and index > 0:
            dropped = self.clip.dropped.get(index, ())
            ids = edits.apply(self.segmenter, frame, mask, dropped)
        if self.mattes is None:
            return ids, None
        if index < self.done:
            return ids, self.mattes.read(index)
        return ids, self.mattes.make(frame, ids, soft)

    def _of_listed(self, index, soft):
        """(H, W) uint8, merged from the objects that the clip lists for this frame.

        As the release merges YouTube-VOS (`ytvos_merge_result.py`), but that pixels
        given in an object's first frame win over a probability of exactly 1 too.
        """
        objects = self.segmenter.objects
        rows = [
            k for k, i in enumerate(objects) if index in self.clip.listed.get(i, ())
        ]
        values = np.array((0, *(objects[k] for k in rows)), np.uint8)
        if not rows:
            return np.zeros(soft.shape[1:], np.uint8)
        return values[np.asarray(MERGES[self.segmenter.merge](soft[rows]))]
