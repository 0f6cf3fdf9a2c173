"""A camera or a stream: one of its frames is frozen, and all from it on are kept."""

import contextlib
import itertools
import pathlib
import threading

import cv2

from osmn_recurrent import files
from osmn_recurrent.errors import InputError
from osmn_recurrent.studio.frames import encode

QUALITY = 95
"""JPEG quality of the frames that are kept."""


class Live:
    """Reads frames in a thread until it is closed or they end.

    Args:
        frames: generator of (H, W, 3) uint8 RGB.
        folder: where frames are kept, as 000000.jpg and so on; must not exist.

    Attributes:
        count: number of frames that are kept.

    Raises:
        InputError: the source gives no frame.
    """

    def __init__(self, frames, folder):
        self.folder, self.count, self._error = pathlib.Path(folder), 0, None
        self._frames, self._end = frames, threading.Event()
        self._lock, self._keeping = threading.Lock(), False
        self._latest = next(frames, None)  # a source that is none is told at once
        if self._latest is None:
            raise InputError("the camera or stream gives no frame; check it.")
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()

    def _run(self):
        try:
            with contextlib.closing(self._frames):
                for frame in itertools.takewhile(self._wanted, self._frames):
                    with self._lock:
                        if self._keeping:
                            self._keep(frame)
                        else:
                            self._latest = frame
        except InputError as error:
            self._error = str(error)

    def _wanted(self, frame):
        return not self._end.is_set()

    def _keep(self, frame):
        path = self.folder / f"{self.count:06d}.jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        with files.replace_when_done(path) as temporary:
            temporary.write_bytes(cv2.imencode(".jpg", bgr, quality)[1].tobytes())
        self.count += 1

    def freeze(self):
        """Keeps the frame that is shown as the first one, and all that follow."""
        with self._lock:
            if not self._keeping:
                self._keeping = True
                self._keep(self._latest)

    def preview(self):
        """Bytes of the JPEG of the last frame, or of the frozen one."""
        with self._lock:
            return encode(self._latest)

    def state(self):
        """JSON values: frozen, count (of the kept frames), ended and error."""
        return {
            "frozen": self._keeping,
            "count": self.count,
            "ended": not self._thread.is_alive(),
            "error": self._error,
        }

    def close(self):
        """Ends reading; a camera is let go at its next frame."""
        self._end.set()
        self._thread.join()
