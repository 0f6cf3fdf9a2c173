"""Masks drawn over frames: pictures, videos and contact sheets."""

import cv2
import numpy as np

from osmn_recurrent import files, masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.followers import Follower
from osmn_recurrent.media.video_writing import VideoWriter

COLUMNS = 6
"""Frames of a clip on a contact sheet."""

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
    # OpenCV's look-up and masked copy take a tenth of the time of NumPy's.
    painted = cv2.applyColorMap(np.ascontiguousarray(ids), colours[:, None])
    blend = cv2.addWeighted(frame_rgb, 1.0 - opacity, painted, opacity, 0.0)
    cv2.copyTo(blend, chosen.astype(np.uint8), result)
    # An object's pixel whose 3x3 neighbourhood holds another id.
    kernel = np.ones((3, 3), np.uint8)
    differs = cv2.erode(ids, kernel) != cv2.dilate(ids, kernel)
    outline = (differs & chosen).astype(np.uint8)
    return cv2.copyTo(np.full_like(result, 255), outline, result)


VIDEO_KINDS = {".mp4": "h264", ".webm": "vp9", ".gif": "gif"}
"""Kinds of overlay videos by their ending; all play in browsers, and H.264 in MP4 in
office programs and on telephones too."""


class OverlayVideo(Follower):
    """Writes overlays as a video, see `Follower`.

    Args:
        path: `.mp4`, `.webm` or `.gif`.
        size: `(height, width)` of the frames.
        opacity: see `overlay`.
        palette: see `overlay`.
        **timing: `fps`, or `times` and `end`, `aspect` and `sound_of`, see
            `VideoWriter`.

    Raises:
        InputError: another ending, or see `VideoWriter`.
    """

    def __init__(self, path, size, opacity=0.5, palette=None, **timing):
        super().__init__(path)
        if self.path.suffix not in VIDEO_KINDS:
            raise InputError(
                f"{path} has the ending {self.path.suffix!r}, expected one of "
                f"{', '.join(VIDEO_KINDS)}; choose one of these."
            )
        self._writer = VideoWriter(
            self.path, size, VIDEO_KINDS[self.path.suffix], **timing
        )
        self._opacity, self._palette = opacity, palette

    def __enter__(self):
        self._writer.__enter__()
        return self

    def write(self, frame, ids, alpha=None):
        """Adds a frame: (H, W, 3) uint8 RGB with (H, W) uint8 ids."""
        self._writer.write(overlay(frame, ids, self._palette, self._opacity))

    def __exit__(self, *error):
        return self._writer.__exit__(*error)


class ContactSheet(Follower):
    """Writes a `contact_sheet` of one clip, see `Follower`.

    Args:
        path: the PNG file.
        name: of the clip.
        count: number of its frames.
    """

    def __init__(self, path, name, count):
        super().__init__(path)
        self._name, self._count, self._next = name, count, 0
        self._shown, self._kept = set(_shown(count, COLUMNS)), {}

    def write(self, frame, ids, alpha=None):
        """Keeps the frame if it is shown."""
        if self._next in self._shown:
            self._kept[self._next] = frame, ids
        self._next += 1

    def __exit__(self, kind, *rest):
        if kind is None:
            frames, ids = (
                Lazy(self._count, lambda index, part=part: self._kept[index][part])
                for part in (0, 1)
            )
            contact_sheet(self.path, [(self._name, frames, ids)])


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


def _shown(count, columns):
    """Indices of frames that a contact sheet shows, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, columns).round().astype(int))


def contact_sheet(path, rows, columns=COLUMNS, width=214):
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
        shown = _shown(len(frames), columns)
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
