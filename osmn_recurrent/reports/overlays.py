"""Masks drawn over frames: pictures, videos and contact sheets."""

import contextlib
import os
import pathlib

import cv2
import numpy as np

from osmn_recurrent import files, masks
from osmn_recurrent.errors import InputError

CODECS = {".webm": ("VP80", "VP90"), ".mp4": ("avc1", "mp4v"), ".avi": ("MJPG",)}
"""Codecs by file ending, tried in this order. Browsers play VP8 in WebM, which
the OpenCV wheels can write; most wheels lack H.264 (avc1), and MPEG-4 (mp4v)
plays in video players only."""

LABEL_WIDTH, MARGIN = 170, 4
"""Pixels of a contact sheet: the column of labels, and between pictures."""


def overlay(frame_rgb, ids, palette=None, opacity=0.5):
    """Objects in their palette's colours over a frame, with outlines.

    Args:
        frame_rgb: (H, W, 3) uint8 RGB.
        ids: (H, W) uint8 object ids; 0 and 255 (void) stay as they are.
        palette: 768 ints, by default `masks.davis_palette()`.
        opacity: share of the object's colour, 0 to 1.

    Returns:
        (H, W, 3) uint8 RGB. Inside an object, (1 - opacity) * frame +
        opacity * colour; on its outline (inner border, one pixel) white.
    """
    colours = np.array(palette or masks.davis_palette(), np.uint8).reshape(256, 3)
    result = frame_rgb.copy()
    chosen = (ids > 0) & (ids != masks.VOID)
    if not chosen.any():
        return result
    blend = cv2.addWeighted(frame_rgb, 1.0 - opacity, colours[ids], opacity, 0.0)
    result[chosen] = blend[chosen]
    # An object's pixel whose 3x3 neighbourhood holds another id.
    kernel = np.ones((3, 3), np.uint8)
    differs = cv2.erode(ids, kernel) != cv2.dilate(ids, kernel)
    result[differs & chosen] = 255
    return result


class OverlayVideoWriter:
    """Writes overlays as a video; a context manager.

    The file appears under its name when the block ends without an error.

    Args:
        path: `.webm` (plays in browsers), `.mp4` or `.avi`.
        fps: frames per second.
        size: `(height, width)` of the frames.
        opacity: see `overlay`.
        palette: see `overlay`.

    Raises:
        InputError: another ending, or OpenCV can write none of its codecs.
    """

    def __init__(self, path, fps, size, opacity=0.5, palette=None):
        self.path = pathlib.Path(path)
        if self.path.suffix not in CODECS:
            raise InputError(
                f"{path} has the ending {self.path.suffix!r}, expected one of "
                f"{', '.join(CODECS)}; choose one of these."
            )
        self.fps, self.size = fps, size
        self.opacity, self.palette = opacity, palette

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        self._temporary = self._stack.enter_context(files.replace_when_done(self.path))
        height, width = self.size
        for codec in CODECS[self.path.suffix]:
            fourcc = cv2.VideoWriter_fourcc(*codec)
            with _quiet():  # FFmpeg remarks on every tag that it translates
                self._writer = cv2.VideoWriter(
                    str(self._temporary), fourcc, self.fps, (width, height)
                )
            if self._writer.isOpened():
                return self
        error = InputError(
            f"{self.path} cannot be written: this OpenCV has none of the codecs "
            f"{', '.join(CODECS[self.path.suffix])}; install the opencv-python "
            "package from PyPI or choose another ending."
        )
        self._stack.__exit__(InputError, error, None)
        raise error

    def write(self, frame_rgb, ids):
        """Adds a frame: (H, W, 3) uint8 RGB with (H, W) uint8 ids."""
        picture = overlay(frame_rgb, ids, self.palette, self.opacity)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def __exit__(self, *error):
        self._writer.release()
        return self._stack.__exit__(*error)


@contextlib.contextmanager
def _quiet():
    """Silences what native code prints to stderr."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Lazy:
    """A sequence whose entries are made when they are asked for.

    Args:
        count: its length.
        make: function of an index.
    """

    def __init__(self, count, make):
        self.count, self.make = count, make

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return self.make(int(index))


def contact_sheet(path, rows, columns=6, width=214):
    """A picture of results: a row per clip and method, frames left to right.

    Args:
        path: the PNG file.
        rows: list of `(label, frames, masks)`: str of one or more lines,
            sequences of (H, W, 3) uint8 RGB and (H, W) uint8 ids; evenly
            spaced frames of each are shown.
        columns: number of frames shown.
        width: width of each picture in pixels.
    """
    lines = []
    for label, frames, ids in rows:
        shown = np.unique(np.linspace(0, len(frames) - 1, columns).round().astype(int))
        pictures = [_scaled(overlay(frames[t], ids[t]), width) for t in shown]
        lines.append(_row(label, [str(t) for t in shown], pictures))
    longest = max(line.shape[1] for line in lines)
    lines = [
        cv2.copyMakeBorder(
            line,
            0,
            MARGIN,
            0,
            longest - line.shape[1],
            cv2.BORDER_CONSTANT,
            value=(255, 255, 255),
        )
        for line in lines
    ]
    sheet = cv2.cvtColor(np.concatenate(lines), cv2.COLOR_RGB2BGR)
    with files.replace_when_done(path) as temporary:
        if not cv2.imwrite(str(temporary), sheet):
            raise InputError(f"{path} cannot be written as a picture; use .png.")


def _scaled(picture, width):
    height = round(picture.shape[0] * width / picture.shape[1])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _row(label, numbers, pictures):
    height = pictures[0].shape[0]
    line = np.full((height, LABEL_WIDTH, 3), 255, np.uint8)
    for k, text in enumerate(label.split("\n")):
        _write(line, text, (8, 20 + 18 * k), (0, 0, 0))
    parts = [line]
    for number, picture in zip(numbers, pictures, strict=True):
        _write(picture, number, (6, 16), (255, 255, 255))
        parts += [np.full((height, MARGIN, 3), 255, np.uint8), picture]
    return np.concatenate(parts, axis=1)


def _write(picture, text, place, colour):
    cv2.putText(
        picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA
    )
