"""Pictures with object masks in three folders: a set of one's own for stage 1.

    FOLDER/JPEGImages/NAME.jpg  FOLDER/Annotations/NAME.png  FOLDER/ImageSets/SPLIT.txt

Masks are 8-bit PNGs whose pixel values are object ids, 255 is void (background);
lists have one name a line.
"""

import functools
import pathlib

import numpy as np
from tqdm import tqdm

from osmn_recurrent import masks, names, text_files
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import read_mask
from osmn_recurrent.media.pictures import read_frame

MIN_COVER = 0.01
"""Smallest share of its picture that an object covers to be asked for."""

CACHED = 4096
"""Pictures that are kept in memory once they were read."""


class ImageFolder:
    """Objects of a folder of pictures, one image each, as `CocoObjects`.

    Args:
        data_dir: the folder.
        split: name of the list under `ImageSets`.
        min_cover: smallest share of its picture that an object covers, exclusive.

    Attributes:
        pictures: names of the pictures, in the order of the list.

    Raises:
        InputError: a missing list, picture or mask, or no object.
    """

    def __init__(self, data_dir, split="train", min_cover=MIN_COVER):
        self.folder = pathlib.Path(data_dir)
        names.single(split, "the flag for a split")
        listed = self.folder / "ImageSets" / f"{split}.txt"
        if not listed.is_file():
            raise InputError(
                f"{listed}: no such file; expected ImageSets/{split}.txt beside "
                "JPEGImages and Annotations."
            )
        self.pictures = text_files.read_text(listed).split()
        self._objects, self._ids = [], []
        for place, name in enumerate(
            tqdm(self.pictures, "reading masks", unit="picture", leave=False)
        ):
            names.single(name, listed)
            ids = self._read_ids(name)
            self._ids.append(ids)
            for i in masks.object_ids(ids):
                if np.mean(ids == i) > min_cover:
                    self._objects.append((place, i))
        if not self._objects:
            raise InputError(
                f"no picture of {listed} has an object over {min_cover:.1%} of it; "
                "choose another split or check the masks."
            )

    def _read_ids(self, name):
        path = self.folder / "Annotations" / f"{name}.png"
        for needed in (path, self._picture_path(name)):
            if not needed.is_file():
                raise InputError(f"{needed}: no such file; {name} is in the list.")
        ids = read_mask(path)
        return np.where(ids == masks.VOID, np.uint8(0), ids)

    def _picture_path(self, name):
        return self.folder / "JPEGImages" / f"{name}.jpg"

    def __len__(self):
        return len(self._objects)

    def describe(self):
        """One line: how many objects in how many pictures."""
        return (
            f"{self.folder.name}: {len(self):,} objects in {len(self.pictures):,} "
            "pictures"
        )

    def name(self, number):
        """Path of the picture of object `number`."""
        return str(self._picture_path(self.pictures[self._objects[number][0]]))

    def image(self, number):
        """Object `number`: `(picture, mask)`.

        Returns:
            (H, W, 3) uint8 RGB and (H, W) uint8 of 0 and 1.
        """
        place, i = self._objects[number]
        return self._picture(place), (self._ids[place] == i).view(np.uint8)

    def others(self, number):
        """(H, W) uint8 of 0 and 1: the other objects of object `number`'s picture."""
        place, i = self._objects[number]
        ids = self._ids[place]
        return ((ids != 0) & (ids != i)).view(np.uint8)

    def by_picture(self):
        """Iterates over the pictures.

        Yields:
            `(picture, ids)`: (H, W, 3) uint8 RGB and (H, W) uint8.
        """
        for place, ids in enumerate(self._ids):
            yield self._picture(place), ids

    @functools.lru_cache(maxsize=CACHED)  # noqa: B019 - lives as long as training
    def _picture(self, place):
        path = self._picture_path(self.pictures[place])
        picture = read_frame(path)
        if picture.shape[:2] != self._ids[place].shape:
            height, width = self._ids[place].shape
            raise InputError(
                f"{path} is {picture.shape[1]}x{picture.shape[0]}, but its mask is "
                f"{width}x{height}; restore one of them."
            )
        return picture
