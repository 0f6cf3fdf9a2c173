"""Frames of a clip in any order, and small pictures of them, in bounded memory."""

import collections
import threading

import cv2

from osmn_recurrent.errors import InputError

LONGEST = 960
"""Longer side of a preview in pixels."""

KEPT = 64
"""Previews that are kept; those of DVD size are 60 KB each."""

AHEAD = 48
"""Frames that are decoded on the way rather than by starting again."""

BEFORE = 24
"""Frames before a wanted one whose previews are made too, for going back."""


def preview_size(size):
    """(height, width) of the previews of frames of this size."""
    scale = min(1.0, LONGEST / max(size))
    return tuple(max(1, round(length * scale)) for length in size)


def encode(frame):
    """A frame's preview: bytes of a JPEG.

    Args:
        frame: (H, W, 3) uint8 RGB.
    """
    height, width = preview_size(frame.shape[:2])
    if (height, width) != frame.shape[:2]:
        frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


class Frames:
    """Reads a clip here and there; used by several threads.

    Args:
        clip: `Clip`.
    """

    def __init__(self, clip):
        self._clip, self._lock = clip, threading.Lock()
        self._previews, self._kept = collections.OrderedDict(), threading.Lock()
        self._iterator, self._next, self._last = None, 0, (None, None)

    def __len__(self):
        return len(self._clip)

    def preview(self, index):
        """Bytes of the JPEG of a frame, see `encode`."""
        with self._kept:
            if index in self._previews:
                self._previews.move_to_end(index)
                return self._previews[index]
        frame = self.frame(index)
        return self.keep(index, frame)

    def keep(self, index, frame):
        """Makes and keeps the preview of a frame that is at hand."""
        picture = encode(frame)
        with self._kept:
            self._previews[index] = picture
            self._previews.move_to_end(index)
            while len(self._previews) > KEPT:
                self._previews.popitem(last=False)
        return picture

    def frame(self, index):
        """Frame `index`, (H, W, 3) uint8 RGB.

        Raises:
            InputError: there is no such frame, or it cannot be read.
        """
        if not 0 <= index < len(self._clip):
            raise InputError(f"there is no frame {index}, only 0 to {len(self) - 1}.")
        with self._lock:
            if self._last[0] == index:
                return self._last[1]
            if self._clip.frame_paths:
                frame = self._clip.frame(index)
            else:
                frame = self._decoded(index)
            self._last = (index, frame)
            return frame

    def close(self):
        """Lets go of the video file."""
        with self._lock:
            self._end()

    def _end(self):
        if self._iterator is not None:
            self._iterator.close()
        self._iterator = None

    def _decoded(self, index):
        if self._iterator is None or not self._next <= index < self._next + AHEAD:
            self._end()
            self._next = max(0, index - BEFORE)
            self._iterator = self._clip.frames(self._next)
        try:
            while self._next < index:
                self.keep(self._next, next(self._iterator))
                self._next += 1
            frame = next(self._iterator)
        except BaseException:
            self._end()
            raise
        self._next += 1
        return frame
