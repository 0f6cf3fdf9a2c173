"""Finding the mask files of a clip in folders as people and tools have them."""

import pathlib
import re

from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import (
    DOCUMENT_SUFFIXES,
    MASK_SUFFIXES,
    document,
    say_once,
)
from osmn_recurrent.media.pictures import picture_paths

_LAYOUTS = ("SegmentationObject", "SegmentationClass", "Annotations", "annotations")
"""Folders that CVAT and data sets keep masks in, objects before classes."""


def masks_in(folder, video=None):
    """The mask files of a folder, or of one inside it.

    PNGs are taken before JSON, and JSON before other pictures. Where there is none,
    it looks into the folders that CVAT exports (SegmentationObject,
    SegmentationClass), into Annotations as of DAVIS, and into the only folder, or the
    one that is called like the video.

    Args:
        folder: where to look.
        video: folder or file of the frames: pictures beside them are no masks.

    Returns:
        List of `pathlib.Path`, in natural order.

    Raises:
        InputError: none are found, or two of one name.
    """
    folder, name = pathlib.Path(folder), pathlib.Path(video).stem if video else None
    own = video is not None and pathlib.Path(video).is_dir()
    own = own and folder.resolve() == pathlib.Path(video).resolve()
    for _ in range(5):  # DATA/Annotations/480p/SEQUENCE, and one to spare
        kinds = [(".png",), DOCUMENT_SUFFIXES, MASK_SUFFIXES]
        for suffixes in [DOCUMENT_SUFFIXES] if own else kinds:
            paths = picture_paths(folder, suffixes)
            paths = [path for path in paths if path.name != "run.json"]
            if paths:
                return paths
        below = sorted(path for path in folder.iterdir() if path.is_dir())
        names = [path.name for path in below]
        chosen = next((each for each in (*_LAYOUTS, name) if each in names), None)
        if chosen is None and len(below) != 1:
            break
        folder = folder / chosen if chosen else below[0]
    listed = f" (it has the folders {', '.join(names[:5])})" if below else ""
    raise InputError(
        f"{folder} holds no masks{listed}; expected pictures or JSON files named like "
        "their frames."
    )


def named_masks(paths, frame_names, counted=False):
    """The frames that mask files are of, by the files' names.

    Args:
        paths: mask files; a JSON file with masks of several frames names them itself.
        frame_names: names of the clip's frames.
        counted: whether frames have no names but numbers, as those of a video file.
            Then names that end in a number (frame_000012) are of that frame, where no
            file has a frame's name.

    Returns:
        List of `(frame name, path)`. Of a file with several frames those that are
        not the clip's are left out, unless all are.
    """
    pairs, known = [], set(frame_names)
    for path in map(pathlib.Path, paths):
        names = [path.stem]
        if path.suffix.lower() in DOCUMENT_SUFFIXES:
            own = [name for name in document(path).frames if name is not None]
            if len(own) > 1 or known & set(own):
                names = [name for name in own if name in known] or own
        pairs += [(name, path) for name in names]
    if counted and not any(name in known for name, _ in pairs):
        numbers = [re.fullmatch(r"(.*?)(\d+)", name) for name, _ in pairs]
        if all(numbers) and len({found[1] for found in numbers}) == 1:
            places = [int(found[2]) for found in numbers]
            if max(places) < len(frame_names):
                say_once(
                    pairs[0][1],
                    "numbers",
                    "and others are taken for the frames of their numbers "
                    f"({pairs[0][0]}: {frame_names[places[0]]})",
                )
                return [(frame_names[k], path) for k, (_, path) in zip(places, pairs)]
    return pairs


def frames_of(path):
    """Names of the frames that a file has masks of, () for one without names."""
    if pathlib.Path(path).suffix.lower() not in DOCUMENT_SUFFIXES:
        return ()
    return tuple(name for name in document(path).frames if name is not None)
