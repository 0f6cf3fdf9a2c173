"""Checks of the frames and masks that a caller hands in."""

import numpy as np

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError


def checked_frame(frame):
    """`frame` as an array.

    Raises:
        InputError: not (H, W, 3) uint8.
    """
    frame = np.asarray(frame)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise InputError(
            f"a frame is {frame.dtype} of shape {frame.shape}, expected uint8 "
            "RGB of shape (height, width, 3)."
        )
    return frame


def checked_mask(mask, frame):
    """`mask` as (H, W) uint8 ids, void (255) turned into background.

    Raises:
        InputError: not the size of `frame`, or values that are no ids.
    """
    mask = np.asarray(mask)
    if mask.shape != frame.shape[:2]:
        raise InputError(
            f"a mask has the shape {mask.shape} and its frame "
            f"{frame.shape[:2]}; resize one of them, masks by nearest "
            "neighbour."
        )
    numbers = mask.dtype.kind in "bui"
    if not numbers or mask.min() < 0 or mask.max() > masks.VOID:
        raise InputError(
            f"a mask is {mask.dtype} with values outside of 0 to 255, expected "
            "object ids in uint8."
        )
    return np.where(mask == masks.VOID, 0, mask).astype(np.uint8)
