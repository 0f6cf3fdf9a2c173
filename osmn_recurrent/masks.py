"""Index masks: reading, writing, palettes, boxes, ids and one-hot maps.

A mask is an array (H, W) of dtype uint8 whose values are object ids: 0 is
the background, 1 to 254 are objects and 255 is "void" (DAVIS 2017). On disk
it is an 8-bit PNG, either with a palette (pixel value = id) or, for a single
object as in DAVIS 2016, grey with the values 0 and 255.

Pillow reads these files: TensorFlow's and OpenCV's PNG decoders replace
palette indices by their colours and the ids are lost.
"""

import functools

import cv2
import numpy as np
from PIL import Image

from osmn_recurrent.errors import InputError
from osmn_recurrent.files import replace_when_done
from osmn_recurrent.image_files import open_image

VOID = 255
_SAVE_AS = (
    "save it as an 8-bit palette (indexed) PNG whose pixel values are the "
    "object ids, or as a grey PNG with 0 and 255 for a single object"
)
# Video object segmentation data sets label a handful of objects; a soft
# (anti-aliased) border shows as far more values than that.
_MOST_IDS = 64


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


def read_mask(path):
    """Reads an index mask.

    Args:
        path: an 8-bit palette PNG (ids), an 8-bit grey PNG (ids, or 0/255
            for one object) or a 1-bit PNG.

    Returns:
        (H, W) uint8 object ids; a 0/255 or 1-bit mask comes back as 0/1.

    Raises:
        InputError: unreadable file, colour image, 16-bit image, or a mask
            with soft (anti-aliased) borders.
    """
    return _read(path)[0]


def read_mask_with_palette(path):
    """Like `read_mask`, and the file's palette.

    Returns:
        `(ids, palette)`: (H, W) uint8 and a tuple of 768 ints; masks
        without a palette get `davis_palette()`.
    """
    return _read(path)


def _read(path):
    with open_image(path, kind="mask", advice=_SAVE_AS) as image:
        image.load()
        mode, palette = image.mode, image.getpalette()
        values = np.array(image)
        found = np.flatnonzero(image.histogram()[:256])
    if mode == "1":
        return values.astype(np.uint8), davis_palette()
    if mode == "L" and values.ndim == 2:
        return _grey_ids(path, values, found), davis_palette()
    if mode == "P":
        _check_id_count(path, found)
        return values, _full_palette(palette)
    kind = "a 16-bit or 32-bit image" if mode[0] in "IF" else f"an {mode} image"
    raise InputError(f"{path} is {kind}, expected object ids in 8 bits; {_SAVE_AS}.")


def _grey_ids(path, values, found):
    if set(found.tolist()) <= {0, 255}:
        return (values > 0).astype(np.uint8)
    between = found[(found > 0) & (found < 255)]
    if between.size > 8 and between.max() > 32:
        raise InputError(
            f"{path} has {found.size} grey levels, so its borders look "
            "anti-aliased and its values are not object ids; cut it at half "
            f"intensity without smoothing, then {_SAVE_AS}."
        )
    _check_id_count(path, found)
    return values


def _check_id_count(path, found):
    if found.size > _MOST_IDS:
        raise InputError(
            f"{path} has {found.size} different ids, more than the "
            f"{_MOST_IDS} a mask of objects plausibly has (a converted or "
            f"anti-aliased picture?); {_SAVE_AS}."
        )


def _full_palette(palette):
    palette = list(palette or davis_palette())
    return tuple(palette + list(davis_palette())[len(palette) :])


def write_mask(path, ids, palette=None):
    """Writes (H, W) uint8 object ids as a palette PNG, in one move.

    Args:
        path: the PNG file.
        ids: (H, W) uint8.
        palette: 768 ints, by default `davis_palette()`.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "00000.png"
    >>> write_mask(path, np.array([[0, 1], [2, 2]]))
    >>> read_mask(path)
    array([[0, 1],
           [2, 2]], dtype=uint8)
    """
    image = Image.fromarray(np.ascontiguousarray(ids, np.uint8))
    image.putpalette(list(palette or davis_palette()))
    with replace_when_done(path) as temporary:
        image.save(temporary, format="PNG")


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
