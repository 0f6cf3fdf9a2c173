"""Masks in the formats of other programs: cut-outs, COCO tracks, submissions."""

import pathlib
import zipfile

import numpy as np
from PIL import Image
from pycocotools import mask as rle

from osmn_recurrent import files, masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import open_image
from osmn_recurrent.media.mask_files import read_mask


def cutout(frame, ids):
    """The objects without their background.

    Args:
        frame: (H, W, 3) uint8 RGB.
        ids: (H, W) uint8.

    Returns:
        (H, W, 4) uint8 RGBA: opaque where there is an object, elsewhere 0.
    """
    chosen = (ids > 0) & (ids != masks.VOID)
    result = np.zeros((*ids.shape, 4), np.uint8)
    result[chosen, :3], result[chosen, 3] = frame[chosen], 255
    return result


def write_cutout(path, frame, ids):
    """Writes `cutout` as a PNG, in one move."""
    with files.replace_when_done(path) as temporary:
        Image.fromarray(cutout(frame, ids)).save(temporary, format="PNG")


def tracks(name, paths, file_names=None):
    """The masks of a clip in COCO's run-length code, one track per object.

    The layout is that of YouTube-VIS, COCO's for videos: `videos`,
    `annotations` and `categories`; an annotation's `segmentations`, `areas`
    and `bboxes` (x, y, width, height) have one entry per frame, None where
    the object is not seen. `id` is the object id.

    Args:
        name: the clip's name.
        paths: its mask files, in order; read one at a time.
        file_names: names of its frames' files; by default those of the masks.

    Returns:
        Dict of JSON values.
    """
    found, size = {}, None
    for index, path in enumerate(paths):
        ids = read_mask(path)
        size = ids.shape
        for object_id in masks.object_ids(ids):
            code = rle.encode(np.asfortranarray(ids == object_id, np.uint8))
            entry = (
                {"size": list(size), "counts": code["counts"].decode("ascii")},
                float(rle.area(code)),
                [float(value) for value in rle.toBbox(code)],
            )
            rows = found.setdefault(object_id, [(None, None, None)] * len(paths))
            rows[index] = entry
    video = {"id": 1, "name": name, "height": size[0], "width": size[1]}
    names = file_names or [pathlib.Path(path).name for path in paths]
    annotations = []
    for object_id, rows in sorted(found.items()):
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
        "videos": [{**video, "length": len(names), "file_names": list(names)}],
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
