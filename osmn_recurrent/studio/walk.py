"""A segmenter's way through a project's video, and back to earlier frames."""

import contextlib
import copy

import numpy as np

from osmn_recurrent.inference import edits, threads

MOST_BRANCHES = 12
MOST_BYTES = 256_000_000
"""What segmenters hold that are kept for going back, at most."""


class Walk:
    """Makes the masks of a project, from its first frame without a valid one on.

    Segmenters at a few frames are kept, so that going on behind a correction does
    not begin at frame 0. What is kept is bounded, whatever the clip's length.

    Args:
        project: `Project`.
        segmenter: `VideoSegmenter` for all its objects.
    """

    def __init__(self, project, segmenter):
        self._project, self._segmenter = project, segmenter
        self._branches = {}  # frame: segmenter after its step, before its edit

    def forget(self, index):
        """Of a frame something else was said: later segmenters are of no use."""
        self._branches = {k: v for k, v in self._branches.items() if k <= index}

    def run(self, seen):
        """Makes masks until the clip ends or `seen` says stop.

        Args:
            seen: function of frame number, frame (H, W, 3) uint8 RGB and two (H, W)
                uint8 maps, the prediction and the mask, or None twice for a frame on
                the way that is known. It stores them, and gives False to stop.
        """
        project = self._project
        if not project.done:
            self._branches = {}
        start = max((k for k in self._branches if k < project.done), default=0)
        # A copy goes on without the other; what both hold is never changed in place.
        segmenter = copy.copy(self._branches[start] if start else self._segmenter)
        with contextlib.closing(threads.prefetch(project.clip.frames(start))) as frames:
            for index, frame in enumerate(frames, start):
                known = index < project.done
                painted = project.read("painted", index)
                predicted = None
                if index == 0:
                    predicted = np.zeros(frame.shape[:2], np.uint8)
                    ids = segmenter.start(frame, painted)
                else:
                    if index > start:  # or the branch made the step
                        predicted = self._step(segmenter, index, frame, known)
                        self._keep(index, segmenter)
                    dropped = project.dropped(index)
                    ids = edits.apply(segmenter, frame, painted, dropped)
                if not seen(
                    index, frame, *((None, None) if known else (predicted, ids))
                ):
                    return

    def _step(self, segmenter, index, frame, known):
        if not known:
            return segmenter.step(frame)
        # The state is as behind the true step; edits are applied to it afterwards.
        segmenter.replay(frame, self._project.base(index))
        return None

    def _keep(self, index, segmenter):
        """Keeps a branch; of too many the one that is closest to its neighbours."""
        if carried_bytes(segmenter) > MOST_BYTES // 2:
            return
        self._branches[index] = copy.copy(segmenter)
        places = sorted(self._branches)
        held = sum(map(carried_bytes, self._branches.values()))
        if len(places) > MOST_BRANCHES or held > MOST_BYTES:
            gaps = zip(places, [0, *places], places[1:])
            del self._branches[min(gaps, key=lambda gap: gap[2] - gap[1])[0]]


def carried_bytes(segmenter):
    """Bytes of the tensors and arrays that a segmenter carries along a video."""
    return _bytes(list(vars(segmenter).values()))


def _bytes(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return sum(map(_bytes, value))
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return 0
    # TensorFlow's types say `size`, NumPy's `itemsize`.
    each = getattr(value.dtype, "size", None) or value.dtype.itemsize
    return int(np.prod(value.shape)) * each
