"""What one server holds: an open project, and which page may change it."""

import contextlib
import pathlib
import re
import threading
import time
import warnings

from osmn_recurrent import files, run_folder
from osmn_recurrent.datasets import projects
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.studio.live import Live
from osmn_recurrent.studio.session import Session

AWAY = 20.0
"""Seconds without a sign of life after which a writer counts as gone."""

RELOADED = 4.0
"""Seconds that a page which is loaded again has before others may write."""

READ_ONLY = (
    "this project is changed in another tab or window; take it over here to change it."
)


class Studio:
    """What one server holds: a session, or none yet, and who may write.

    Args:
        make_segmenter: of `Session`.
        projects_folder: where projects of uploaded videos go.
    """

    def __init__(self, make_segmenter, projects_folder):
        self._make, self.folder = make_segmenter, pathlib.Path(projects_folder)
        self.session, self.live, self.notes = None, None, []
        self._writer, self._seen, self._lock = None, 0.0, threading.Lock()
        self._held = contextlib.ExitStack()

    def open(self, video=None, folder=None):
        """Opens a project, or begins one of a video.

        Args:
            video: file or folder, or None with a project.
            folder: of the project. One that is there goes on if it is of this video.

        Raises:
            InputError: the video or the project cannot be used, or it is open in
                another program.
        """
        folder = pathlib.Path(folder)
        held = contextlib.ExitStack()
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", InputNote)
                if projects.is_project(folder):
                    held.enter_context(run_folder.hold(folder))
                    project = projects.Project.open(folder)
                    _refuse_other_video(project, video)
                elif video is None:
                    raise InputError(f"{folder} is no project of osmn studio.")
                else:
                    files.check_output(folder, folder=True)
                    held.enter_context(run_folder.hold(folder))
                    project = projects.Project.create(folder, video)
            session = Session(project, self._make)
        except BaseException:
            held.close()
            raise
        self.close()
        self._held, self.session = held, session
        self.notes = [str(each.message) for each in said if _is_note(each)]

    def watch(self, frames, name, folder=None):
        """Shows a camera or a stream, until `stop_watching`.

        Args:
            frames: generator of (H, W, 3) uint8 RGB.
            name: of the source.
            folder: of the project to come, which must not exist; None: a new one
                called `name`.

        Raises:
            InputError: no frame comes, or the folder exists.
        """
        folder = self._new_folder(name) if folder is None else pathlib.Path(folder)
        if folder.exists():
            raise InputError(
                f"{folder} exists; frames of a camera or stream need a new folder, "
                "name another place with --project."
            )
        files.check_output(folder, folder=True)
        self.live = Live(frames, folder / "frames")

    def freeze(self):
        """Freezes the frame that is shown; it and all that follow are kept."""
        self._watched().freeze()

    def stop_watching(self):
        """Ends reading, and begins a project of the frames that were kept.

        Raises:
            InputError: none was kept.
        """
        live = self._watched()
        if not live.count:
            raise InputError("no frame is kept yet; freeze the first one to paint on.")
        live.close()
        self.open(live.folder, live.folder.parent)
        self.live = None

    def _watched(self):
        if self.live is None:
            raise InputError("no camera or stream is shown; reload the page.")
        return self.live

    def close(self):
        """Closes what is open."""
        if self.live is not None:
            self.live.close()
        if self.session is not None:
            self.session.close()
        self.session = None
        self._held.close()

    # Who may write.

    def take(self, page):
        """Makes a page the writer, whichever was.

        Raises:
            InputError: it has no name.
        """
        if not page:
            raise InputError(READ_ONLY)
        with self._lock:
            self._writer, self._seen = page, time.monotonic()

    def join(self, page):
        """A page makes itself known; gives whether it is the writer."""
        with self._lock:
            away = time.monotonic() - self._seen > AWAY
            if self._writer in (None, page) or away:
                self._writer, self._seen = page, time.monotonic()
            return self._writer == page

    def leave(self, page):
        """A page is closed, or loaded again: others may write after a moment."""
        with self._lock:
            if self._writer == page:
                self._seen = time.monotonic() - AWAY + RELOADED

    def check_writer(self, page):
        """Raises `InputError` if a page may not change anything."""
        if not page or not self.join(page):
            raise InputError(READ_ONLY)

    def state(self, page):
        """JSON values: what `page` shows."""
        state = {"writer": bool(page) and self.join(page), "notes": self.notes}
        if self.session is None:
            live = None if self.live is None else self.live.state()
            return {**state, "name": None, "live": live}
        return {**state, **self.session.state()}

    def _new_folder(self, name):
        folder, count = self.folder / name, 1
        while folder.exists():
            count += 1
            folder = self.folder / f"{name}-{count}"
        return folder

    def upload(self, name, path):
        """Begins a project of a video that was uploaded to the file `path`."""
        stem = re.sub(r"[^\w.-]+", "_", pathlib.Path(name).stem).strip(".") or "video"
        folder = self._new_folder(stem)
        suffix = re.sub(r"[^\w.]", "", pathlib.Path(name).suffix)
        video = folder / f"{stem}{suffix}"
        made = []
        files.make_folders(folder, made)
        try:
            pathlib.Path(path).rename(video)
            self.open(video, folder)
        except BaseException as error:
            video.unlink(missing_ok=True)
            files.remove_empty(made)
            if isinstance(error, InputError):
                raise InputError(str(error).replace(str(video), name)) from None
            raise


def _is_note(warning):
    return issubclass(warning.category, InputNote)


def _refuse_other_video(project, video):
    if video is not None and project.video.resolve() != pathlib.Path(video).resolve():
        raise InputError(
            f"{project.folder} is a project of {project.video}, not of {video}; name "
            "another place with --project."
        )
