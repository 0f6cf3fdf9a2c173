"""Picture files: upright frames of any kind, and the order of a folder."""

import numpy as np
import pytest
from PIL import Image

from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import image_size
from osmn_recurrent.media.pictures import natural_key, picture_paths, read_frame

SHAPE = (24, 32)


def picture(value, shape=SHAPE):
    return Image.fromarray(np.full((*shape, 3), value, np.uint8))


def test_natural_order_and_hidden_files(tmp_path):
    for name in ("f10.png", "f9.JPG", "f1.png", "b2.png", "007.png", ".f5.png"):
        picture(0).convert("RGB").save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("")
    names = [path.name for path in picture_paths(tmp_path)]
    assert names == ["007.png", "b2.png", "f1.png", "f9.JPG", "f10.png"]
    assert picture_paths(tmp_path, (".bmp",)) == []


def test_two_files_for_one_frame_are_refused(tmp_path):
    for name in ("00002.jpg", "00002.png"):
        picture(0).save(tmp_path / name)
    with pytest.raises(InputError, match="both 00002.jpg and 00002.png"):
        picture_paths(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["9.25", "10.5", "10.625", "10.75", "11"],
        ["frame_0.04", "frame_0.080", "frame_0.12"],
        ["take1.8", "take1.9", "take1.10", "take2.1"],
        ["shot.0001", "shot.0002", "shot.0010"],
        ["v1.2.9", "v1.2.10"],
        ["t-0.5_a", "t-0.25_b"][::-1],
        ["1", "1.5", "2"],
        ["-10", "-2.5", "-2", "0", "3"],
        ["\u0661", "\u0661\u0660"],
    ],
)
def test_natural_order(names):
    assert sorted(names[::-1], key=natural_key(names)) == names


def test_deep_frames_are_scaled_and_others_refused(tmp_path):
    Image.fromarray(np.full(SHAPE, 257 * 30, np.uint16)).save(tmp_path / "f.png")
    assert (read_frame(tmp_path / "f.png") == 30).all()
    Image.fromarray(np.full(SHAPE, 0.5, np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(InputError, match="f.tif has more than 16 bits"):
        read_frame(tmp_path / "f.tif")


TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: np.rot90(x, 2),
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: np.rot90,
    7: lambda x: np.rot90(x.swapaxes(0, 1), 2),
    8: lambda x: np.rot90(x, -1),
}
"""How an upright picture lies in a file of each EXIF orientation."""


@pytest.mark.parametrize("value", TURNS)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_frames_are_upright(tmp_path, value, suffix):
    rng = np.random.default_rng(0)
    upright = np.kron(rng.integers(0, 256, (3, 5, 3)), np.ones((16, 16, 1)))
    upright = upright.astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = value
    path = tmp_path / f"f.{suffix}"
    options = {
        "jpg": {"quality": 95, "subsampling": 0},
        "webp": {"lossless": True},
    }.get(suffix, {})
    stored = np.ascontiguousarray(TURNS[value](upright))
    Image.fromarray(stored).save(path, exif=exif, **options)
    found = read_frame(path)
    assert found.shape == upright.shape
    assert image_size(path) == upright.shape[:2]
    assert np.abs(found.astype(int) - upright).max() <= (12 if suffix == "jpg" else 0)
    np.testing.assert_array_equal(read_frame("f", path.read_bytes()), found)


def test_damaged_exif_does_not_matter(tmp_path):
    picture(90).save(tmp_path / "f.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_frame(tmp_path / "f.jpg").shape == (*SHAPE, 3)
    assert image_size(tmp_path / "f.jpg") == SHAPE


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA", "CMYK"])
def test_frames_of_any_8_bit_mode_are_read_as_rgb(tmp_path, mode):
    path = tmp_path / ("f.jpg" if mode == "CMYK" else "f.png")
    picture(255).convert(mode).save(path)
    assert (read_frame(path) == 255).all() and read_frame(path).shape == (*SHAPE, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_have_the_pixels_that_pillow_reads(
    mode, subsampling, progressive, tmp_path
):
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8))
    image = small.resize((101, 67), Image.Resampling.BICUBIC).convert(mode)
    path = tmp_path / "a.jpg"
    image.save(path, subsampling=subsampling, progressive=progressive)
    with Image.open(path) as stored:
        expected = np.array(stored.convert("RGB"))
    np.testing.assert_array_equal(read_frame(path), expected)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="cannot be decoded"):
        read_frame(path)
