"""Videos for editing programs: mattes, and the objects without background."""

import cv2
import numpy as np

from osmn_recurrent import masks
from osmn_recurrent.inference.followers import Follower
from osmn_recurrent.media.video_writing import VideoWriter

BORDER = 8
"""Pixels around objects that keep their colours: codecs blend neighbouring ones."""


def alpha_of(ids):
    """(H, W) uint8 opacity of an id map: 255 where there is an object, else 0."""
    return np.where((ids > 0) & (ids != masks.VOID), np.uint8(255), np.uint8(0))


def keyed(frame, alpha):
    """A frame with its opacity, as editing programs call straight alpha.

    Args:
        frame: (H, W, 3) uint8 RGB.
        alpha: (H, W) uint8.

    Returns:
        (H, W, 4) uint8 RGBA. Colours are the frame's (not multiplied by alpha) up to
        `BORDER` pixels outside of the objects, and 0 beyond.
    """
    side = 2 * BORDER + 1
    near = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((side, side), np.uint8))
    return cv2.merge([*cv2.split(cv2.bitwise_and(frame, frame, mask=near)), alpha])


class MatteVideo(Follower):
    """Writes a video of the opacity: objects white on black, see `Follower`.

    Args:
        path: the file, with the ending of the kind.
        size: `(height, width)` of the frames.
        kind: of `video_writing.KINDS`.
        **timing: see `VideoWriter`.
    """

    def __init__(self, path, size, kind="h264", **timing):
        super().__init__(path)
        self._writer = VideoWriter(self.path, size, kind, **timing)

    def __enter__(self):
        self._writer.__enter__()
        return self

    def write(self, frame, ids, alpha=None):
        """Adds a frame, see `Follower.write`."""
        self._writer.write(
            self.picture(frame, alpha_of(ids) if alpha is None else alpha)
        )

    def picture(self, frame, alpha):
        """(H, W) or (H, W, C) uint8, what is shown of a frame."""
        return alpha

    def __exit__(self, *error):
        return self._writer.__exit__(*error)


class KeyedVideo(MatteVideo):
    """Writes a video of `keyed` frames; arguments as of `MatteVideo`."""

    def picture(self, frame, alpha):
        """(H, W, 4) uint8 RGBA."""
        return keyed(frame, alpha)
