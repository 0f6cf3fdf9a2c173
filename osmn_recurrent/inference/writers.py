"""Masks in the formats of other programs: cut-outs, COCO tracks, submissions."""

import pathlib
import zipfile

import numpy as np
from PIL import Image
from pycocotools import mask as rle

from osmn_recurrent import files, masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import open_image
from osmn_recurrent.inference.followers import Follower


def cutout(frame, ids, alpha=None):
    """The objects without their background.

    Args:
        frame: (H, W, 3) uint8 RGB.
        ids: (H, W) uint8.
        alpha: (H, W) uint8 opacity. Default: 255 where there is an object.

    Returns:
        (H, W, 4) uint8 RGBA: the frame where it is not transparent, elsewhere 0.
    """
    chosen = (ids > 0) & (ids != masks.VOID) if alpha is None else alpha > 0
    result = np.zeros((*ids.shape, 4), np.uint8)
    result[chosen, :3] = frame[chosen]
    result[chosen, 3] = 255 if alpha is None else alpha[chosen]
    return result


class Cutouts(Follower):
    """Writes `cutout`s as FOLDER/FRAME.png.

    Args:
        path: the folder.
        names: names of the frames.
    """

    def __init__(self, path, names):
        super().__init__(path)
        self._names, self._next = tuple(names), 0

    def is_there(self):
        """Whether there is one of every frame."""
        return all((self.path / f"{name}.png").exists() for name in self._names)

    def __enter__(self):
        files.sweep(self.path)
        return self

    def write(self, frame, ids, alpha=None):
        """Writes the next frame's, in one move."""
        path = self.path / f"{self._names[self._next]}.png"
        self._next += 1
        with files.replace_when_done(path) as temporary:
            Image.fromarray(cutout(frame, ids, alpha)).save(temporary, format="PNG")


class Tracks(Follower):
    """Writes masks in COCO's run-length code, one track per object.

    The layout is that of YouTube-VIS, COCO's for videos: `videos`,
    `annotations` and `categories`; an annotation's `segmentations`, `areas`
    and `bboxes` (x, y, width, height) have one entry per frame, None where
    the object is not seen. `id` is the object id.

    Args:
        path: the JSON file.
        name: the clip's name.
        file_names: names of its frames' files.
    """

    def __init__(self, path, name, file_names):
        super().__init__(path)
        self._name, self._file_names = name, list(file_names)
        self._found, self._size, self._next = {}, None, 0

    def write(self, frame, ids, alpha=None):
        """Takes the next frame's mask."""
        self._size = ids.shape
        for object_id in masks.object_ids(ids):
            code = rle.encode(np.asfortranarray(ids == object_id, np.uint8))
            entry = (
                {"size": list(ids.shape), "counts": code["counts"].decode("ascii")},
                float(rle.area(code)),
                [float(value) for value in rle.toBbox(code)],
            )
            empty = [(None, None, None)] * len(self._file_names)
            self._found.setdefault(object_id, empty)[self._next] = entry
        self._next += 1

    def __exit__(self, kind, *rest):
        if kind is None:
            files.write_json(self.path, self._content())

    def _content(self):
        names = self._file_names
        video = {
            "id": 1,
            "name": self._name,
            "height": self._size[0],
            "width": self._size[1],
            "length": len(names),
            "file_names": names,
        }
        annotations = []
        for object_id, rows in sorted(self._found.items()):
            segmentations, areas, boxes = (
                list(column) for column in zip(*rows, strict=True)
            )
            annotations.append(
                {
                    "id": object_id,
                    "video_id": 1,
                    "category_id": 1,
                    "iscrowd": 0,
                    "segmentations": segmentations,
                    "areas": areas,
                    "bboxes": boxes,
                }
            )
        return {
            "videos": [video],
            "annotations": annotations,
            "categories": [{"id": 1, "name": "object", "supercategory": "object"}],
        }


def write_submission(path, results, sequences, layout):
    """Packs masks as a benchmark's server wants them.

    Check them first (`metrics.result_folder.check_folder`). Equal masks give
    equal files, byte for byte.

    Args:
        path: the zip file.
        results: folder with SEQUENCE/FRAME.png.
        sequences: `{sequence: names of its frames}`; other files stay out.
        layout: what stands before SEQUENCE/FRAME.png in the archive: nothing
            for DAVIS, "Annotations/" for YouTube-VOS (`Dataset.server_layout`).

    Raises:
        InputError: a mask is missing, or is no palette PNG, whose ids the
            servers would not read.
    """
    results = pathlib.Path(results)
    members = [
        (results / name / f"{frame}.png", f"{layout}{name}/{frame}.png")
        for name, frames in sorted(sequences.items())
        for frame in frames
    ]
    for source, _ in members:
        _check_palette(source)
    with (
        files.replace_when_done(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for source, name in members:
            # A fixed date; PNGs are compressed already.
            archive.writestr(zipfile.ZipInfo(name), source.read_bytes())


def _check_palette(path):
    if not path.is_file():
        raise InputError(f"{path}: no such mask, and the server wants it.")
    with open_image(path, kind="mask") as image:
        mode = image.mode
    if mode != "P":
        raise InputError(
            f"{path} is a PNG of mode {mode}, expected a palette PNG whose values "
            "are object ids; write it with osmn_recurrent.write_mask."
        )
