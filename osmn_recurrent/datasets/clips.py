"""The shared type of all data sets: a clip, read one frame at a time."""

import dataclasses
import hashlib
import itertools
import pathlib
import re

import cv2
import numpy as np

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import image_size, open_image

_JPEG_END = b"\xff\xd9"
FRAME_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def read_frame(path, content=None):
    """Reads a picture as (H, W, 3) uint8 RGB.

    Args:
        path: the file; a mere name, for messages, if there is content.
        content: bytes of the encoded picture, or None.

    Raises:
        InputError: the file is missing, truncated, no picture, too large, or
            has more than 8 bits per channel.
    """
    with open_image(path, content, "frame") as image:
        if image.mode[0] not in "IF":
            if content is None and image.format == "JPEG":
                content = pathlib.Path(path).read_bytes()
            return _pixels(image, content)
    # Pillow would clip its values, not scale them.
    raise InputError(
        f"frame {path} has more than 8 bits per channel; save it as an 8-bit picture."
    )


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


def _pixels(image, content):
    """RGB of an opened picture; `content` is its file.

    OpenCV decodes colour JPEGs to the same pixels in two thirds of Pillow's
    time. It does not tell a truncated file from a whole one, so that files
    without an end marker are left to Pillow.
    """
    if image.format == "JPEG" and image.mode == "RGB" and content[-2:] == _JPEG_END:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        frame = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        if frame is not None:
            return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, frame)
    return np.array(image.convert("RGB"))


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
    paths.sort(key=lambda path: (_natural_key(path.stem), path.name))
    by_stem = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise InputError(
                f"{folder} holds both {other.name} and {path.name}; keep one "
                "picture per frame there, and masks in a folder of their own."
            )
    return paths


def sizes_digest(clips):
    """What tells that files of clips were replaced, without reading them.

    Args:
        clips: list of `Clip`s.

    Returns:
        SHA-256 of the names and sizes of all frames' and masks' files.
    """
    digest = hashlib.sha256()
    for clip in clips:
        for path in (*clip.input_files(), *clip.mask_paths.values()):
            path = pathlib.Path(path)
            size = path.stat().st_size if path.is_file() else 0
            digest.update(f"{clip.name}/{path.name} {size}\n".encode())
    return digest.hexdigest()


def pieces_of(clip, length):
    """Cuts a clip into pieces of about `length` frames.

    Args:
        clip: `Clip` with a mask for every frame.
        length: frames; the pieces are equally long, give or take one.

    Returns:
        List of `Clip`s CLIP-0, CLIP-1, ...; a piece begins with the first of
        its frames that shows an object, and one without any is left out.
    """
    edges = np.linspace(0, len(clip), max(1, round(len(clip) / length)) + 1)
    edges, found = edges.round().astype(int), []
    for number, (start, stop) in enumerate(itertools.pairwise(edges)):
        shown = (t for t in range(start, stop) if masks.object_ids(clip.mask(t)))
        start = next(shown, stop)
        if start == stop:
            continue
        found.append(
            dataclasses.replace(
                clip,
                name=f"{clip.name}-{number}",
                frame_paths=clip.frame_paths[start:stop],
                mask_paths={t - start: clip.mask_paths[t] for t in range(start, stop)},
            )
        )
    return found


def _natural_key(stem):
    # re.split puts text at even and digits at odd places, so that keys of
    # different files compare text with text and number with number.
    parts = re.split(r"(\d+)", stem)
    parts[1::2] = map(int, parts[1::2])
    return parts


def masks_by_frame(mask_paths, frame_names, clip):
    """Assigns mask files to the frames whose names they bear.

    Args:
        mask_paths: files whose stems are names of frames.
        frame_names: stems of the clip's frames, in order.
        clip: where the frames are, for the error message.

    Returns:
        `{frame index: mask path}`, in order of frames.

    Raises:
        InputError: a mask that names no frame, or two for one frame.
    """
    index = {name: i for i, name in enumerate(frame_names)}
    strays = [path for path in mask_paths if path.stem not in index]
    if strays:
        names = ", ".join(path.name for path in strays[:3])
        raise InputError(
            f"{len(strays)} of the {len(mask_paths)} masks in "
            f"{strays[0].parent} belong to no frame of {clip} ({names}"
            f"{', ...' if len(strays) > 3 else ''}); name a mask like its "
            f"frame, {frame_names[0]}.png to {frame_names[-1]}.png."
        )
    found = {}
    for path in mask_paths:
        other = found.setdefault(index[path.stem], path)
        if other is not path:
            raise InputError(
                f"{other} and {path} are both masks of frame {path.stem} of "
                f"{clip}; give one of them."
            )
    return dict(sorted(found.items()))


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

    def input_files(self):
        """Files that the frames are read from, which no result may replace."""
        return self.frame_paths

    def frame_digests(self):
        """What tells the frames from others of the same names.

        Returns:
            tuple of str, one per frame: of the file that it is read from.
        """
        return tuple(file_digest(path) for path in self.frame_paths)

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

        Looks at the headers of all pictures and reads all masks: they must
        exist, be readable and have one size, and the first mask must hold
        an object.

        Raises:
            InputError: naming the file, what was found and expected.
        """
        if not len(self):
            raise InputError(f"clip {self.name} has no frames.")
        if not self.mask_paths:
            raise InputError(
                f"clip {self.name} has no mask; give at least the one of the "
                "frame in which its objects first appear."
            )
        size = self.size
        for path in self.frame_paths:
            self._check_size(path, self._picture_size(path), size)
        for index in sorted(self.mask_paths):
            path, ids = self.mask_paths[index], self.mask(index)
            self._check_size(path, ids.shape, size)
            if index == min(self.mask_paths) and not masks.object_ids(ids):
                raise InputError(
                    f"{path} is empty: no object to follow; mark the objects "
                    "in it with ids from 1 on."
                )

    def _picture_size(self, path):
        return image_size(path)

    def _check_size(self, path, found, size):
        if found != size:
            raise InputError(
                f"{path} is {found[1]}x{found[0]}, but frame "
                f"{self.frame_names[0]} of {self.name} is {size[1]}x{size[0]}; "
                "all frames and masks of a clip must have the same size, "
                "resize one of them (masks: nearest neighbour)."
            )
