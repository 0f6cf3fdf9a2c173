"""COCO's annotation files: read, checked, and objects as run lengths.

Nothing of such a file is handed to pycocotools unchecked, see `media.run_lengths`.
"""

import collections
import dataclasses
import math
import os
import pathlib
import re

from osmn_recurrent import names
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import check_size
from osmn_recurrent.media import run_lengths
from osmn_recurrent.text_files import read_json

_EXPECTED = (
    '"images" with id, file_name, height and width, and "annotations" with id, '
    "image_id, area, iscrowd and segmentation"
)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that an annotation file lists.

    Attributes:
        name: its file below the folder of pictures, parts set apart by "/".
        size: (height, width).
    """

    name: str
    size: tuple


@dataclasses.dataclass(frozen=True)
class Annotation:
    """An object.

    Attributes:
        id: in the file; a whole number or text.
        picture: the `Picture`'s id.
        category: its category's id, or None.
        area: in pixels, as annotated.
        crowd: whether it is a group that nobody parted.
        segmentation: as in the file, see `code_of`.
    """

    id: int | str
    picture: int | str
    category: int | str | None
    area: float
    crowd: bool
    segmentation: object


def read_annotations(path):
    """Reads COCO's instances file.

    Ids may be numbers or text ("17" and 17 are the same). Where a picture is
    listed twice in the same words it counts once.

    Args:
        path: the JSON file.

    Returns:
        `(pictures, objects, categories)`: `{id: Picture}` in the order of
        ids, list of `Annotation`, and `{id: category's name}`.

    Raises:
        InputError: no such file, another kind of file, two pictures with one
            id, an annotation without its picture, names that lead out of the
            folder, sizes and areas that are none.
    """
    path = pathlib.Path(path)
    content = read_json(path, f"COCO's instances file, {_EXPECTED}")
    try:
        pictures = _pictures(content["images"], path)
        objects = [_annotation(each, path) for each in content["annotations"]]
        categories = {
            _id_of(each["id"]): str(each["name"])
            for each in content.get("categories", ())
        }
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path} is not COCO's instances file ({error!r}); expected {_EXPECTED}."
        ) from None
    strays = [each.id for each in objects if each.picture not in pictures]
    if strays:
        raise InputError(
            f"{path}: {len(strays)} annotations, the first is {strays[0]}, "
            'belong to no picture under "images"; add these or leave them out.'
        )
    return pictures, objects, categories


def _pictures(images, path):
    found = {}
    for each in images:
        number = _id_of(each["id"])
        name = each["file_name"]
        if isinstance(name, str):  # tools on Windows write backslashes
            name = names.inside("", name.replace("\\", "/"), path).as_posix()
        else:
            names.inside("", name, path)
        picture = Picture(name, _size(each, name, path))
        other = found.setdefault(number, picture)
        if other != picture:
            raise InputError(
                f"{path}: two pictures have the id {number}, {other.name} and "
                f"{name}; give every picture an id of its own, and annotations that "
                "of their picture (files that are put together need new ids)."
            )
    # Numbers before texts, which do not compare with them.
    return dict(sorted(found.items(), key=lambda x: (isinstance(x[0], str), x[0])))


def _size(record, name, path):
    sides = []
    for side in ("height", "width"):
        try:
            sides.append(int(record[side]))
        except (ValueError, TypeError, OverflowError):
            sides.append(0)
        if sides[-1] < 1:
            raise InputError(
                f"{path} gives {name} the {side} {record[side]!r}, expected a number "
                "of pixels."
            )
    check_size(f"{name} in {path}", sides[1], sides[0], "picture")
    return tuple(sides)


def _annotation(record, path):
    number = _id_of(record["id"])
    try:
        area = float(record["area"])
    except (ValueError, TypeError, OverflowError):
        area = math.nan
    if not math.isfinite(area) or area < 0:
        raise InputError(
            f"{path}: annotation {number} has the area {record['area']!r}, expected "
            "a number of pixels; correct it or leave it out."
        )
    category = record.get("category_id")
    return Annotation(
        number,
        _id_of(record["image_id"]),
        None if category is None else _id_of(category),
        area,
        bool(int(record.get("iscrowd") or 0)),
        record.get("segmentation"),
    )


def _id_of(value):
    """An id as a whole number if it is one, else as text."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,30}", text) else text
    if isinstance(value, bool) or not float(value).is_integer():
        raise ValueError(f"{value!r} is no id")
    return int(value)


def code_of(annotation, picture, path):
    """An object's compressed run lengths.

    Args:
        annotation: `Annotation`.
        picture: its `Picture`.
        path: the annotation file, for errors.

    Returns:
        bytes, for `pycocotools.mask.decode`; b"" if it has no segmentation.

    Raises:
        InputError: a segmentation that is no polygon and no run lengths of
            the picture, naming the annotation.
    """
    given = annotation.segmentation
    try:
        if isinstance(given, dict):
            return run_lengths.of_counts(given, picture.size)
        if not given:
            return b""
        return run_lengths.of_polygons(given, picture.size)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(
            f"{path}: annotation {annotation.id} of picture {picture.name} has a "
            f"segmentation that cannot be used ({reason}); correct it or leave it out."
        ) from None


class PictureFolder:
    """Where the pictures of a split lie.

    Their names may have folders in them, may begin with the split's, and may have
    another case than the files (000000000001.JPG).

    Args:
        data_dir: the folder that holds `annotations` and the picture folders.
        split: the picture folder's name.
    """

    def __init__(self, data_dir, split):
        self.data_dir, self.split = pathlib.Path(data_dir), split
        self._contents = {}

    def place(self, name, source):
        """`(path, whether it is there)` of a picture.

        Args:
            name: `Picture.name`.
            source: the file that names it, for errors.

        Raises:
            InputError: a name that leads out of the data set.
        """
        usual = names.inside(self.data_dir / self.split, name, source)
        for path in (usual, names.inside(self.data_dir, name, source)):
            there, folded = self._listing(path.parent)
            if path.name in there:
                return path, True
            if path.name.lower() in folded:
                return path.with_name(folded[path.name.lower()]), True
        return usual, False

    def _listing(self, folder):
        """A folder's names, and those of them that are clear in any case, by it."""
        if folder not in self._contents:
            try:
                there = frozenset(os.listdir(folder))
            except OSError:
                there = frozenset()
            count = collections.Counter(name.lower() for name in there)
            clear = {n.lower(): n for n in there if count[n.lower()] == 1}
            self._contents[folder] = there, clear
        return self._contents[folder]
