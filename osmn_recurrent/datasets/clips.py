"""The shared type of all data sets: a clip, read one frame at a time."""

import dataclasses
import functools
import hashlib
import itertools
import pathlib

import numpy as np

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import image_size
from osmn_recurrent.media.mask_files import DOCUMENT_SUFFIXES, MaskFiles
from osmn_recurrent.media.pictures import file_digest, read_frame


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
    pairs = [(pathlib.Path(path).stem, path) for path in mask_paths]
    return masks_by_name(pairs, frame_names, clip)


def masks_by_name(pairs, frame_names, clip):
    """`masks_by_frame` of masks whose frames are known.

    Args:
        pairs: list of `(frame name, mask path)`.
        frame_names: see `masks_by_frame`.
        clip: see there.
    """
    index = {name: i for i, name in enumerate(frame_names)}
    strays = [(name, path) for name, path in pairs if name not in index]
    if strays:
        names = ", ".join(
            path.name if path.stem == name else name for name, path in strays[:3]
        )
        raise InputError(
            f"{len(strays)} of the {len(pairs)} masks in "
            f"{strays[0][1].parent} belong to no frame of {clip} ({names}"
            f"{', ...' if len(strays) > 3 else ''}); name a mask like its "
            f"frame, {frame_names[0]}.png to {frame_names[-1]}.png."
        )
    found = {}
    for name, path in pairs:
        other = found.setdefault(index[name], path)
        if other is not path:
            raise InputError(
                f"{other} and {path} are both masks of frame {name} of "
                f"{clip}; give one of them."
            )
    return dict(sorted(found.items()))


@dataclasses.dataclass(frozen=True)
class Clip:
    """A video as a list of picture files, with masks for some frames.

    Attributes:
        name: the clip's name (a DAVIS sequence, a folder, a video file).
        frame_paths: one picture file per frame, in order.
        mask_paths: `{frame index: mask file}`; for segmentation those of the
            frames in which objects appear, for training and scoring every frame's.
        binary: DAVIS 2016 rule: every non-zero pixel is object 1.
        layered: whether masks bring objects one after the other, so that several
            of 0 and 255 are several objects, see `MaskFiles`.
        corrected: whether a later mask also replaces what was predicted for the
            objects in it, as in a project of the studio.
        dropped: `{frame index: ids}` of objects that are followed no longer.
        listed: `{object id: frame indexes}` in which an object is shown; in others it
            is followed, but takes no part in the merge. None: in all of them.
    """

    name: str
    frame_paths: tuple
    mask_paths: dict
    binary: bool = False
    layered: bool = False
    corrected: bool = False
    dropped: dict = dataclasses.field(default_factory=dict)
    listed: dict | None = None

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

    @property
    def first(self):
        """Index of the first frame with a mask."""
        return min(self.mask_paths)

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
        """Mask of frame `index`, (H, W) uint8 object ids, or None.

        A mask of another size and the frame's proportions is resized to it.
        """
        if index not in self.mask_paths:
            return None
        path = self.mask_paths[index]
        ids = self._mask_files.read(path, self.size, self._mask_frame(index))
        return (ids > 0).astype(np.uint8) if self.binary else ids

    def _mask_frame(self, index):
        """The frame's name, where a mask file may have masks of several."""
        document = pathlib.Path(self.mask_paths[index]).suffix in DOCUMENT_SUFFIXES
        return self.frame_names[index] if document else None

    @functools.cached_property
    def _mask_files(self):
        order = sorted(self.mask_paths)
        every = len(order) == len(self) > 2
        return MaskFiles(
            [self.mask_paths[index] for index in order],
            [self._mask_frame(index) for index in order],
            self.layered,
            all_frames=every,
        )

    def palette(self):
        """Colours of the objects: the palette of the first mask file (768 ints)."""
        return self._mask_files.palette() if self.mask_paths else masks.davis_palette()

    def check(self):
        """Refuses, before work starts, a clip that cannot be segmented.

        Looks at the headers of all pictures and reads all masks: they must
        exist, be readable and have one size, and some mask must hold an object.

        Raises:
            InputError: naming the file, what was found and expected.
        """
        if not len(self):
            raise InputError(f"clip {self.name} has no frames.")
        if not self.mask_paths:
            raise InputError(
                f"clip {self.name} has no mask; give at least the one of the "
                "frame in which its first object appears."
            )
        size = self.size
        for path in self.frame_paths:
            self._check_size(path, self._picture_size(path), size)
        shown = False
        for index in sorted(self.mask_paths):
            ids = self.mask(index)
            self._check_size(self.mask_paths[index], ids.shape, size)
            shown = shown or bool(masks.object_ids(ids))
        if not shown:
            raise InputError(
                f"{self.mask_paths[min(self.mask_paths)]} is empty: no object to "
                "follow; mark the objects in it with ids from 1 on."
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
