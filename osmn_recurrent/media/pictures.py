"""Picture files: frames as RGB, and the order of a folder of them."""

import collections
import hashlib
import pathlib
import re

import cv2
import numpy as np

from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import open_image, orientation, upright

_JPEG_END = b"\xff\xd9"

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""Endings of files that are taken for frames, in lower case."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_FRACTION = re.compile(r"(?<![\d.])(\d+)\.(\d+)(?![\d.])")


def read_frame(path, content=None):
    """Reads a picture as (H, W, 3) uint8 RGB, upright.

    It is turned as its EXIF asks, as every viewer does; 16 bits per channel are
    scaled to 8; transparency is left out.

    Args:
        path: the file; a mere name, for messages, if there is content.
        content: bytes of the encoded picture, or None.

    Raises:
        InputError: the file is missing, truncated, no picture, too large, or
            has values that are no colours (32 bits or floats).
    """
    with open_image(path, content, "frame") as image:
        if image.mode.startswith("I;16"):
            values = np.asarray(upright(image), np.uint16)
            grey = np.rint(values / 257.0).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        if image.mode[0] not in "IF":
            if content is None and image.format == "JPEG":
                content = pathlib.Path(path).read_bytes()
            return _pixels(image, content)
        raise InputError(
            f"frame {path} has more than 16 bits per channel; save it as an 8-bit "
            "picture."
        )


def _pixels(image, content):
    """RGB of an opened picture; `content` is its file.

    OpenCV decodes colour JPEGs to the same pixels in two thirds of Pillow's
    time. It does not tell a truncated file from a whole one, so that files
    without an end marker are left to Pillow.
    """
    plain = image.mode == "RGB" and orientation(image) == 1
    if image.format == "JPEG" and plain and content[-2:] == _JPEG_END:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        frame = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        if frame is not None:
            return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, frame)
    return np.array(upright(image).convert("RGB"))


def file_digest(path):
    """First 16 hexadecimal digits of a file's SHA-256.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None


def picture_paths(folder, suffixes=FRAME_SUFFIXES):
    """Picture files of a folder in natural order: frame2 before frame10.

    Hidden files (temporary ones, those of macOS) and other kinds of file are
    left out.

    Args:
        folder: an existing folder.
        suffixes: lower-case file endings.

    Returns:
        list of `pathlib.Path`, empty if there is none.

    Raises:
        InputError: two files that differ only in their ending, so that a
            mask could belong to either.
    """
    paths = [
        path
        for path in pathlib.Path(folder).iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    ]
    key = natural_key([path.stem for path in paths])
    paths.sort(key=lambda path: (key(path.stem), path.name))
    by_stem = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise InputError(
                f"{folder} holds both {other.name} and {path.name}; keep one "
                "picture per frame there, and masks in a folder of their own."
            )
    return paths


def natural_key(names):
    """The key that sorts names by the numbers in them.

    Two numbers with a dot between them are one with a fraction (time stamps:
    10.5, 10.625, 10.75), unless the names count behind the dot (take1.8,
    take1.9, take1.10). Where all names are numbers, a minus is one (-2, -1, 0).

    Args:
        names: all names that are sorted, str.

    Returns:
        Function of a name that gives its key.
    """
    if all(_NUMBER.fullmatch(name) for name in names):
        if any(name.startswith("-") for name in names):
            return lambda name: [float(name)]
    fractions = not _count_behind_the_dot(names)

    def key(name):
        # re.split puts text at even and digits at odd places, so that keys of
        # different files compare text with text and number with number.
        pattern = r"((?<![\d.])\d+\.\d+(?![\d.])|\d+)" if fractions else r"(\d+)"
        parts = re.split(pattern, name)
        for place in range(1, len(parts), 2):
            whole, _, rest = parts[place].partition(".")
            # Digits behind the dot compare as text: 5 comes after 25.
            parts[place] = (int(whole), rest.rstrip("0"))
        return parts

    return key


def _count_behind_the_dot(names):
    """Whether digits behind dots are counters: each run of them has no gap."""
    groups = collections.defaultdict(set)
    for name in names:
        for found in _FRACTION.finditer(name):
            around = name[: found.start()], name[found.end() :], found[1]
            groups[around].add(found[2])
    uneven = [g for g in groups.values() if len({len(digits) for digits in g}) > 1]
    return bool(uneven) and all(
        max(numbers) - min(numbers) < len(numbers) == len(group)
        for group in uneven
        for numbers in [{int(digits) for digits in group}]
    )
