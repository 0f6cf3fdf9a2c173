"""COCO 2017's objects as images: a picture and the mask of one object in it.

    <data_dir>/train2017/000000000009.jpg
    <data_dir>/annotations/instances_train2017.json

Training takes the non-crowd objects that cover more than 3% of their picture
(OSMN section 3.5). Reading the annotations of train2017 takes half a minute
and gigabytes, so the objects are kept, as run lengths, in an index file that
is made once and belongs to one annotation file (its size and SHA-256).
"""

import hashlib
import pathlib

import numpy as np

from osmn_recurrent import names
from osmn_recurrent.datasets.coco_annotations import (
    PictureFolder,
    code_of,
    read_annotations,
)
from osmn_recurrent.datasets.index_files import stored_arrays
from osmn_recurrent.errors import InputError
from osmn_recurrent.media import run_lengths
from osmn_recurrent.media.pictures import read_frame

MIN_COVER = 0.03
"""Share of its picture that an object must cover (OSMN section 3.5)."""

TRAIN2017_IMAGES, TRAIN2017_OBJECTS = 118_287, 217_516
"""Pictures of train2017, and its objects over `MIN_COVER` (OSMN section 3.5)."""

_INDEX_VERSION = 2


class CocoObjects:
    """Objects of a COCO split, one image each.

    Args:
        data_dir: the folder that holds `annotations` and the picture folders.
        split: "train2017" or "val2017", or another picture folder with an
            `annotations/instances_<split>.json`.
        cache_dir: folder of the index; default: that of the annotations.
        min_cover: smallest share of its picture that an object covers,
            exclusive, by the annotated area.

    Attributes:
        pictures: number of pictures that the annotation file lists.
        sources: paths of the pictures that have an object, in order.
        annotation_ids: (N,) int64, the objects' ids in the annotation file;
            their places in it, from 1 on, where ids are not numbers.
        covers: (N,) float64, share of its picture that each object covers.

    Raises:
        InputError: a missing or malformed annotation file (see
            `read_annotations` and `code_of`), objects without segmentation,
            listed pictures that are missing, or no object.
    """

    def __init__(
        self, data_dir, split="train2017", cache_dir=None, min_cover=MIN_COVER
    ):
        data_dir = pathlib.Path(data_dir)
        names.single(split, "the flag for a split")
        self.split, self.min_cover = split, min_cover
        self.annotations = data_dir / "annotations" / f"instances_{split}.json"
        if not self.annotations.is_file():
            raise InputError(
                f"{self.annotations}: no such file; expected COCO's layout, "
                f"{split}/*.jpg beside annotations/instances_{split}.json."
            )
        folder = pathlib.Path(cache_dir or self.annotations.parent)
        index = _load_index(
            self.annotations, folder / f"{self.annotations.stem}.objects.npz", min_cover
        )
        self.pictures = int(index["pictures"])
        self.sources = self._find(PictureFolder(data_dir, split), index["names"])
        self.annotation_ids, self.covers = index["ids"], index["covers"]
        self._sizes, self._picture_of = index["sizes"], index["picture_of"]
        self._codes, self._ends = index["codes"].tobytes(), index["ends"]
        if not len(self):
            raise InputError(
                f"{self.annotations} has no non-crowd object over {min_cover:.1%} of "
                "its picture; choose another split or a smaller share."
            )

    def _find(self, folder, listed):
        """Paths of the listed pictures, all of which must be there."""
        found = [folder.place(str(name), self.annotations) for name in listed]
        missing = [path for path, there in found if not there]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(found)} pictures that the annotations list "
                f"are missing, the first is {missing[0]}; complete the download, or "
                "correct their file_name."
            )
        return tuple(path for path, _ in found)

    def __len__(self):
        return len(self.annotation_ids)

    @property
    def expected(self):
        """The paper's number of objects, or None for another set or share."""
        official = self.split == "train2017" and self.pictures == TRAIN2017_IMAGES
        return TRAIN2017_OBJECTS if official and self.min_cover == MIN_COVER else None

    def describe(self):
        """One line: how many objects, and how many the paper counts."""
        line = (
            f"{self.split}: {len(self):,} objects over {self.min_cover:.1%} in "
            f"{len(self.sources):,} of {self.pictures:,} pictures"
        )
        if self.expected in (None, len(self)):
            return line + (", as in OSMN's paper" if self.expected else "")
        return f"{line}; OSMN's paper has {self.expected:,}: not the official file?"

    def name(self, number):
        """Path of the picture of object `number`."""
        return str(self.sources[self._picture_of[number]])

    def image(self, number):
        """Object `number`: `(picture, mask)`.

        Returns:
            (H, W, 3) uint8 RGB and (H, W) uint8 of 0 and 1.

        Raises:
            InputError: a picture that cannot be decoded, or whose size is
                not the annotated one.
        """
        place = self._picture_of[number]
        size = tuple(self._sizes[place].tolist())
        picture = read_picture(self.sources[place], size)
        return picture, object_mask(self._code(number), size)

    def others(self, number):
        """(H, W) uint8 of 0 and 1: the other objects of object `number`'s picture."""
        place = self._picture_of[number]
        found = np.zeros(tuple(self._sizes[place].tolist()), np.uint8)
        first, last = np.searchsorted(self._picture_of, [place, place + 1])
        for other in range(first, last):
            if other != number:
                found |= object_mask(self._code(other), found.shape)
        return found

    def _code(self, number):
        start = int(self._ends[number - 1]) if number else 0
        return self._codes[start : int(self._ends[number])]

    def by_picture(self):
        """Iterates over the pictures that have objects.

        Yields:
            `(path, (height, width), objects)`; objects is a list of
            `(annotation id, cover, run lengths)`, see `object_mask`.
        """
        bounds = np.searchsorted(self._picture_of, np.arange(len(self.sources) + 1))
        for place, path in enumerate(self.sources):
            objects = [
                (int(self.annotation_ids[n]), float(self.covers[n]), self._code(n))
                for n in range(bounds[place], bounds[place + 1])
            ]
            yield path, tuple(self._sizes[place].tolist()), objects


def read_picture(path, size):
    """A picture of the annotated size, (H, W, 3) uint8 RGB.

    Raises:
        InputError: it cannot be decoded or has another size.
    """
    picture = read_frame(path)
    if picture.shape[:2] != size:
        raise InputError(
            f"{path} is {picture.shape[1]}x{picture.shape[0]}, but the annotations "
            f"say {size[1]}x{size[0]}; restore the picture."
        )
    return picture


def object_mask(code, size):
    """(H, W) uint8 of 0 and 1 from run lengths (bytes) and `(H, W)`.

    Raises:
        InputError: they do not fill the picture: a damaged index.
    """
    if run_lengths.decompressed(code).sum() != size[0] * size[1]:
        raise InputError(
            f"run lengths of an object do not fill its {size[1]}x{size[0]} picture; "
            "delete the index beside the annotations, it is made anew."
        )
    return run_lengths.mask_of(code, size)


def _load_index(annotations, path, min_cover):
    """The index in `path`, made anew if it is not of this annotation file."""
    with open(annotations, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    key = [_INDEX_VERSION, annotations.stat().st_size, digest, float(min_cover)]
    return stored_arrays(path, key, lambda: _make_index(annotations, min_cover))


def _make_index(annotations, min_cover):
    """Arrays that describe the objects of an annotation file."""
    pictures, objects, _ = read_annotations(annotations)
    order = {key: place for place, key in enumerate(pictures)}
    chosen, without = [], []
    for place, each in enumerate(objects):
        picture = pictures[each.picture]
        pixels = picture.size[0] * picture.size[1]
        if each.crowd or each.area <= min_cover * pixels:
            continue
        code = code_of(each, picture, annotations)
        entry = (order[each.picture], each.id, place, each.area / pixels, code)
        (chosen if code else without).append(entry)
    listed = list(pictures.values())
    if without:
        raise InputError(
            f"{annotations}: {len(without)} of {len(chosen) + len(without)} objects "
            f"have no segmentation that can be read, the first is annotation "
            f"{without[0][1]} of picture {listed[without[0][0]].name}; add polygons or "
            "run lengths, or leave these annotations out."
        )
    ids = [each[1] for each in chosen]
    if any(isinstance(each, str) or abs(each) >= 2**63 for each in ids):
        ids = [each[2] + 1 for each in chosen]
    chosen = sorted(zip(ids, chosen), key=lambda each: (each[1][0], each[0]))
    used = sorted({each[0] for _, each in chosen})
    place_of = {picture: k for k, picture in enumerate(used)}
    codes = [each[4] for _, each in chosen]
    return {
        "pictures": np.int64(len(listed)),
        "names": np.array([listed[i].name for i in used], dtype=np.str_),
        "sizes": np.array([listed[i].size for i in used], np.int32).reshape(-1, 2),
        "picture_of": np.array([place_of[each[0]] for _, each in chosen], np.int64),
        "ids": np.array([number for number, _ in chosen], np.int64),
        "covers": np.array([each[3] for _, each in chosen], np.float64),
        "codes": np.frombuffer(b"".join(codes), np.uint8),
        "ends": np.cumsum([len(code) for code in codes], dtype=np.int64),
    }
