"""The table of docs/masks.md: every row's file, given to the reader of osmn segment."""

import base64
import io
import json
import pathlib
import re
import warnings

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_lengths
from test_mask_files import KINDS, SIZE, THREE, TWO, box, grey_png, ids, painted, save

from osmn_recurrent import masks
from osmn_recurrent.cli import convert_masks
from osmn_recurrent.datasets.video_files import open_clip
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.media import mask_files
from osmn_recurrent.media.mask_export import FORMATS, write_masks

PAGE = pathlib.Path(__file__).parents[2] / "docs/masks.md"
HEIGHT, WIDTH = SIZE
LEFT, RIGHT = box(), ids(0, 1)


def rows(heading):
    """Cells of the table below a heading, without its first two lines."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1]
    lines = [x for x in text.split("\n## ")[0].splitlines() if x.startswith("|")]
    return [[cell.strip() for cell in x.strip("|").split("|")] for x in lines[2:]]


def corners_of(mask):
    """The polygon of a box that LabelMe draws as exactly that box."""
    at = np.argwhere(mask)
    (top, left), (bottom, right) = at.min(0).tolist(), at.max(0).tolist()
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def edges_of(mask):
    """The same box as COCO has it: edges lie between pixels."""
    (left, top), _, (right, bottom), _ = corners_of(mask)
    right, bottom = right + 1, bottom + 1
    return [[left, top, right, top, right, bottom, left, bottom]]


def code_of(mask):
    code = run_lengths.encode(np.asfortranarray(mask, np.uint8))
    return {"size": code["size"], "counts": code["counts"].decode()}


def lengths_of(mask):
    """Run lengths, counted by hand."""
    runs, value, count = [], 0, 0
    for pixel in (mask > 0).ravel(order="F"):
        if pixel != value:
            runs.append(count)
            value, count = pixel, 0
        count += 1
    return {"size": list(mask.shape), "counts": [*runs, count]}


def labelme(*shapes, size=SIZE):
    return {
        "version": "5.4.1",
        "imageHeight": size[0],
        "imageWidth": size[1],
        "shapes": [
            {"label": label, "points": points, "group_id": None, **more}
            for label, points, more in shapes
        ],
    }


def stored(mask):
    """A mask in a LabelMe file."""
    (left, top), _, (right, bottom), _ = corners_of(mask)
    file = io.BytesIO()
    part = mask[top : bottom + 1, left : right + 1] > 0
    Image.fromarray(part).save(file, "PNG")
    return (
        [[left, top], [right, bottom]],
        {"shape_type": "mask", "mask": base64.b64encode(file.getvalue()).decode()},
    )


def coco(*segmentations, names=("00000.jpg",), **more):
    images = [
        {"id": 7 + k, "file_name": name, "height": HEIGHT, "width": WIDTH}
        for k, name in enumerate(names)
    ]
    return {
        "images": images,
        "annotations": [
            {
                "id": 11 + k,
                "image_id": 7,
                "category_id": 1,
                "segmentation": segmentation,
                **{key: values[k] for key, values in more.items()},
            }
            for k, segmentation in enumerate(segmentations)
        ],
    }


def numbered(mask, number):
    return np.where(mask > 0, np.uint8(number), np.uint8(0))


def circle():
    rows_, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(rows_ - 40, columns - 60) <= 10.5


def three_shapes():
    points, more = stored(ids(0, 0, 0, 1))
    return labelme(
        ("a", corners_of(LEFT)[::2], {"shape_type": "rectangle"}),
        ("b", [[60, 40], [70, 40]], {"shape_type": "circle"}),
        ("c", points, more),
    )


TRACKS = coco(lengths_of(LEFT), lengths_of(RIGHT), track_id=(2, 5))
VIS = {
    "videos": [
        {
            "id": 1,
            "height": HEIGHT,
            "width": WIDTH,
            "file_names": ["clip/00000.jpg", "clip/00001.jpg"],
        }
    ],
    "annotations": [
        {"id": 1, "video_id": 1, "segmentations": [code_of(LEFT), None]},
        {"id": 2, "video_id": 1, "segmentations": [edges_of(RIGHT), code_of(RIGHT)]},
    ],
}
SA1B = {
    "image": {"image_id": 3, "width": WIDTH, "height": HEIGHT, "file_name": "s.jpg"},
    "annotations": [
        {"id": 40, "segmentation": code_of(LEFT)},
        {"id": 41, "segmentation": code_of(RIGHT)},
    ],
}
SAM = [
    {"segmentation": (LEFT > 0).tolist(), "area": 3},
    {"segmentation": code_of(RIGHT), "area": 3},
]
LARGE = labelme(
    *[
        (name, *stored(np.kron(mask, np.ones((2, 2)))))
        for name, mask in (("1", LEFT), ("2", RIGHT))
    ],
    size=(120, 180),
)
CODES = [code_of(LEFT), code_of(RIGHT)]
NAMES = labelme(("rabbit", corners_of(LEFT), {}), ("tree", corners_of(RIGHT), {}))
NUMBERS = labelme(("2", corners_of(LEFT), {}), ("5", corners_of(RIGHT), {}))
GROUP = labelme(
    ("rabbit", corners_of(LEFT), {"group_id": 4}),
    ("rabbit", corners_of(RIGHT), {"group_id": 4}),
)
COLOURS = np.reshape(masks.davis_palette(), (256, 3))


def picture(kind):
    """A file of `test_mask_files.KINDS`, and its ids."""
    given, expected, _ = KINDS[kind]
    return lambda folder: save(folder, given, "00000"), expected


def document(content, expected):
    def make(folder):
        path = folder / "m.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return make, expected


def array(values, expected):
    def make(folder):
        np.save(folder / "m.npy", values)
        return folder / "m.npy"

    return make, expected


def four_bits(folder):
    (folder / "m.png").write_bytes(grey_png(THREE, 4))
    return folder / "m.png"


def cvat(kind):
    """What CVAT's archive holds when unpacked."""
    colours = [(10, 200, 30), (200, 10, 90)]

    def make(folder):
        if kind == "DAVIS":
            mask_files.write_mask(folder / "Annotations/480p/clip/00000.png", TWO)
            (folder / "JPEGImages").mkdir()
            return folder
        shown = painted(TWO, [(128, 0, 0), (0, 128, 0)])
        if kind == "classes":
            shown = painted(TWO, colours)
        for name in ("SegmentationClass", "SegmentationObject"):
            if kind == "objects" or name == "SegmentationClass":
                (folder / name).mkdir(parents=True)
                own = (
                    shown if name.endswith("Object") or kind == "classes" else 0 * shown
                )
                Image.fromarray(own).save(folder / name / "00000.png")
        (folder / "labelmap.txt").write_text(
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
            "rabbit:10,200,30::\ntree:200,10,90::\n"
        )
        return folder

    return make, TWO


def per_frame(folder):
    mask_files.write_mask(folder / "00000.png", TWO)
    mask_files.write_mask(folder / "00001.png", RIGHT)
    return folder


def an_object_each(folder):
    Image.fromarray(255 * LEFT).save(folder / "00000.png")
    Image.fromarray(255 * RIGHT).save(folder / "00001.png")
    return folder


def half(folder):
    mask_files.write_mask(folder / "m.png", TWO[::2, ::2])
    return folder / "m.png"


READ = {
    "palette PNG": picture("palette"),
    "palette PNG with void at 255": picture("palette with void"),
    "palette PNG whose index 0 is not black, black elsewhere": picture(
        "palette, the object at 0"
    ),
    "palette PNG with a transparent background": picture(
        "palette, see-through background at 1"
    ),
    "GIF": picture("GIF"),
    "grey PNG of ids": picture("grey ids"),
    "grey PNG of ids with 255": picture("grey ids with void"),
    "grey PNG of 0 and 255": picture("0 and 255"),
    "grey PNG of 0, 85, 170 and 255": picture("levels up to white"),
    "grey PNG with soft borders": picture("soft border"),
    "PNG of one bit": picture("one bit"),
    "PNG of four bits": (four_bits, THREE),
    "BMP of 0 and 255": picture("BMP"),
    "RGB PNG, black and white": picture("black and white in three channels"),
    "RGB PNG in PASCAL's colours": picture("colours of PASCAL"),
    "RGB PNG in other colours": picture("other colours"),
    "RGB PNG in other colours on white": picture("colours on white"),
    "RGBA PNG, opaque": picture("opaque RGBA"),
    "RGBA PNG, a transparent background": picture("see-through background"),
    "RGBA PNG, a transparent background and colours": picture(
        "see-through background, colours"
    ),
    "RGBA PNG, soft alpha": picture("soft alpha"),
    "JPG of 0 and 255": picture("JPG"),
    "JPG of colours": picture("JPG of colours"),
    "WebP of 0 and 255": picture("WebP"),
    "PNG of 16 bits, ids": picture("16 bits, ids"),
    "PNG of 16 bits, 0 and 65535": picture("16 bits, white"),
    "PNG of 16 bits, large numbers": picture("16 bits, large ids"),
    "TIFF of floats from 0 to 1": picture("floats of 0 to 1"),
    "NumPy array of bool": array(LEFT > 0, LEFT),
    "NumPy array of int64 ids": array(ids(1, 7).astype(np.int64), ids(1, 7)),
    "LabelMe, polygons with names": document(NAMES, TWO),
    "LabelMe, polygons whose names are numbers": document(NUMBERS, ids(2, 5)),
    "LabelMe, a rectangle, a circle and a mask": document(
        three_shapes(), LEFT + 2 * circle() + numbered(ids(0, 0, 0, 1), 3)
    ),
    "LabelMe, one object in two polygons of a group": document(GROUP, ids(1, 1)),
    "COCO, polygons": document(coco(edges_of(LEFT), edges_of(RIGHT)), TWO),
    "COCO, run lengths as text": document(coco(*CODES), TWO),
    "COCO, run lengths as lists, tracks": document(TRACKS, ids(2, 5)),
    "COCO for videos (YouTube-VIS)": document(VIS, TWO),
    "SA-1B": document(SA1B, TWO),
    "list of SAM's mask generator": document(SAM, TWO),
    "run lengths alone": document(code_of(LEFT), LEFT),
    "CVAT, PASCAL's export by objects": cvat("objects"),
    "CVAT, PASCAL's export by classes with labelmap.txt": cvat("classes"),
    "CVAT, DAVIS' export": cvat("DAVIS"),
    "folder of a file per frame": (per_frame, TWO),
    "folder of 0 and 255, an object each": (an_object_each, LEFT),
    "mask of half the frames' size": (half, np.kron(TWO[::2, ::2], np.ones((2, 2)))),
    "mask of another size in JSON": document(LARGE, TWO),
}

NOISE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
SHORT = {"size": [60, 89], "counts": lengths_of(LEFT)["counts"]}
FAR = labelme(("a", [[0, 0], [1e9, 0], [3, 9]], {}))


def file_of(name, content=None, image=None, **options):
    def make(folder):
        path = folder / name
        if image is None:
            path.write_bytes(content)
        else:
            Image.fromarray(image).save(path, **options)
        return path

    return make


def half_a_png(folder):
    save(folder, Image.fromarray(NOISE), "whole")
    content = (folder / "whole.png").read_bytes()
    (folder / "m.png").write_bytes(content[: len(content) // 2])
    return folder / "m.png"


def no_background(folder):
    indices = np.where(LEFT > 0, 0, 1).astype(np.uint8)
    image = Image.fromarray(indices)
    image.putpalette([200, 30, 30, 30, 200, 30])
    image.save(folder / "m.png")
    return folder / "m.png"


def other_frames(folder):
    mask_files.write_mask(folder / "77777.png", TWO)
    return folder


REFUSED = {
    "photograph": file_of("m.png", image=NOISE),
    "JPG of ids": file_of("m.jpg", image=THREE),
    "mask of another shape than the frames": file_of("m.png", image=TWO[:40]),
    "empty mask": file_of("m.png", image=0 * TWO),
    "palette PNG without a clear background": no_background,
    "half a PNG": half_a_png,
    "archive": file_of("m.zip", b"PK\3\4"),
    "text that is no JSON": file_of("m.json", b"{shapes: ["),
    "JSON of something else": document({"name": "osmn"}, None)[0],
    "JSON whose run lengths do not fill the picture": document(SHORT, None)[0],
    "JSON with a corner far outside": document(FAR, None)[0],
    "JSON of other frames": document(
        {**VIS, "videos": [{**VIS["videos"][0], "file_names": ["a.jpg", "b.jpg"]}]},
        None,
    )[0],
    "folder of masks of other frames": other_frames,
    "masks of negative numbers": array(-TWO.astype(int), None)[0],
}


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for t in range(2):
        Image.fromarray(NOISE).save(folder / f"{t:05d}.jpg")
    return folder


@pytest.fixture
def place(tmp_path):
    (tmp_path / "given").mkdir()
    return tmp_path / "given"


def read(frames, mask, index=0):
    """`(ids of a frame, all that was said)`."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        clip = open_clip(frames, mask)
        clip.check()
        found = clip.mask(index)
    said = [str(each.message) for each in notes if each.category is InputNote]
    return found, " ".join(said)


def test_the_tables_are_complete():
    assert {row[0] for row in rows("What is read")} == set(READ)
    assert {row[0] for row in rows("What is refused")} == set(REFUSED)
    assert len(READ) >= 25
    written = {name: what.replace("`", "") for name, what in rows("Writing")}
    assert written == FORMATS


@pytest.mark.parametrize("row", rows("What is read"), ids=lambda row: row[0])
def test_what_is_read(row, frames, place):
    name, listed, words = row
    make, expected = READ[name]
    found, said = read(frames, make(place))
    values = [int(value) for value in np.unique(found) if value]
    assert ", ".join(map(str, values)) == listed
    if name.startswith(("JPG", "WebP")):
        assert (found != expected).mean() < 0.02
    else:
        np.testing.assert_array_equal(found, expected)
    assert words in said if words else not said, said


@pytest.mark.parametrize("row", rows("What is refused"), ids=lambda row: row[0])
def test_what_is_refused(row, frames, place):
    name, words = row
    with pytest.raises(InputError, match=re.escape(words)) as error:
        read(frames, REFUSED[name](place))
    assert str(place) in str(error.value) and "\n" not in str(error.value)


def test_later_frames_of_a_document_and_of_layers(frames, place):
    found, _ = read(frames, document(VIS, None)[0](place), index=1)
    np.testing.assert_array_equal(found, numbered(RIGHT, 2))
    (place / "layers").mkdir()
    found, said = read(frames, an_object_each(place / "layers"), index=1)
    np.testing.assert_array_equal(found, numbered(RIGHT, 2))
    assert "shows an object of its own, which is 2" in said


def test_two_pictures_of_one_name_are_not_mixed(place):
    content = coco(code_of(LEFT), names=("a/00000.jpg", "b/00000.jpg"))
    content["annotations"].append({"id": 3, "image_id": 8, "segmentation": CODES[1]})
    path = document(content, None)[0](place)
    with pytest.raises(InputError, match="two pictures of the name 00000"):
        mask_files.read_mask(path)


@pytest.mark.parametrize(
    "content",
    [
        [],
        [[]],
        [{"segmentation": []}],
        [{"segmentation": [[]]}],
        [{"segmentation": {"size": [3], "counts": "a"}}],
        {"shapes": 3, "imageHeight": 4, "imageWidth": 4},
        {"shapes": [], "imageHeight": None, "imageWidth": 4},
        {"shapes": [], "imageHeight": 10**9, "imageWidth": 10**9},
        {"shapes": ["a"], "imageHeight": 4, "imageWidth": 4},
        {"images": [], "annotations": []},
        {"images": [{}], "annotations": [{}]},
        {"image": {}, "annotations": []},
        {"size": [4, 4], "counts": [1, -2, 17]},
        {"size": [4, 4], "counts": "~~~"},
        {"videos": [], "annotations": []},
        labelme(("a", [[float("nan"), 0], [1, 1], [2, 0]], {})),
        labelme(("a", [[0, 0], [5, 5]], {})),
        labelme(("a", [[0, 0], [5, 5]], {"shape_type": "mask", "mask": "AAAA"})),
        labelme(("a", [[0, 0]], {"shape_type": "circle"})),
        7,
    ],
    ids=lambda content: json.dumps(content)[:40],
)
def test_damaged_documents_are_refused(place, content):
    path = document(content, None)[0](place)
    with pytest.raises(InputError, match=re.escape(str(path))):
        mask_files.read_mask(path)


# osmn convert masks.


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_written_is_read_as_the_same_ids(tmp_path, frames, kind):
    ring = box()
    ring[12:18, 8:14] = 0
    ring[40:50, 60:75] = 2
    shapes = {"00000": np.where(ring > 0, ring, numbered(RIGHT, 3)), "00001": TWO}
    write_masks(tmp_path / "out", shapes.items(), kind)
    for t, expected in enumerate(shapes.values()):
        if kind == "binary":
            for number in (1, 2, 3):
                path = tmp_path / f"out/{number}/{t:05d}.png"
                found = mask_files.read_mask(path)
                np.testing.assert_array_equal(found, expected == number)
            continue
        found, _ = read(frames, tmp_path / "out", index=t)
        np.testing.assert_array_equal(found, expected)


def convert(*arguments):
    convert_masks.FLAGS.unparse_flags()
    rest = convert_masks.FLAGS(["convert", *map(str, arguments)])
    return convert_masks.main(*rest[1:])


def test_convert_a_document(tmp_path, place):
    path = document(VIS, None)[0](place)
    convert(path, f"--out={tmp_path / 'out'}")
    found = sorted((tmp_path / "out").iterdir())
    assert [each.name for each in found] == ["00000.png", "00001.png"]
    for each, expected in zip(found, (TWO, numbered(RIGHT, 2))):
        with Image.open(each) as image:
            np.testing.assert_array_equal(np.asarray(image), expected)


def test_convert_folders_of_folders(tmp_path, place):
    for name in ("a", "b"):
        (place / name).mkdir()
        save(
            place / name, Image.fromarray(painted(TWO, [(9, 99, 200), (1, 2, 99)])), "7"
        )
    convert(place, f"--out={tmp_path / 'out'}", "--format=grey")
    for name in ("a", "b"):
        with Image.open(tmp_path / "out" / name / "7.png") as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), TWO)


def test_convert_refuses_before_it_writes(tmp_path, place):
    path = document(coco(CODES[0], names=("..",)), None)[0](place)
    with pytest.raises(InputError, match=r"m\.json"):
        convert(path, f"--out={tmp_path / 'out'}")
    save(place, Image.fromarray(NOISE), "photo")
    with pytest.raises(InputError, match="than a mask of objects"):
        convert(place / "photo.png", f"--out={tmp_path / 'out'}")
    with pytest.raises(InputError, match="no such file"):
        convert(place / "none.png", f"--out={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/keep.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        convert(half(place), f"--out={tmp_path / 'out'}")
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["keep.txt"]
