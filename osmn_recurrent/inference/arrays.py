"""Checks of the frames and masks that a caller hands in."""

import numpy as np
import tensorflow as tf

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

    Args:
        mask: (H, W) or (H, W, 1): integers, bool, or floats that are whole
            numbers. One of 0 and 255 alone is one object, id 1, as in a file.
        frame: (H, W, 3), already checked.

    Raises:
        InputError: not the size of `frame`, or values that are no ids.
    """
    mask = np.asarray(mask)
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.shape != frame.shape[:2]:
        raise InputError(
            f"a mask has the shape {mask.shape} and its frame "
            f"{frame.shape[:2]}; give ids of shape (height, width) and the frame's "
            "size, masks are resized by nearest neighbour."
        )
    if mask.dtype.kind == "f":
        mask = _whole_numbers(mask)
    if mask.dtype.kind not in "bui":
        raise InputError(
            f"a mask is {mask.dtype}, expected object ids in uint8 (0 to 254) or bool."
        )
    if mask.min() < 0 or mask.max() > masks.VOID:
        raise InputError(
            f"a mask holds values from {mask.min()} to {mask.max()}, expected object "
            "ids in uint8 (0 to 254)."
        )
    if mask.max() == masks.VOID and not ((mask > 0) & (mask < masks.VOID)).any():
        return (mask > 0).astype(np.uint8)
    return np.where(mask == masks.VOID, 0, mask).astype(np.uint8)


def _whole_numbers(mask):
    """Floats that are ids as integers."""
    if not np.isfinite(mask).all():
        raise InputError("a mask holds NaN or infinite values, expected object ids.")
    if (mask != np.floor(mask)).any():
        raise InputError(
            f"a mask is {mask.dtype} with fractions ({mask.min():g} to "
            f"{mask.max():g}), expected object ids; cut a soft mask at half first: "
            "mask > 0.5."
        )
    return mask.clip(-1, masks.VOID + 1).astype(np.int64)


def checked_next_frame(frame, expected):
    """`checked_frame` of a video that began with frames of a size.

    Args:
        frame: see `checked_frame`.
        expected: `(height, width)`.

    Returns:
        `frame`.

    Raises:
        InputError: as `checked_frame` does, or another size.
    """
    frame = checked_frame(frame)
    if frame.shape[:2] != expected:
        raise InputError(
            f"this frame is {frame.shape[1]}x{frame.shape[0]}, but the "
            f"video began with {expected[1]}x{expected[0]}; all frames "
            "must have one size."
        )
    return frame


def with_rows(kept, rows, new):
    """A structure of tensors (N, ...) with rows (n, 1) replaced by those of another."""
    return tf.nest.map_structure(
        lambda old, own: tf.tensor_scatter_nd_update(old, rows, own), kept, new
    )


def check_followed(object_id, objects):
    """Raises `InputError` where an object is not one of those that are followed."""
    if object_id not in objects:
        raise InputError(
            f"object {object_id} is not followed, expected one of {objects}."
        )


def check_any_object(first_mask, later_masks):
    """Raises `InputError` where no mask of a video has an object.

    Args:
        first_mask: (H, W) ids, or None.
        later_masks: `{frame index: (H, W) ids}`.
    """
    empty = first_mask is None or not np.any(first_mask)
    if empty and not any(np.any(mask) for mask in later_masks.values()):
        raise InputError(
            "the first frame's mask is empty and there is no later one, expected "
            "at least one object (pixels from 1 to 254)."
        )


def soft_masks(ids, objects, before, probabilities):
    """Probabilities of all objects of a frame in which some may have been added.

    Args:
        ids: (H, W) uint8 of the frame.
        objects: N ids in ascending order.
        before: ids that the network was run for.
        probabilities: (M, H, W) float32 tensor of these, or None where M is 0.

    Returns:
        (N, H, W) float32 in [0, 1], before any refinement. Objects that were added
        have 1 where `ids` shows them and 0 elsewhere, and all others 0 there.
    """
    found = np.zeros((len(objects), *ids.shape), np.float32)
    if before:
        found[np.searchsorted(objects, before)] = np.asarray(probabilities)
    for row, object_id in enumerate(objects):
        if object_id not in before:
            own = ids == object_id
            found[:, own], found[row] = 0, own
    return found
