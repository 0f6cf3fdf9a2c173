"""The shared type of all data sets: a clip, read one frame at a time."""

import dataclasses
import pathlib

import numpy as np
from PIL import Image, UnidentifiedImageError

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def read_frame(path):
    """Reads a picture as (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is missing, truncated or no picture.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such frame.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"frame {path} cannot be decoded ({error}); replace or re-encode "
            "this file."
        ) from None


def image_size(path):
    """(height, width) of a picture file, from its header alone."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(
            f"{path} is not a picture that can be read ({error})."
        ) from None


@dataclasses.dataclass(frozen=True)
class Clip:
    """A video as a list of picture files, with masks for some frames.

    Attributes:
        name: the clip's name (a DAVIS sequence, a folder, a video file).
        frame_paths: one picture file per frame, in order.
        mask_paths: `{frame index: mask file}`; at least the first frame's
            for segmentation, every frame's for training and scoring.
        binary: DAVIS 2016 rule: every non-zero pixel is object 1.
    """

    name: str
    frame_paths: tuple
    mask_paths: dict
    binary: bool = False

    def __len__(self):
        return len(self.frame_paths)

    @property
    def frame_names(self):
        """File stems of the frames; masks are written under these names."""
        return tuple(pathlib.Path(p).stem for p in self.frame_paths)

    @property
    def size(self):
        """(height, width) of the first frame."""
        return image_size(self.frame_paths[0])

    def frame(self, index):
        """Frame `index` as (H, W, 3) uint8 RGB."""
        return read_frame(self.frame_paths[index])

    def frames(self, start=0):
        """Iterates over the frames from `start` on, (H, W, 3) uint8 RGB."""
        for index in range(start, len(self)):
            yield self.frame(index)

    def mask(self, index):
        """Mask of frame `index`, (H, W) uint8 object ids, or None."""
        if index not in self.mask_paths:
            return None
        ids = masks.read_mask(self.mask_paths[index])
        return (ids > 0).astype(np.uint8) if self.binary else ids

    def palette(self):
        """The palette of the clip's first mask file (768 ints)."""
        if not self.mask_paths:
            return masks.davis_palette()
        first = self.mask_paths[min(self.mask_paths)]
        return masks.read_mask_with_palette(first)[1]

    def check(self):
        """Refuses, before work starts, a clip that cannot be segmented.

        Looks at the headers of all pictures: they must exist, be readable
        and have one size, and so must the masks.

        Raises:
            InputError: naming the file, what was found and expected.
        """
        if not self.frame_paths:
            raise InputError(f"clip {self.name} has no frames.")
        height, width = self.size
        files = [*self.frame_paths, *self.mask_paths.values()]
        for path in files:
            found = image_size(path)
            if found != (height, width):
                raise InputError(
                    f"{path} is {found[1]}x{found[0]}, but "
                    f"{self.frame_paths[0]} is {width}x{height}; all frames "
                    "and masks of a clip must have the same size, resize one "
                    "of them."
                )
