"""Masks in JSON: LabelMe, COCO (also for videos), SAM, run lengths alone."""

import base64
import binascii
import dataclasses
import io
import math
import pathlib
import re

import numpy as np
from PIL import Image, ImageDraw

from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import check_size
from osmn_recurrent.media import run_lengths
from osmn_recurrent.media.decoded_mask import DecodedMask, one_object
from osmn_recurrent.media.mask_images import MOST_OBJECTS
from osmn_recurrent.text_files import read_json

_EXPECTED = (
    "expected LabelMe's, COCO's or SAM's JSON, or run lengths with size and counts"
)

_MALFORMED = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
)


@dataclasses.dataclass(frozen=True)
class Shape:
    """One object in one frame.

    Attributes:
        key: what tells it from others, see `DecodedMask`.
        draw: function without arguments that gives its (H, W) mask.
        name: what it is called in messages.
    """

    key: tuple
    draw: object
    name: str


@dataclasses.dataclass(frozen=True)
class MaskDocument:
    """A JSON file of masks.

    Attributes:
        path: the file.
        frames: `{frame name: (size, list of Shape)}`; one frame without a name
            where the file is of one picture alone.
        numbered: whether it says which object is which.
        notes: see `DecodedMask`.
    """

    path: pathlib.Path
    frames: dict
    numbered: bool = True
    notes: tuple = ()

    def entry(self, frame=None):
        """`(size, shapes)` of a frame, or of the only one.

        Raises:
            InputError: the file has several frames and none of that name.
        """
        if len(self.frames) == 1:
            return next(iter(self.frames.values()))
        if frame in self.frames:
            return self.frames[frame]
        if frame is not None and frame.isdecimal():  # frame_000012 for 00012
            ends = re.compile(rf"(.*\D)?0*{int(frame)}")
            same = [name for name in self.frames if ends.fullmatch(name)]
            if len(same) == 1:
                return self.frames[same[0]]
        names = list(self.frames)
        listed = f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        raise InputError(
            f"{self.path} holds masks of {len(names)} frames ({listed}), "
            + (f"none of them {frame}" if frame else "and which is meant is not said")
            + "; give a file with one of them, or name frames as they are named there."
        )

    def decode(self, frame=None):
        """Draws the masks of a frame.

        Args:
            frame: its name.

        Returns:
            `DecodedMask`. Where objects overlap the smaller one is seen.

        Raises:
            InputError: see `entry`; a shape that cannot be drawn, or too many.
        """
        size, shapes = self.entry(frame)
        keys = list(dict.fromkeys(shape.key for shape in shapes))
        if len(keys) > MOST_OBJECTS:
            raise InputError(
                f"{self.path} has {len(keys)} objects in a frame, more than "
                f"{MOST_OBJECTS}; leave some of them out."
            )
        drawn = []
        for shape in shapes:
            try:
                mask = np.asarray(shape.draw(), bool)
                drawn.append((np.count_nonzero(mask), shape.key, np.packbits(mask)))
            except _MALFORMED as error:
                raise InputError(
                    f"{self.path}: {shape.name} cannot be drawn ({_told(error)}); "
                    "correct it or leave it out."
                ) from None
        labels = np.zeros(size, np.uint8)
        for _, key, bits in sorted(drawn, key=lambda each: -each[0]):
            mask = np.unpackbits(bits, count=labels.size).reshape(size)
            labels[mask > 0] = keys.index(key) + 1
        if not self.numbered:
            return one_object(labels)
        return DecodedMask(labels, tuple(keys), notes=self.notes)


def read_document(path):
    """Reads a JSON file of masks.

    Args:
        path: LabelMe's (polygons, rectangles, circles, masks), COCO's instances
            (polygons, run lengths), COCO's for videos (YouTube-VIS), a picture of
            SA-1B or the list that SAM's mask generator gives, or one run-length code.

    Returns:
        `MaskDocument`; nothing is drawn yet.

    Raises:
        InputError: no JSON, or one of something else.
    """
    path = pathlib.Path(path)
    content = read_json(path, f"a mask, {_EXPECTED}")
    try:
        if isinstance(content, list):
            return _generated(content, path)
        if not isinstance(content, dict):
            raise KeyError("shapes")
        if "shapes" in content:
            return _labelme(content, path)
        if "videos" in content and "annotations" in content:
            return _videos(content, path)
        if "images" in content and "annotations" in content:
            return _coco(content, path)
        if "image" in content and "annotations" in content:
            return _sam(content, path)
        return _code_alone(content, path)
    except _MALFORMED as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} is no mask that can be read ({_told(error)}); {_EXPECTED}."
        ) from None


def _told(error):
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _sides(height, width, path):
    """Checked (height, width)."""
    sides = []
    for name, side in (("height", height), ("width", width)):
        if isinstance(side, bool) or not float(side).is_integer() or side < 1:
            raise ValueError(f"{side!r} is no {name}")
        sides.append(int(side))
    check_size(path, sides[1], sides[0], "mask")
    return tuple(sides)


# LabelMe.


def _labelme(content, path):
    size = _sides(content["imageHeight"], content["imageWidth"], path)
    shapes, counts, left = [], {}, set()
    for place, each in enumerate(content["shapes"]):
        kind = each.get("shape_type") or "polygon"
        if kind not in _LABELME:
            left.add(kind)
            continue
        label, group = str(each["label"]), each.get("group_id")
        if label.strip().isdecimal() and 0 < int(label) <= MOST_OBJECTS:
            key = ("value", int(label))
        elif group is not None:
            key = ("label", label, f"group {group}")
        else:  # as LabelMe has it: every shape without a group is one of its own
            counts[label] = counts.get(label, 0) + 1
            key = ("label", label, counts[label])
        shapes.append(
            Shape(
                key,
                lambda each=each, kind=kind: _LABELME[kind](each, size),
                f"shape {place} ({label})",
            )
        )
    notes = ()
    if left:
        notes = (
            ("shapes", f"has shapes that are no areas ({', '.join(sorted(left))})"),
        )
    return MaskDocument(path, {None: (size, shapes)}, notes=notes)


def _corners(points, size):
    """(N, 2) checked x, y."""
    corners = np.array(points, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2:
        raise ValueError("its points are no list of x, y")
    run_lengths.of_polygons([corners.ravel().tolist()], size)  # refuses far ones
    return corners


def _drawn(size, kind, points):
    image = Image.new("1", (size[1], size[0]))
    pen = ImageDraw.Draw(image)
    getattr(pen, kind)([tuple(p) for p in points.tolist()], outline=1, fill=1)
    return np.asarray(image)


def _polygon(shape, size):
    corners = _corners(shape["points"], size)
    if len(corners) < 3:
        raise ValueError("a polygon has three corners at least")
    return _drawn(size, "polygon", corners)


def _rectangle(shape, size):
    corners = _corners(shape["points"], size)
    return _drawn(size, "rectangle", np.stack([corners.min(0), corners.max(0)]))


def _circle(shape, size):
    middle, edge = _corners(shape["points"], size)
    radius = math.dist(middle, edge)
    return _drawn(size, "ellipse", np.stack([middle - radius, middle + radius]))


def _stored_mask(shape, size):
    """A box with a PNG of the mask in it, of LabelMe 5.3 and later."""
    corners = _corners(shape["points"], size)
    left, top = corners.min(0).astype(int)
    try:
        content = base64.b64decode(shape["mask"], validate=True)
        with Image.open(io.BytesIO(content)) as image:
            check_size("a shape's mask", *image.size)
            own = np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError) as error:
        raise ValueError(f"its mask is no picture: {error}") from None
    mask = np.zeros(size, bool)
    part = mask[max(top, 0) : top + own.shape[0], max(left, 0) : left + own.shape[1]]
    part[:] = own[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
    return mask


_LABELME = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
    "mask": _stored_mask,
}
"""What draws a kind of shape: function of the shape and the size."""


# COCO and SAM.


def _coco(content, path):
    """Frames by the names of their pictures, without their folders."""
    pictures, frames, named = {}, {}, {}
    for each in content["images"]:
        name = str(each["file_name"]).replace("\\", "/")
        size = _sides(each["height"], each["width"], path)
        pictures[str(each["id"])] = pathlib.PurePosixPath(name).stem, size
    for each in content["annotations"]:
        number = str(each["image_id"])
        name, size = pictures[number]
        if named.setdefault(name, number) != number:
            raise ValueError(f"it has two pictures of the name {name}")
        shape = _annotation(each, size, _coco_key(each))
        frames.setdefault(name, (size, []))[1].append(shape)
    if not frames:
        frames = {name: (size, []) for name, size in pictures.values()}
    if not frames:
        raise ValueError("it lists no pictures")
    return MaskDocument(path, frames)


def _coco_key(annotation):
    """An object's track where there are tracks, else itself."""
    attributes = annotation.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    for track in (annotation.get("track_id"), attributes.get("track_id")):
        if isinstance(track, int) and 0 < track <= MOST_OBJECTS:
            return ("value", track)
        if track is not None:
            return ("track", str(track))
    return ("annotation", str(annotation["id"]))


def _annotation(annotation, size, key):
    given = annotation["segmentation"]

    def draw():
        return _segmentation(given, size)

    return Shape(key, draw, f"annotation {annotation.get('id', key[1])}")


def _segmentation(given, size):
    """(H, W) mask of polygons, run lengths or rows of pixels."""
    if isinstance(given, dict):
        return run_lengths.mask_of(run_lengths.of_counts(given, size), size)
    rows = np.asarray(given, object)
    if rows.shape == tuple(size) and set(np.unique(rows).tolist()) <= {0, 1}:
        return rows.astype(bool)
    return run_lengths.mask_of(run_lengths.of_polygons(given, size), size)


def _videos(content, path):
    """YouTube-VIS: a segmentation per object and frame."""
    videos = {str(each["id"]): each for each in content["videos"]}
    if len(videos) != 1:
        raise ValueError(f"it is of {len(videos)} videos, not of one")
    (video,) = videos.values()
    size = _sides(video["height"], video["width"], path)
    names = [
        pathlib.PurePosixPath(str(name).replace("\\", "/")).stem
        for name in video["file_names"]
    ]
    frames = {name: (size, []) for name in names}
    for each in content["annotations"]:
        number = each["id"]
        known = isinstance(number, int) and 0 < number <= MOST_OBJECTS
        key = ("value", number) if known else ("track", str(number))
        for name, given in zip(names, each["segmentations"], strict=True):
            if given is not None:
                one = {"id": number, "segmentation": given}
                frames[name][1].append(_annotation(one, size, key))
    return MaskDocument(path, frames)


def _sam(content, path):
    """A picture of SA-1B."""
    image = content["image"]
    size = _sides(image["height"], image["width"], path)
    shapes = [
        _annotation(each, size, ("annotation", str(each.get("id", place))))
        for place, each in enumerate(content["annotations"])
    ]
    return MaskDocument(path, {None: (size, shapes)})


def _generated(content, path):
    """The list of masks that SAM's mask generator gives."""
    if not content:
        raise ValueError("it lists no masks")
    given = content[0]["segmentation"]
    sides = given["size"] if isinstance(given, dict) else (len(given), len(given[0]))
    size = _sides(*sides, path)
    shapes = [
        _annotation(each, size, ("annotation", str(place)))
        for place, each in enumerate(content, 1)
    ]
    return MaskDocument(path, {None: (size, shapes)})


def _code_alone(content, path):
    """Run lengths of one object."""
    size = _sides(*content["size"], path)
    shape = Shape(("code",), lambda: _segmentation(content, size), "the code")
    return MaskDocument(path, {None: (size, [shape])}, numbered=False)
