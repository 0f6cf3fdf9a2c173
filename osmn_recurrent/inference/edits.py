"""What a person says of one frame, told to a segmenter."""

import numpy as np


def apply(segmenter, frame, painted=None, dropped=()):
    """Drops objects of the last frame and corrects its mask.

    Args:
        segmenter: `VideoSegmenter` that has gone to `frame`.
        frame: (H, W, 3) uint8 RGB.
        painted: (H, W) uint8 ids, see `VideoSegmenter.correct`, or None.
        dropped: ids; those that are not followed are left out.

    Returns:
        (H, W) uint8 ids of the frame. Done twice it changes nothing more.
    """
    for object_id in dropped:
        if object_id in segmenter.objects:
            segmenter.drop(object_id)
    if painted is None:
        painted = np.zeros(frame.shape[:2], np.uint8)
    return segmenter.correct(frame, painted)
