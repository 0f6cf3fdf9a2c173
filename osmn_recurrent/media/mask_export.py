"""Writing masks as other programs want them."""

import base64
import functools
import io
import json
import pathlib

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as run_lengths

from osmn_recurrent import files, masks
from osmn_recurrent.media.mask_files import write_mask

FORMATS = {
    "palette": "OUT/FRAME.png, indexed, values are ids",
    "grey": "OUT/FRAME.png, grey, values are ids",
    "binary": "OUT/OBJECT/FRAME.png, 0 and 255, of every object in every frame",
    "rgba": "OUT/FRAME.png, the objects' colours on a transparent background",
    "labelme": "OUT/FRAME.json of LabelMe",
    "coco": "OUT/masks.json of COCO, run lengths",
}
"""Formats by the names that users give, and what is written."""


def write_masks(folder, named, kind, palette=None):
    """Writes the masks of a clip, each file in one move.

    Args:
        folder: for the files.
        named: iterable of `(frame name, (H, W) uint8 ids)`; 255, void, is written by
            "palette" and "grey" alone.
        kind: key of `FORMATS`.
        palette: 768 ints, colours of the ids. Default: DAVIS'.

    Returns:
        List of the paths written.

    Raises:
        InputError: a file cannot be written.
    """
    folder, paths = pathlib.Path(folder), []
    palette = palette or masks.davis_palette()
    sizes, objects = {}, set()
    coco = {"images": [], "annotations": [], "categories": []}
    for name, ids in named:
        if kind == "coco":
            _add_to_coco(coco, name, ids)
            continue
        if kind == "binary":
            sizes[name] = ids.shape
            objects |= set(masks.object_ids(ids))
            for number in masks.object_ids(ids):
                path = folder / str(number) / f"{name}.png"
                _save(path, Image.fromarray((ids == number) * np.uint8(255)))
                paths.append(path)
            continue
        path = folder / f"{name}.{'json' if kind == 'labelme' else 'png'}"
        if kind == "labelme":
            files.write_text(path, json.dumps(_labelme(name, ids), indent=1) + "\n")
        elif kind == "palette":
            write_mask(path, ids, palette)
        elif kind == "grey":
            _save(path, Image.fromarray(ids))
        else:
            _save(path, Image.fromarray(_coloured(ids, palette)))
        paths.append(path)
    for number in sorted(objects):  # frames in which an object is not to be seen
        for name, size in sizes.items():
            path = folder / str(number) / f"{name}.png"
            if not path.exists():
                _save(path, Image.fromarray(np.zeros(size, np.uint8)))
                paths.append(path)
    if kind == "coco":
        coco["categories"] = [{"id": 1, "name": "object", "supercategory": "object"}]
        files.write_json(folder / "masks.json", coco)
        paths.append(folder / "masks.json")
    return paths


def _save(path, image):
    with files.replace_when_done(path) as temporary:
        image.save(temporary, format="PNG")


def _coloured(ids, palette):
    """(H, W, 4) uint8 RGBA."""
    shown = np.isin(ids, masks.object_ids(ids))
    colours = np.array(palette, np.uint8).reshape(256, 3)[ids]
    return np.dstack([colours, np.full(ids.shape, 255, np.uint8)]) * shown[..., None]


def _add_to_coco(coco, name, ids):
    number = len(coco["images"]) + 1
    coco["images"].append(
        {
            "id": number,
            "file_name": f"{name}.jpg",
            "height": ids.shape[0],
            "width": ids.shape[1],
        }
    )
    for each in masks.object_ids(ids):
        code = run_lengths.encode(np.asfortranarray(ids == each, np.uint8))
        coco["annotations"].append(
            {
                "id": len(coco["annotations"]) + 1,
                "image_id": number,
                "category_id": 1,
                "track_id": each,
                "iscrowd": 0,
                "area": float(run_lengths.area(code)),
                "bbox": [float(value) for value in run_lengths.toBbox(code)],
                "segmentation": {
                    "size": list(ids.shape),
                    "counts": code["counts"].decode("ascii"),
                },
            }
        )


def _labelme(name, ids):
    shapes = []
    for number in masks.object_ids(ids):
        for shape in _shapes(ids == number):
            shapes.append(
                {
                    "label": str(number),
                    "group_id": number,
                    "flags": {},
                    "description": "",
                    **shape,
                }
            )
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{name}.jpg",
        "imageData": None,
        "imageHeight": ids.shape[0],
        "imageWidth": ids.shape[1],
    }


def _shapes(mask):
    """A polygon per component; its pixels where no polygon draws it, such as a ring."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    for number in range(1, count):
        own = labels == number
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        top, left, bottom, right = rows[0], columns[0], rows[-1], columns[-1]
        part = own[top : bottom + 1, left : right + 1]
        corners = _outline(part)
        if len(corners) >= 3 and np.array_equal(_filled(part.shape, corners), part):
            points = np.add(corners, (left, top)).tolist()
            yield {"shape_type": "polygon", "points": points, "mask": None}
            continue
        file = io.BytesIO()
        Image.fromarray(part).save(file, "PNG")
        yield {
            "shape_type": "mask",
            "points": [[int(left), int(top)], [int(right), int(bottom)]],
            "mask": base64.b64encode(file.getvalue()).decode("ascii"),
        }


def _outline(part):
    """(N, 2) x, y of the pixels around a component; none if it has holes."""
    found, _ = cv2.findContours(
        part.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    )
    return found[0][:, 0] if len(found) == 1 else np.zeros((0, 2), int)


def _filled(size, corners):
    image = Image.new("1", size[::-1])
    ImageDraw.Draw(image).polygon([tuple(p) for p in corners.tolist()], 1, 1)
    return np.asarray(image)


@functools.cache
def help_text():
    """The formats, for --help."""
    return "; ".join(f"{name}: {what}" for name, what in FORMATS.items())
