"""Mask files of every kind: which ids they give, and what is refused."""

import io
import struct
import warnings
import zlib

import cv2
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.media.mask_files import (
    MaskFiles,
    read_mask,
    read_mask_with_palette,
    write_mask,
)

SIZE = (60, 90)
BLACK, RED, GREEN, BLUE = (0, 0, 0), (128, 0, 0), (0, 128, 0), (0, 0, 128)


def ids(*values, size=SIZE):
    """Boxes 16 wide, one per value, that do not touch."""
    found = np.zeros(size, np.uint8)
    for k, value in enumerate(values):
        row, column = divmod(k, 4)
        found[6 + 26 * row : 26 + 26 * row, 4 + 21 * column : 20 + 21 * column] = value
    return found


def box(value=1):
    return ids(value)


def painted(shape, colours, ground=BLACK):
    """RGB of ids 1, 2, ... in these colours."""
    return np.array([ground, *colours], np.uint8)[shape]


def softened(array, sigma=1.2):
    return cv2.GaussianBlur(array, (0, 0), sigma)


def halved(shape):
    """A mask of 0 and 255 that was scaled down bilinearly."""
    large = np.kron(shape, np.ones((2, 2), np.uint8))[1:, 1:]
    return cv2.resize(large * 255, SIZE[::-1], interpolation=cv2.INTER_LINEAR)


def indexed(indices, palette, **options):
    image = Image.fromarray(np.asarray(indices, np.uint8))
    image.putpalette([channel for colour in palette for channel in colour])
    return image, options


def grey_png(samples, depth):
    """A grey PNG of 2 or 4 bits, which Pillow does not write."""
    height, width = samples.shape
    bits = np.unpackbits(samples[..., None], axis=2)[:, :, 8 - depth :]
    rows = np.packbits(bits.reshape(height, width * depth), axis=1)

    def chunk(kind, content):
        body = kind + content
        check = struct.pack(">I", zlib.crc32(body))
        return struct.pack(">I", len(content)) + body + check

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def rgba(colours, alpha):
    return np.dstack([colours, alpha]).astype(np.uint8)


TWO, THREE = ids(1, 2), ids(1, 2, 3)
TEN = ids(*range(10, 90, 10))
SHOWN = TWO > 0
OPAQUE = np.full(SIZE, 255, np.uint8)
JPG = {"format": "JPEG", "quality": 90}

# name: (what is saved, ids that are read, words of the note or None)
KINDS = {
    "palette": (indexed(TWO, [BLACK, RED, GREEN]), TWO, None),
    "palette with void": (
        indexed(ids(1, 255), np.reshape(masks.davis_palette(), (256, 3)).tolist()),
        ids(1, 255),
        None,
    ),
    "palette of other colours": (
        indexed(ids(1, 5), [(9, 9, 9), *[(200, 30 * k, 7) for k in range(8)]]),
        ids(1, 5),
        None,
    ),
    "palette, the object at 0": (
        indexed(1 - box(), [RED, BLACK, GREEN]),
        box(),
        "index 0 is not the background",
    ),
    "palette, the object at 0 and black at 255": (
        indexed(255 * (1 - box()), [(250, 250, 250), *[BLACK] * 255]),
        box(),
        "index 0 is not the background",
    ),
    "palette without index 0": (
        indexed(TWO + 1, [GREEN, BLACK, (9, 200, 9), (200, 9, 9)]),
        TWO,
        "index 0 is not the background",
    ),
    "palette, see-through background at 1": (
        indexed(1 - box(), [(250, 9, 9), (3, 200, 9)], transparency=1),
        box(),
        None,
    ),
    "palette of greys": (
        indexed(255 * box(), [(k, k, k) for k in range(256)]),
        box(),
        None,
    ),
    "one bit": (Image.fromarray(box() > 0), box(), None),
    "grey ids": (Image.fromarray(ids(2, 5)), ids(2, 5), None),
    "grey ids with void": (Image.fromarray(ids(2, 5, 255)), ids(2, 5, 255), "void"),
    "ten and more": (Image.fromarray(TEN), TEN, None),
    "0 and 255": (Image.fromarray(255 * box()), box(), None),
    "levels up to white": (
        Image.fromarray(np.array([0, 85, 170, 255], np.uint8)[THREE]),
        THREE,
        "255 is taken for an object",
    ),
    "soft border": (
        Image.fromarray(halved(box())),
        halved(box()) >= 128,
        "cut at half",
    ),
    "wide soft border": (
        Image.fromarray(softened(255 * box(), 2.5)),
        softened(255 * box(), 2.5) >= 128,
        "cut at half",
    ),
    "JPG": ((Image.fromarray(255 * box()), JPG), box(), "cut at half"),
    "JPG of three levels": (
        (Image.fromarray(np.array([0, 128, 255], np.uint8)[TWO]), JPG),
        TWO,
        "cut at half",
    ),
    "colours of PASCAL": (Image.fromarray(painted(TWO, [GREEN, RED])), ids(2, 1), None),
    "other colours": (
        Image.fromarray(painted(TWO, [(255, 0, 0), (0, 255, 0)])),
        TWO,
        "its objects are 1 (colour 255, 0, 0), 2 (colour 0, 255, 0)",
    ),
    "soft colours": (
        Image.fromarray(softened(painted(TWO, [(255, 0, 0), (0, 255, 0)]))),
        TWO,
        "cut at half",
    ),
    "JPG of colours": (
        (Image.fromarray(painted(TWO, [(255, 0, 0), (0, 0, 255)])), JPG),
        TWO,
        "cut at half",
    ),
    "colours on white": (
        Image.fromarray(painted(TWO, [(255, 0, 0), (0, 255, 0)], (255, 255, 255))),
        TWO,
        "taken for the background",
    ),
    "black and white in three channels": (
        Image.fromarray(np.dstack([255 * box()] * 3)),
        box(),
        None,
    ),
    "opaque alpha": (Image.fromarray(np.dstack([255 * box(), OPAQUE])), box(), None),
    "opaque RGBA": (
        Image.fromarray(rgba(np.dstack([255 * box()] * 3), OPAQUE)),
        box(),
        None,
    ),
    "see-through background": (
        Image.fromarray(rgba(painted(0 * TWO, []), 255 * SHOWN)),
        SHOWN,
        None,
    ),
    "see-through background, colours": (
        Image.fromarray(rgba(painted(TWO, [(250, 9, 9), (9, 9, 250)]), 255 * SHOWN)),
        TWO,
        "its objects are 1 (colour 250, 9, 9), 2 (colour 9, 9, 250)",
    ),
    "cut-out of a photograph": (
        Image.fromarray(
            rgba(
                np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8),
                255 * SHOWN,
            )
        ),
        SHOWN,
        None,
    ),
    "soft alpha": (
        Image.fromarray(rgba(painted(box(), [RED], RED), softened(255 * box()))),
        softened(255 * box()) >= 128,
        "cut at half",
    ),
    "16 bits, ids": (Image.fromarray(ids(1, 7).astype(np.uint16)), ids(1, 7), None),
    "16 bits, white": (
        Image.fromarray(box().astype(np.uint16) * 65535),
        box(),
        None,
    ),
    "16 bits, ids moved up": (
        Image.fromarray(TWO.astype(np.uint16) * 256),
        TWO,
        None,
    ),
    "16 bits, large ids": (
        Image.fromarray(np.array([0, 1001, 26002], np.uint16)[TWO]),
        TWO,
        "its objects are 1 (value 1001), 2 (value 26002)",
    ),
    "16 bits, soft": (
        Image.fromarray(softened(box().astype(np.uint16) * 60000)),
        softened(box().astype(np.uint16) * 60000) >= 30000,
        "cut at half",
    ),
    "floats of 0 to 1": (
        (Image.fromarray(box().astype(np.float32)), {"format": "TIFF"}),
        box(),
        None,
    ),
    "BMP": ((Image.fromarray(255 * box()), {"format": "BMP"}), box(), None),
    "GIF": ((indexed(TWO, [BLACK, RED, GREEN])[0], {"format": "GIF"}), TWO, None),
    "WebP": (
        (Image.fromarray(np.dstack([255 * box()] * 3)), {"format": "WEBP"}),
        box(),
        "cut at half",
    ),
}


def save(folder, given, name="mask"):
    image, options = given if isinstance(given, tuple) else (given, {})
    options = {"format": "PNG", **options}
    path = folder / f"{name}.{options['format'].lower()}"
    image.save(path, **options)
    return path


def read_with_notes(path):
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        found = read_mask(path)
    assert all(note.category is InputNote for note in notes)
    assert all(str(path) in str(note.message) for note in notes)
    return found, " ".join(str(note.message) for note in notes)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_masks(tmp_path, kind):
    given, expected, words = KINDS[kind]
    found, notes = read_with_notes(save(tmp_path, given))
    assert found.dtype == np.uint8 and found.shape == SIZE
    if "JPG" in kind or kind in ("soft colours", "WebP"):
        wrong = found != expected
        assert wrong.mean() < 0.02, wrong.mean()
    else:
        np.testing.assert_array_equal(found, expected)
    assert (words in notes) if words else not notes


def test_small_depths(tmp_path):
    for depth in (2, 4):
        path = tmp_path / f"{depth}.png"
        path.write_bytes(grey_png(THREE, depth))
        found, _ = read_with_notes(path)
        np.testing.assert_array_equal(found, THREE)
        path.write_bytes(grey_png(box((1 << depth) - 1), depth))
        np.testing.assert_array_equal(read_mask(path), box())


def test_seventy_objects_in_grey_and_palette(tmp_path):
    many = np.zeros((64, 96), np.uint8)
    for k in range(70):
        row, column = divmod(k, 10)
        many[1 + 9 * row : 8 + 9 * row, 1 + 9 * column : 8 + 9 * column] = k + 1
    Image.fromarray(many).save(tmp_path / "grey.png")
    write_mask(tmp_path / "palette.png", many)
    for name in ("grey.png", "palette.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name), many)


@pytest.mark.parametrize("step", [1, 3, 200])
def test_more_objects_than_ids_are_refused(tmp_path, step):
    """Three hundred, which are no soft mask of one."""
    tiles = np.kron(np.arange(300).reshape(15, 20), np.ones((6, 8))).astype(np.uint16)
    Image.fromarray(tiles * np.uint16(step)).save(tmp_path / "ids.png")
    np.save(tmp_path / "ids.npy", tiles.astype(np.int64) * step)
    for name in ("ids.png", "ids.npy"):
        with pytest.raises(
            InputError, match=f"299 different values up to {299 * step}"
        ):
            read_mask(tmp_path / name)
    np.save(tmp_path / "large.npy", tiles.astype(np.uint64) << np.uint64(60))
    with pytest.raises(InputError, match="values up to 1[0-9]{19}"):
        read_mask(tmp_path / "large.npy")


def test_regions_that_touch_are_not_soft(tmp_path):
    """Super-pixels: each level lies between others along its border alone."""
    tiles = np.kron(np.arange(1, 121).reshape(10, 12), np.ones((6, 8))).astype(np.uint8)
    Image.fromarray(tiles * 2).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png"), tiles * 2)


@pytest.mark.parametrize("sigma", [0.7, 1.5, 4.0])
@pytest.mark.parametrize("scale", [255, 180])
def test_soft_masks_are_cut_at_half(tmp_path, sigma, scale):
    disc = np.zeros((90, 120), np.uint8)
    cv2.circle(disc, (60, 45), 30, scale, -1)
    soft = softened(disc, sigma)
    path = tmp_path / "soft.png"
    Image.fromarray(soft).save(path)
    with pytest.warns(InputNote, match="soft.png has soft"):
        found = read_mask(path)
    sure = np.abs(soft.astype(int) - scale / 2) > 1
    np.testing.assert_array_equal(found[sure], (soft > scale / 2)[sure])


@pytest.mark.parametrize("sigma", [0.7, 1.5, 4.0])
@pytest.mark.parametrize("white", [60, 128, 255, 60000])
def test_soft_masks_in_large_pictures(tmp_path, sigma, white):
    """The slope is a small share of the object there, and has all levels."""
    disc = np.zeros((400, 600), np.float32)
    cv2.circle(disc, (300, 200), 150, white, -1)
    soft = np.rint(cv2.GaussianBlur(disc, (0, 0), sigma))
    soft = soft.astype(np.uint16 if white > 255 else np.uint8)
    Image.fromarray(soft).save(tmp_path / "soft.png")
    with pytest.warns(InputNote, match="soft.png has soft"):
        found = read_mask(tmp_path / "soft.png")
    sure = np.abs(soft.astype(int) - white / 2) > max(1, white / 200)
    np.testing.assert_array_equal(found[sure], (soft > white / 2)[sure])


def test_soft_levels_of_several_objects(tmp_path):
    levels = np.array([0, 90, 180], np.uint8)[TWO]
    Image.fromarray(softened(levels)).save(tmp_path / "soft.png")
    with pytest.warns(InputNote, match="cut at half"):
        found = read_mask(tmp_path / "soft.png")
    assert masks.object_ids(found) == (90, 180)
    assert (np.array([0, 90, 180])[TWO] != found).mean() < 0.02


def test_a_probability_map_with_noise(tmp_path):
    rng = np.random.default_rng(0)
    soft = softened(255 * box(), 2).astype(float) + rng.normal(0, 2, SIZE)
    soft = soft.clip(0, 255).astype(np.uint8)
    Image.fromarray(soft).save(tmp_path / "p.png")
    with pytest.warns(InputNote, match="cut at half"):
        np.testing.assert_array_equal(read_mask(tmp_path / "p.png"), soft >= 127.5)


def photograph():
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (12, 18, 3), np.uint8)
    return cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)


PICTURES = {
    "colour": (Image.fromarray(photograph()), "more like a picture"),
    "grey": (Image.fromarray(photograph()).convert("L"), "more like a picture"),
    "JPG": ((Image.fromarray(photograph()), JPG), "more like a picture"),
    "palette": (Image.fromarray(photograph()).quantize(200), "more like a picture"),
    "JPG of small ids": ((Image.fromarray(TWO), JPG), "ids in it cannot be told apart"),
    "which is the background": (
        indexed(np.where(box(), 0, 1), [(250, 9, 9), (240, 240, 240)]),
        "index 0 in the colour .250, 9, 9.*background is unclear",
    ),
    "no background": (
        Image.fromarray(
            painted(
                np.arange(90)[None].repeat(60, 0) // 18, [RED, GREEN, BLUE, RED], BLUE
            )
            + np.uint8(20)
        ),
        "has no black.*which is the background is unclear",
    ),
    "negative": (
        (Image.fromarray(box().astype(np.int32) - 1), {"format": "TIFF"}),
        "negative",
    ),
    "not a number": (
        (Image.fromarray(np.full(SIZE, np.nan, np.float32)), {"format": "TIFF"}),
        "values that are no ids",
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_what_is_no_mask_is_refused_with_advice(tmp_path, kind):
    given, reason = PICTURES[kind]
    path = save(tmp_path, given)
    with pytest.raises(InputError, match=reason) as caught:
        read_mask(path)
    assert str(path) in str(caught.value)
    assert "save it as an 8-bit palette" in str(caught.value)


def test_unreadable_and_missing_masks_are_named(tmp_path):
    with pytest.raises(InputError, match="none.png: no such mask"):
        read_mask(tmp_path / "none.png")
    write_mask(tmp_path / "m.png", TWO)
    whole = (tmp_path / "m.png").read_bytes()
    for name, data in (("text.png", b"ids"), ("cut.png", whole[:-40])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            read_mask(tmp_path / name)


def test_masks_are_turned_as_their_exif_asks(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.fromarray(255 * box())
    upright.transpose(Image.ROTATE_90).save(tmp_path / "m.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), box())


# Files that belong together.


def test_colours_mean_the_same_object_in_all_files(tmp_path):
    red, blue = (250, 10, 10), (10, 10, 250)
    first = save(tmp_path, Image.fromarray(painted(box(), [red])), "0")
    both = save(tmp_path, Image.fromarray(painted(TWO, [blue, red])), "1")
    for order in ((first, both), (both, first)):
        files = MaskFiles([first, both])
        for path in order:
            files.read(path)
        np.testing.assert_array_equal(files.read(first), box())
        np.testing.assert_array_equal(files.read(both), ids(2, 1))
    palette = np.reshape(MaskFiles([first, both]).palette(), (256, 3))
    assert palette[1].tolist() == list(red) and palette[2].tolist() == list(blue)


def test_colours_of_pascal_beside_others(tmp_path):
    """One colour that is not PASCAL's: all are taken in order of appearance."""
    first = save(tmp_path, Image.fromarray(painted(box(), [GREEN])), "0")
    both = save(tmp_path, Image.fromarray(painted(TWO, [(1, 99, 200), GREEN])), "1")
    files = MaskFiles([first, both])
    np.testing.assert_array_equal(files.read(both), ids(2, 1))
    np.testing.assert_array_equal(files.read(first), box())


def test_white_among_levels(tmp_path):
    levels = np.array([0, 128, 255], np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = [
            save(tmp_path, Image.fromarray(levels[shape]), str(t))
            for t, shape in enumerate((TWO, 2 * box(), box()))
        ]
        files = MaskFiles(paths)
        for path, expected in zip(paths, (TWO, box(2), box())):
            np.testing.assert_array_equal(files.read(path), expected)


@pytest.mark.parametrize("kind", ["white", "alpha", "ones"])
def test_masks_that_say_only_where(tmp_path, kind):
    """Layered files bring an object each; masks of all frames follow one."""

    def picture(shape):
        if kind == "alpha":
            return Image.fromarray(rgba(painted(0 * shape, []), 255 * shape))
        return Image.fromarray(shape * (255 if kind == "white" else 1))

    shapes = [ids(1), ids(0, 1), ids(0, 0, 1)]
    paths = [save(tmp_path, picture(s), str(t)) for t, s in enumerate(shapes)]
    layered = MaskFiles(paths, layered=True)
    for number, (path, shape) in enumerate(zip(paths, shapes), 1):
        np.testing.assert_array_equal(layered.read(path), number * shape)
    for files in (MaskFiles(paths), MaskFiles(paths, layered=True, all_frames=True)):
        for path, shape in zip(paths, shapes):
            np.testing.assert_array_equal(files.read(path), shape)


def test_new_objects_take_ids_that_no_file_states(tmp_path):
    first = save(tmp_path, indexed(ids(1, 3), [BLACK, RED, GREEN, BLUE]), "0")
    later = save(tmp_path, Image.fromarray(255 * ids(0, 0, 1)), "1")
    files = MaskFiles([first, later], layered=True)
    np.testing.assert_array_equal(files.read(later), ids(0, 0, 2))


def test_masks_of_another_size(tmp_path):
    write_mask(tmp_path / "m.png", TWO)
    files = MaskFiles([tmp_path / "m.png"])
    with pytest.warns(InputNote, match=r"is 90x60; it is resized .* 180x120"):
        found = files.read(tmp_path / "m.png", (120, 180))
    np.testing.assert_array_equal(found, np.kron(TWO, np.ones((2, 2), np.uint8)))
    assert files.read(tmp_path / "m.png", (60, 91)).shape == (60, 91)
    with pytest.raises(InputError, match=r"m.png is 90x60, but its frame is 180x110"):
        files.read(tmp_path / "m.png", (110, 180))


def test_a_note_is_given_once_per_folder(tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(halved(box())).save(tmp_path / name)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        read_mask(tmp_path / "a.png")
        read_mask(tmp_path / "b.png")
    assert len(notes) == 1


# Writing.


@hypothesis.given(
    arrays.arrays(np.uint8, (6, 9), elements=st.integers(0, 255)),
    arrays.arrays(np.uint8, (256, 3), elements=st.sampled_from([0, 3, 128, 255])),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, shape, palette):
    path = tmp_path_factory.mktemp("masks") / "m.png"
    write_mask(path, shape, tuple(palette.ravel().tolist()))
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), shape)
    np.testing.assert_array_equal(read_mask(path), shape)


def test_round_trip_keeps_the_palette(tmp_path):
    path = tmp_path / "deep" / "mask.png"
    own = tuple(50 + k % 199 for k in range(768))
    for palette in (None, own):
        write_mask(path, ids(2, 5, 255), palette)
        found, kept = read_mask_with_palette(path)
        np.testing.assert_array_equal(found, ids(2, 5, 255))
        assert kept[3:] == (palette or masks.davis_palette())[3:]
        assert kept[:3] == BLACK
    assert [p.name for p in path.parent.iterdir()] == ["mask.png"]


def test_all_256_ids(tmp_path):
    everything = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_mask(tmp_path / "all.png", everything)
    np.testing.assert_array_equal(read_mask(tmp_path / "all.png"), everything)


@pytest.mark.parametrize(
    "array",
    [
        np.full((4, 6), 257),
        np.full((4, 6), -1),
        np.full((4, 6), 1.5),
        np.full((4, 6), np.nan),
        np.zeros((4, 6, 3), np.uint8),
        np.zeros((0, 6), np.uint8),
    ],
)
def test_what_is_no_mask_is_not_written(tmp_path, array):
    with pytest.raises(InputError, match=r"a.png: a mask (is|holds)"):
        write_mask(tmp_path / "a.png", array)
    assert not (tmp_path / "a.png").exists()


def test_short_palette_is_completed(tmp_path):
    image, _ = indexed(TWO, [BLACK, (4, 5, 6), (7, 8, 9)])
    image.save(tmp_path / "short.png")
    _, palette = read_mask_with_palette(tmp_path / "short.png")
    assert palette[3:9] == (4, 5, 6, 7, 8, 9)
    assert len(palette) == 768


def test_published_masks(test_data):
    path = test_data / "data/clips/Annotations/judo/00000.png"
    found, palette = read_mask_with_palette(path)
    assert palette == masks.davis_palette()
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        np.testing.assert_array_equal(found, np.array(image))
