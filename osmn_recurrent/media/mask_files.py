"""Mask files in and out: the one reader that everything in the library uses.

A mask is an array (H, W) of dtype uint8 whose values are object ids: 0 is the
background, 1 to 254 are objects and 255 is "void" (DAVIS 2017). Written are 8-bit
palette PNGs whose pixel values are the ids; read is what people have, see
`read_mask`.
"""

import functools
import os
import pathlib
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, PngImagePlugin

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.files import replace_when_done
from osmn_recurrent.image_files import check_size, image_size
from osmn_recurrent.media.decoded_mask import VOID_LABEL
from osmn_recurrent.media.mask_documents import read_document
from osmn_recurrent.media.mask_images import (
    MARK,
    MOST_OBJECTS,
    SAVE_AS,
    decode_array,
    decode_image,
)
from osmn_recurrent.text_files import read_text

MASK_SUFFIXES = (
    ".png",
    ".bmp",
    ".gif",
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".webp",
    ".npy",
)
"""Endings of files that are taken for masks in a folder, in lower case."""

DOCUMENT_SUFFIXES = (".json",)
"""Endings of documents that describe masks."""

_ARCHIVES = {".zip", ".tar", ".gz", ".7z", ".rar", ".tgz"}

_SAID = set()
"""`(kind of note, folder)` of what was said once."""


def read_mask(path: str | os.PathLike, frame: str | None = None) -> np.ndarray:
    """Reads a mask file of any kind.

    - palette pictures: indices are ids; where the palette shows that index 0 is
      not the background, colours decide;
    - grey: ids; 0 and 255 (or one bit) are one object with id 1; several levels
      up to white are objects 1, 2, ... from dark to bright;
    - colours: those of PASCAL's and DAVIS' palette are their ids, others are
      objects 1, 2, ... in order of appearance, on black;
    - transparency: what is opaque is the object, objects have colours;
    - soft borders and JPEGs are cut at half; 16 bits, and arrays in .npy files;
    - JSON: LabelMe, COCO (polygons and run lengths, also of videos), SAM; names that
      are numbers are ids, others are objects 1, 2, ... in order.

    What is not read as it stands is said by an `InputNote`, once per folder.

    Args:
        path: the file.
        frame: name of the frame whose mask is meant, for files with several.

    Returns:
        (H, W) uint8 object ids.

    Raises:
        InputError: unreadable or too large, or a picture that is no mask.
    """
    return MaskFiles([path], [frame]).read(path, frame=frame)


def read_mask_with_palette(path):
    """Like `read_mask`, and the file's palette.

    Returns:
        `(ids, palette)`: (H, W) uint8 and a tuple of 768 ints; masks
        without a palette get their colours, or `masks.davis_palette()`.
    """
    files = MaskFiles([path])
    return files.read(path), files.palette()


class MaskFiles:
    """Mask files that belong together.

    The same colour, grey level or name is the same object in all of them, and gets
    the same id whatever file is read first.

    Args:
        paths: the files, in order of their frames; one with masks of several frames
            comes once for each.
        frames: names of their frames, which matter to such files, or None.
        layered: whether they bring objects one after the other. Then files that
            say only where an object is (0 and 255) each bring one of their own,
            unless `all_frames`.
        all_frames: whether every frame has one: then they follow one object.
    """

    def __init__(self, paths, frames=None, layered=False, all_frames=False):
        paths = [pathlib.Path(path) for path in paths]
        self._entries = list(zip(paths, frames or [None] * len(paths), strict=True))
        self.layered, self.all_frames = layered, all_frames
        self._ids = self._stated = None

    def read(self, path, size=None, frame=None):
        """Object ids of one of the files.

        Args:
            path: one of `paths`.
            size: (height, width) of its frame. A mask of another size and the same
                proportions is resized to it, nearest neighbour.
            frame: name of its frame, where the file has masks of several.

        Returns:
            (H, W) uint8.

        Raises:
            InputError: see `read_mask`; also a mask of other proportions than its
                frame, before it is decoded.
        """
        path = pathlib.Path(path)
        if size is not None:
            _check_proportions(path, mask_size(path, frame), size)
        decoded = decode(path, frame)
        ids = self._numbered(path, frame, decoded)
        for kind, clause in decoded.notes:
            say_once(path, kind, clause)
        if size is not None and ids.shape != tuple(size):
            say_once(
                path,
                "size",
                f"is {ids.shape[1]}x{ids.shape[0]}; it is resized to the frames' "
                f"{size[1]}x{size[0]} (nearest neighbour)",
            )
            ids = masks.resize_mask(ids, size)
        return ids

    def palette(self):
        """Colours of the ids: the first file's palette, or its objects' colours.

        Returns:
            tuple of 768 ints, `masks.davis_palette()` where files have no colours.
        """
        decoded = decode(*self._entries[0])
        if decoded.palette is not None:
            return decoded.palette
        palette = list(masks.davis_palette())
        for key, number in self._table(decoded).items():
            if key[0] == "colour":
                palette[3 * number : 3 * number + 3] = key[1]
        return tuple(palette)

    def _numbered(self, path, frame, decoded):
        """Labels of a decoded file as ids."""
        if decoded.keys is None:
            return decoded.labels
        table = self._table(decoded)
        values = np.zeros(256, np.uint8)
        values[VOID_LABEL] = masks.VOID
        given = []
        for label, key in enumerate(_keys_of(path, frame, decoded), 1):
            values[label] = table.get(key, table.get(decoded.keys[label - 1], 0))
            if self._ids is not None and key not in self._stated:
                given.append(f"{values[label]} ({_name(key)})")
        if given and decoded.numbered:
            more = f" and {len(given) - 8} more" if len(given) > 8 else ""
            say_once(
                path,
                "ids",
                f"holds no ids; its objects are {', '.join(given[:8])}{more}",
            )
        elif given and values[1] != 1:
            say_once(path, "own", f"shows an object of its own, which is {values[1]}")
        return values[decoded.labels]

    def _table(self, decoded):
        """`{key: id}` of all files, or of `decoded` where that says all."""
        if self._ids is None:
            alone = decoded.keys is None or not decoded.numbered
            if alone and not self.layered:
                return dict.fromkeys(decoded.keys or (), 1)
            files = [(path, name, decode(path, name)) for path, name in self._entries]
            self._stated = _stated(files)
            self._ids = _assign(
                files, self._stated, separate=self.layered and not self.all_frames
            )
        return self._ids


def _name(key):
    """What an object is called in a note."""
    kind, *rest = key
    if kind == "label":
        name, which = rest
        return f"{name}" if which == 1 else f"{name}, {which}"
    if kind == "colour":
        return f"colour {', '.join(map(str, rest[0]))}"
    return f"{kind} {rest[0] if rest else ''}".strip()


def _keys_of(path, frame, decoded):
    """Keys of a file's labels; one that says only where has its own."""
    return decoded.keys if decoded.numbered else (("file", path, frame),)


def _assign(files, table, separate):
    """Gives the objects of files that belong together their ids.

    Args:
        files: list of `(path, frame name, DecodedMask)`.
        table: `{key: id}` of keys that state their id, see `_stated`.
        separate: whether files that say only where an object is bring one each.

    Returns:
        `{key: id}` of all keys.
    """
    table = dict(table)
    plain = [each.labels for _, _, each in files if each.keys is None]
    used = {i for labels in plain for i in masks.object_ids(labels)}
    used |= set(table.values())
    white = any(
        each.numbered and ("level", masks.VOID) in (each.keys or ())
        for _, _, each in files
    )
    first = True
    for path, frame, each in files:
        own = []
        if each.keys is not None and each.numbered:
            own = [key for key in each.keys if key not in table]
        elif each.keys is not None:
            if white and each.keys[0] == ("level", masks.VOID):
                continue  # white is one of the levels of the others
            key = ("file", path, frame)
            if first or not separate:
                table[key] = 1
                used.add(1)
            else:
                own = [key]
        first = False
        for key in own:
            table[key] = next(i for i in range(1, 2**16) if i not in used)
            used.add(table[key])
    if table and max(table.values()) > MOST_OBJECTS:
        raise InputError(
            f"{files[0][0].parent} has {len(used)} objects, more than {MOST_OBJECTS}, "
            "the most that a mask can hold; leave some of them out."
        )
    return table


def _stated(files):
    """Ids that keys state by themselves: levels and values up to 254, known colours.

    Returns:
        `{key: id}`.
    """
    keys = [k for _, _, each in files if each.numbered for k in each.keys or ()]
    table, by_colour = {}, _colours_of(files[0][0])
    for kind in ("level", "value", "colour"):
        own = [key for key in keys if key[0] == kind]
        if kind == "colour":
            ids = [by_colour.get(key[1], 0) for key in own]
        else:
            ids = [key[1] for key in own]
        if all(1 <= i <= MOST_OBJECTS for i in ids):
            table.update(zip(own, ids))
    return table


def _colours_of(path):
    """`{(r, g, b): id}`: PASCAL's, or those of a labelmap.txt of CVAT's.

    It lies beside the folder SegmentationClass, a line per class, in the form
    `person:192,128,128:parts:actions`.
    """
    listed = path.parent.parent / "labelmap.txt"
    if path.parent.name != "SegmentationClass" or not listed.is_file():
        return masks.ids_by_colour()
    colours = []
    for line in read_text(listed).splitlines():
        parts = line.split(":")
        numbers = parts[1].split(",") if len(parts) > 1 else ()
        if line.startswith("#") or len(numbers) != 3:
            continue
        if all(number.strip().isdecimal() for number in numbers):
            colours.append(tuple(map(int, numbers)))
    found = [colour for colour in dict.fromkeys(colours) if any(colour)]
    return {colour: number for number, colour in enumerate(found, 1)}


def decode(path, frame=None):
    """Decodes a mask file, see `read_mask`.

    Args:
        path: the file.
        frame: name of its frame, where it has masks of several.

    Returns:
        `DecodedMask`.
    """
    kind = path.suffix.lower()
    if kind in DOCUMENT_SUFFIXES:
        return document(path).decode(frame)
    if kind == ".npy":
        return decode_array(_array(path), path)
    _refuse_archive(path)
    return decode_image(path)


def mask_size(path, frame=None):
    """(height, width) of a mask file, before it is decoded; see `decode`."""
    kind = path.suffix.lower()
    if kind in DOCUMENT_SUFFIXES:
        return document(path).entry(frame)[0]
    if kind == ".npy":
        return _array(path).shape
    _refuse_archive(path)
    return image_size(path)


def _refuse_archive(path):
    if path.suffix.lower() in _ARCHIVES:
        raise InputError(f"{path} is an archive; unpack it and give the folder.")


def document(path):
    """`MaskDocument` of a JSON file; the last ones are remembered."""
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(f"{path}: no such mask file ({error.strerror}).") from None
    return _document(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=4)
def _document(path, *_):
    return read_document(path)


def _array(path):
    """(H, W) array of a .npy file, not yet read."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such mask file.") from None
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(
            f"{path} is no array that can be read ({error}); {SAVE_AS}."
        ) from None
    shape = [side for side in values.shape if side != 1] if values.ndim == 3 else []
    values = values.reshape(shape) if len(shape) == 2 else values
    if values.ndim != 2 or not values.size or values.dtype.kind not in "buif":
        raise InputError(
            f"{path} is {values.dtype} of shape {values.shape}, expected numbers of "
            f"shape (height, width); {SAVE_AS}."
        )
    check_size(path, values.shape[1], values.shape[0], "mask")
    return values


def _check_proportions(path, found, size):
    (height, width), (rows, columns) = found, size
    near = abs(width * rows / height - columns) <= max(1.0, rows / height)
    if (height, width) != (rows, columns) and not near:
        raise InputError(
            f"mask {path} is {width}x{height}, but its frame is {columns}x{rows}; "
            "give a mask of the frame's size, or at least of its proportions."
        )


def say_once(path, kind, clause):
    """Says what was made of a file, once per kind and folder.

    Args:
        path: the file.
        kind: what is said, in a word.
        clause: the rest of a sentence that begins with the file.
    """
    key = (kind, pathlib.Path(path).parent)
    if key not in _SAID:
        _SAID.add(key)
        warnings.warn(f"{path} {clause}.", InputNote, stacklevel=2)


def write_mask(
    path: str | os.PathLike, ids: ArrayLike, palette: Sequence[int] | None = None
) -> None:
    """Writes object ids as a palette PNG, in one move.

    Args:
        path: the PNG file.
        ids: (H, W) integers or bool, 0 to 255.
        palette: 768 ints, by default `masks.davis_palette()`. Index 0 becomes
            black, and no other one is: a reader that goes by colours, or takes
            the first colour for the background, sees the same objects.

    Raises:
        InputError: values that are no ids, or a place that cannot be written.

    Example:

    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "00000.png"
    >>> write_mask(path, np.array([[0, 1], [2, 2]]))
    >>> read_mask(path)
    array([[0, 1],
           [2, 2]], dtype=uint8)
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or not ids.size or ids.dtype.kind not in "bui":
        raise InputError(
            f"{path}: a mask is {ids.dtype} of shape {ids.shape}, expected integers "
            "of shape (height, width)."
        )
    if ids.min() < 0 or ids.max() > masks.VOID:
        raise InputError(
            f"{path}: a mask holds ids from {ids.min()} to {ids.max()}, expected 0 to "
            f"{MOST_OBJECTS}, or 255 for void."
        )
    image = Image.fromarray(np.ascontiguousarray(ids, np.uint8))
    image.putpalette(_background_black(palette or masks.davis_palette()))
    text = PngImagePlugin.PngInfo()
    text.add_text(*MARK)
    with replace_when_done(path) as temporary:
        image.save(temporary, format="PNG", pnginfo=text)


def _background_black(palette):
    colours = np.array(palette, int).reshape(256, 3)
    usual = np.array(masks.davis_palette()).reshape(256, 3)
    dark = colours.max(1) <= 8
    colours[dark] = usual[dark]
    colours[0] = 0
    return colours.ravel().tolist()
