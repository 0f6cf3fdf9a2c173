"""Opening image files, whose size is checked before anything is decoded."""

import contextlib
import io
import pathlib
import struct

from PIL import Image, ImageOps

from osmn_recurrent.errors import InputError

MOST_PIXELS = 89_478_485
"""Largest image that is decoded: that at which Pillow begins to warn, twice as
many pixels as a camera of 45 megapixels makes. A PNG of 300 kB can claim more
than fits into memory."""

_ORIENTATION = 0x0112
"""EXIF's tag."""

_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@contextlib.contextmanager
def open_image(path, content=None, kind="image", advice="replace or re-encode it"):
    """An opened image of a size that can be decoded.

    Args:
        path: the file; a mere name, for messages, if there is content.
        content: bytes of the encoded image, or None.
        kind: what it is, for messages, such as "mask".
        advice: what to do about one that cannot be read.

    Yields:
        `PIL.Image.Image`; errors of decoding it in the block are explained.

    Raises:
        InputError: a file that is missing, too large, or no image.
    """
    try:
        source = path if content is None else io.BytesIO(content)
        with Image.open(source) as image:
            check_size(path, *image.size, kind)
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such {kind}.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, expected a {kind} file.") from None
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{kind} {path} is too large to be decoded ({error}); {advice}."
        ) from None
    except _UNREADABLE as error:
        raise InputError(
            f"{kind} {path} cannot be decoded ({_reason(error, path)}); {advice}."
        ) from None


def _reason(error, path):
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).replace(f" '{path}'", "") or type(error).__name__


def check_size(path, width, height, kind="image"):
    """Refuses an image that would take more memory than any real one.

    Args:
        path: its file.
        width: columns.
        height: rows.
        kind: see `open_image`.

    Raises:
        InputError: more than `MOST_PIXELS`.
    """
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{kind} {path} is {width}x{height}, more than {MOST_PIXELS:,} pixels; "
            "reduce it."
        )


def orientation(image):
    """How the file asks for an opened image to be turned.

    Args:
        image: `PIL.Image.Image`.

    Returns:
        int, EXIF's 1 (as stored) to 8; from 5 on height and width change places.
    """
    if image.format == "TIFF":  # Pillow turns these itself
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _UNREADABLE:  # damaged EXIF does not make a damaged picture
        value = 1
    return value if value in range(1, 9) else 1


def upright(image):
    """An opened image as every viewer shows it: turned as its EXIF asks."""
    return image if orientation(image) == 1 else ImageOps.exif_transpose(image)


def image_size(path):
    """(height, width) of an upright image file, from its header alone.

    Raises:
        InputError: the file is missing, no image, or too large.
    """
    with open_image(pathlib.Path(path)) as image:
        size = image.height, image.width
        return size[::-1] if orientation(image) > 4 else size
