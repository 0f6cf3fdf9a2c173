"""Index masks in memory: palettes, boxes, ids and one-hot maps.

A mask is an array (H, W) of dtype uint8 whose values are object ids: 0 is
the background, 1 to 254 are objects and 255 is "void" (DAVIS 2017). Files are
read and written by `media.mask_files`.
"""

import functools

import cv2
import numpy as np

VOID = 255


@functools.lru_cache(maxsize=1)
def davis_palette():
    """The palette of DAVIS and PASCAL VOC: 768 ints, R, G, B of ids 0-255."""
    palette = []
    for index in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
        palette.extend(colour)
    return tuple(palette)


@functools.lru_cache(maxsize=1)
def ids_by_colour():
    """`{(r, g, b): id}` of `davis_palette`."""
    colours = np.array(davis_palette()).reshape(256, 3).tolist()
    return {tuple(colour): index for index, colour in enumerate(colours)}


def object_ids(ids):
    """Sorted tuple of the object ids (1 to 254) in (H, W) uint8 `ids`."""
    counts = np.bincount(np.asarray(ids, np.uint8).ravel(), minlength=256)
    return tuple(int(i) for i in np.flatnonzero(counts[:VOID]) if i > 0)


def bounding_box(mask):
    """Box of the set pixels as the OSMN release has it.

    Args:
        mask: (H, W), any dtype; non-zero pixels are the object.

    Returns:
        `(xmin, ymin, xmax, ymax)`, the smallest and largest column and row
        that are set (both inclusive); the whole image `(0, 0, W, H)` for an
        empty mask. The release uses this as a half-open crop, so that the
        last row and column fall out (`util.py: get_mask_bbox`).
    """
    mask = np.asarray(mask)
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if columns.size == 0:
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def resize_mask(mask, size):
    """A mask at another size: nearest neighbour at pixel centres, as Pillow's.

    Args:
        mask: (H, W) uint8.
        size: `(height, width)`.

    Returns:
        (height, width) uint8; `mask` itself where it has the size.
    """
    if mask.shape == tuple(size):
        return mask
    return cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
