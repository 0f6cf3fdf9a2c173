"""A project that is worked on: edits with undo, propagation, tuning, export."""

import collections
import contextlib
import functools
import secrets
import threading
import zlib

import numpy as np

from osmn_recurrent.datasets.projects import TUNED
from osmn_recurrent.errors import InputError
from osmn_recurrent.studio import exporting, tools
from osmn_recurrent.studio.frames import Frames, preview_size
from osmn_recurrent.studio.jobs import Job
from osmn_recurrent.studio.walk import Walk

MOST_UNDONE = 100
"""Edits that can be taken back."""

LOADING = "loading the network"
NOTHING_PAINTED = "nothing is painted yet; paint the objects in a frame first."


class Session:
    """One project and one network; its methods may be called by any thread.

    Args:
        project: `Project`.
        make_segmenter: function without arguments that gives the `VideoSegmenter`;
            called in a thread at once, since TensorFlow takes seconds to load.

    Attributes:
        project: see there.
        frames: `Frames` of its clip.
        version: counts up with every change of a mask.
        key: str, of this session alone; browsers keep its pictures by it.
    """

    def __init__(self, project, make_segmenter):
        self.project, self.frames, self.version = project, Frames(project.clip), 0
        self.key = secrets.token_hex(4)
        self._lock, self._job, self._walk = threading.RLock(), None, None
        self._undo = collections.deque(maxlen=MOST_UNDONE)
        self._redo, self._warnings, self._recent, self._tuned = [], [], None, None
        self._loaded, self._failed = threading.Event(), None
        self._make = make_segmenter
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def _load(self):
        try:
            self._segmenter = self._make()
        except Exception as error:
            self._failed = str(error)
        self._loaded.set()

    @property
    def segmenter(self):
        """The segmenter of the untuned network, once it is loaded.

        Raises:
            InputError: it could not be loaded.
        """
        self._loaded.wait()
        if self._failed:
            raise InputError(f"the network cannot be loaded: {self._failed}")
        return self._segmenter

    # What a person says of a frame.

    def said(self, index):
        """`(Said, base)` of a frame."""
        painted = self.project.read("painted", index)
        if painted is None:
            painted = np.zeros(self.project.clip.size, np.uint8)
        dropped = frozenset(self.project.dropped(index))
        return tools.Said(painted, dropped), self.project.base(index)

    def paint(self, index, region, object_id):
        """Gives an object the pixels of a region, (H, W) bool, see `tools.paint`."""
        self._change(
            index, lambda said, base: tools.paint(said, base, region, object_id)
        )

    def erase(self, index, region, object_id=None):
        """Makes a region background, see `tools.erase`."""
        self._change(
            index, lambda said, base: tools.erase(said, base, region, object_id)
        )

    def drop(self, index, object_id):
        """Follows an object no longer from a frame on."""
        self._change(index, lambda said, base: tools.drop(said, object_id))

    def clear(self, index):
        """Takes back all that was said of a frame."""
        empty = np.zeros(self.project.clip.size, np.uint8)
        self._change(index, lambda said, base: tools.Said(empty))

    def undo(self):
        """Takes back the last edit; gives its frame, or None."""
        return self._take_back(self._undo, self._redo)

    def redo(self):
        """Makes an edit again that was taken back; gives its frame, or None."""
        return self._take_back(self._redo, self._undo)

    def _take_back(self, source, other):
        with self._at_rest():
            if not source:
                return None
            index, said = source.pop()
            other.append((index, _packed(self.said(index)[0])))
            self._store(index, _unpacked(said))
            return index

    def _change(self, index, function):
        with self._at_rest():
            said, base = self.said(index)
            changed = function(said, base)
            if np.array_equal(changed.painted, said.painted) and (
                changed.dropped == said.dropped
            ):
                return
            self._undo.append((index, _packed(said)))
            self._redo.clear()
            self._store(index, changed)

    def _store(self, index, said):
        self.project.edit(index, said.painted, said.dropped)
        if self._walk is not None:
            self._walk.forget(index)
        self._recent = said.painted
        self.version += 1

    def _small_objects(self):
        """Sentences on objects of the last edit that the network hardly sees."""
        if self._recent is None or not self._loaded.is_set() or self._failed:
            return self._warnings
        from osmn_recurrent import guides

        painted, self._recent, self._warnings = self._recent, None, []
        size = guides.network_size(self._segmenter.working_size, *painted.shape)
        for object_id, area in tools.too_small(painted, size).items():
            self._warnings.append(
                f"Object {object_id} covers {area} pixels of the {size[1]}x{size[0]} "
                "that the network sees; objects that small are usually lost. Crop the "
                "video around it, or be ready to correct it often."
            )
        return self._warnings

    # Long work.

    def _settle(self):
        """Before an edit: propagation stops, other work must be stopped by hand."""
        job = self._job
        if job is None or not job.is_running():
            return
        if job.kind != "propagate":
            raise InputError(
                f"{job.kind} is running; stop it, or wait for its end, before you "
                "change a mask."
            )
        job.stop()

    @contextlib.contextmanager
    def _at_rest(self):
        """Holds the lock while nothing is running."""
        while True:
            self._settle()
            self._lock.acquire()
            # A job may have begun in between; it needs the lock to end.
            if self._job is None or not self._job.is_running():
                break
            self._lock.release()
        try:
            yield
        finally:
            self._lock.release()

    def _begin(self, kind, work):
        with self._lock:
            if self._job is not None and self._job.is_running():
                raise InputError(f"{self._job.kind} is running already; stop it first.")
            self._job = Job(kind, work).start()

    def stop(self):
        """Stops what is running; what is done is kept."""
        if self._job is not None:
            self._job.ask_to_stop()

    def wait(self):
        """Waits for the end of what is running.

        Raises:
            InputError: what it failed with.
        """
        if self._job is not None:
            self._job.wait()
            if self._job.error:
                raise InputError(self._job.error)

    def propagate(self):
        """Begins to make all masks that are not valid."""
        if not self.project.painted_frames():
            raise InputError(NOTHING_PAINTED)
        self._begin("propagate", self._propagate)

    def _propagate(self, job):
        objects = self.project.objects()
        while not self._loaded.wait(0.05):
            if not job.step(self.project.done, len(self.frames), LOADING):
                return
        if self._walk is None or self._tuned not in (None, objects):
            own = self._tuned_segmenter()
            self._tuned = None if own is None else objects
            self._walk = Walk(self.project, own or self.segmenter)
        job.step(self.project.done, len(self.frames))

        def seen(index, frame, predicted, ids):
            self.frames.keep(index, frame)
            if ids is not None:
                with self._lock:
                    self.project.add_result(index, predicted, ids)
                    self.version += 1
            return job.step(max(index + 1, self.project.done), len(self.frames))

        self._walk.run(seen)

    def _tuned_segmenter(self):
        """The segmenter of networks of the objects' own, or None."""
        if not self._tuned_files():
            return None
        from osmn_recurrent.studio import finetuning

        return finetuning.tuned_segmenter(
            self.project, self.segmenter.model, self.segmenter.working_size
        )

    def _tuned_files(self):
        return sorted((self.project.folder / TUNED).glob("*.keras"))

    def finetune(self):
        """Begins to tune a network to each object."""
        if not self.project.objects():
            raise InputError(NOTHING_PAINTED)
        self._begin("finetune", self._finetune)

    def _finetune(self, job):
        from osmn_recurrent.studio import finetuning

        job.step(0, 1, LOADING)
        model, size = self.segmenter.model, self.segmenter.working_size
        networks = finetuning.tune(self.project, model, size, job.step)
        if networks:
            with self._lock:
                self._networks_changed()
                finetuning.save(self.project, model, networks)
            job.step(1, 1, "done; propagate again to use it")
        else:
            job.step(0, 1, "stopped; nothing of it is kept")

    def forget_tuning(self):
        """Removes tuned networks; the untuned one is used again."""
        with self._at_rest():
            self._networks_changed()
            for path in (self.project.folder / TUNED).glob("*"):
                path.unlink()

    def _networks_changed(self):
        """Masks of the networks until now are not valid; before others are stored."""
        first = min(self.project.painted_frames(), default=0)
        self._walk = None
        self.project.invalidate(first + 1)
        self.version += 1

    def export(self, kinds=exporting.DEFAULT):
        """Begins to write the valid masks to `export/`, see `exporting.KINDS`."""
        if not self.project.done:
            raise InputError("there are no masks yet; paint and propagate first.")
        exporting.check(kinds)
        self._begin("export", lambda job: exporting.export(self.project, kinds, job))

    def exports(self):
        """Files that were exported, by name: `{name: path}`."""
        folder = self.project.folder / "export"
        return {path.name: path for path in sorted(folder.glob("[!.]*"))}

    # What the page shows.

    def mask(self, index):
        """(H, W) uint8 ids of a frame as it stands."""
        with self._lock:
            return self.project.shown(index)

    def state(self):
        """JSON values of all that the page shows."""
        with self._lock:
            project, size = self.project, self.project.clip.size
            job = self._job.state() if self._job else None
            return {
                "name": project.clip.name,
                "key": self.key,
                "folder": str(project.folder),
                "frames": len(self.frames),
                "size": list(size),
                "preview": list(preview_size(size)),
                "done": project.done,
                "painted": project.painted_frames(),
                "objects": list(project.objects()),
                "version": self.version,
                "job": job,
                "warnings": self._small_objects(),
                "network": self._failed or ("" if self._loaded.is_set() else "loading"),
                "tuned": sorted(int(path.stem) for path in self._tuned_files()),
                "exports": list(self.exports()),
                "can_undo": bool(self._undo),
                "can_redo": bool(self._redo),
                "click": self.click_missing,
            }

    @functools.cached_property
    def click_missing(self):
        """Why the click tool is hidden, or None."""
        return tools.click_missing()

    def close(self):
        """Ends what is running and lets go of files."""
        self.stop()
        if self._job is not None:
            self._job.stop()
        self.frames.close()


def _packed(said):
    """A `Said` in little memory: most of a map is the same everywhere."""
    data = zlib.compress(said.painted.tobytes(), 1)
    return data, said.painted.shape, said.dropped


def _unpacked(packed):
    data, shape, dropped = packed
    painted = np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)
    return tools.Said(painted.copy(), dropped)
