"""COCO's run lengths and polygons, checked before pycocotools gets them.

Run lengths that do not fill their picture leave part of the mask unset, a corner far
outside takes gigabytes, and one that is not finite ends the process.
"""

import numpy as np
from pycocotools import mask as run_lengths


def of_polygons(polygons, size):
    """Compressed run lengths of the union of polygons.

    Args:
        polygons: list of lists of x, y, x, y, ... in pixels.
        size: (height, width) of the picture.

    Returns:
        bytes; b"" if none has three corners.

    Raises:
        ValueError: no polygons, corners that are not finite or far outside.
    """
    height, width = size
    if not isinstance(polygons, list):
        raise ValueError("it is neither a list of polygons nor run lengths")
    checked = []
    for polygon in polygons:
        corners = np.array(polygon, np.float64)
        if corners.ndim != 1 or corners.size % 2:
            raise ValueError("a polygon is no list of x, y, x, y, ...")
        if not np.isfinite(corners).all():
            raise ValueError("a corner is not finite")
        for values, side in ((corners[::2], width), (corners[1::2], height)):
            if (values < -side).any() or (values > 2 * side).any():
                far = values[np.abs(values - side / 2).argmax()]
                raise ValueError(
                    f"a corner at {far:g} is far outside of the {width}x{height} "
                    "picture"
                )
        # pycocotools takes four numbers for a box, not for a polygon.
        if corners.size >= 6:
            checked.append(corners.tolist())
    if not checked:
        return b""
    codes = run_lengths.frPyObjects(checked, height, width)
    return run_lengths.merge(codes)["counts"]


def of_counts(given, size):
    """Compressed run lengths from COCO's record of them, checked.

    Args:
        given: dict with "counts", a list or compressed text, and perhaps "size".
        size: (height, width) of the picture.

    Returns:
        bytes.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: no run lengths of such a
            picture.
    """
    height, width = size
    counts = given["counts"]
    if [int(side) for side in given.get("size", size)] != [height, width]:
        raise ValueError(
            f"its run lengths are of {given['size'][1]}x{given['size'][0]} pixels, "
            f"the picture has {width}x{height}"
        )
    compressed = isinstance(counts, str)
    if compressed:
        values = decompressed(counts.encode("ascii"))
    elif isinstance(counts, list):
        values = np.array(counts, np.float64)
        if values.ndim != 1 or not (values == np.rint(values)).all():
            raise ValueError("its run lengths are no whole numbers")
    else:
        raise ValueError("its run lengths are neither a list nor text")
    if (values < 0).any():
        raise ValueError("it has a negative run length")
    if values.sum() != height * width:
        raise ValueError(
            f"its run lengths cover {values.sum():.0f} pixels, the {width}x{height} "
            f"picture has {height * width}"
        )
    if compressed:
        return counts.encode()
    whole = {"size": [height, width], "counts": values.astype(np.int64).tolist()}
    return run_lengths.frPyObjects(whole, height, width)["counts"]


def decompressed(text):
    """Run lengths of COCO's compressed text.

    Six bits a character: five of a number, lowest first, and whether more
    follow; the highest of the last five is the sign. From the fourth on a
    number is the difference to the one two before.

    Args:
        text: bytes.

    Returns:
        (N,) int64.

    Raises:
        ValueError: no such text.
    """
    signs = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if (signs < 0).any() or (signs > 63).any() or (signs.size and signs[-1] & 32):
        raise ValueError("its compressed run lengths are damaged")
    ends = np.flatnonzero((signs & 32) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1]) if ends.size else ends
    lengths = ends - starts + 1
    if lengths.size and lengths.max() > 7:
        raise ValueError("its compressed run lengths are damaged")
    place = np.arange(signs.size) - np.repeat(starts, lengths)
    values = np.add.reduceat((signs & 31) << (5 * place), starts) if ends.size else ends
    values = values - ((signs[ends] & 16) > 0) * (1 << (5 * lengths))
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def mask_of(code, size):
    """(H, W) uint8 of 0 and 1 from compressed run lengths.

    Args:
        code: bytes, of `of_polygons` or `of_counts`; b"" for an empty mask.
        size: (height, width).
    """
    if not code:
        return np.zeros(size, np.uint8)
    return run_lengths.decode({"size": list(size), "counts": code})
