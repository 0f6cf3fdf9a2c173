"""The quick PNG reader against Pillow."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics.frame_scores import read_values
from osmn_recurrent.metrics.png import read_plain_png

NONE, LEFT, UP, AVERAGE, PAETH = range(5)


def filtered(rows, filters):
    """Rows of bytes with the PNG specification's filters put on, as a list."""
    lines, above = [], [0] * rows.shape[1]
    for row, kind in zip(rows.tolist(), filters, strict=True):
        line, left, corner = [], 0, 0
        for x, value in enumerate(row):
            up = above[x]
            near = min((left, up, corner), key=lambda n: abs(left + up - corner - n))
            guess = (0, left, up, (left + up) // 2, near)[kind]
            line.append((value - guess) % 256)
            left, corner = value, up
        lines.append(bytes([kind, *line]))
        above = row
    return lines


def write_png(path, rows, width, filters, depth=8, colour=0):
    """Writes (H, bytes) rows as a PNG with the filters given."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    packed = zlib.compress(b"".join(filtered(rows, filters)))
    middle = len(packed) // 2
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"PLTE", bytes(3 * 2**depth)) if colour == 3 else b"")
        + chunk(b"IDAT", packed[:middle])
        + chunk(b"IDAT", packed[middle:])
        + chunk(b"IEND", b"")
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_filter_reads_as_pillow_does(tmp_path_factory, data):
    height, width = data.draw(st.tuples(st.integers(1, 150), st.integers(1, 40)))
    colour, depth = data.draw(st.sampled_from([(0, 8), (3, 8), (3, 4), (3, 2), (3, 1)]))
    most = data.draw(st.sampled_from([UP, AVERAGE, PAETH]))
    kinds = st.lists(st.integers(NONE, most), min_size=height, max_size=height)
    filters = data.draw(kinds)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    rows = rng.integers(0, 256, (height, -(-width * depth // 8)), np.uint8)
    path = tmp_path_factory.getbasetemp() / "filters.png"
    write_png(path, rows, width, filters, depth, colour)
    with Image.open(path) as image:
        expected = np.array(image)
    quick = read_plain_png(path)
    assert (quick is None) == (max(filters) > UP)
    if quick is not None:
        assert quick.dtype == np.uint8
        np.testing.assert_array_equal(quick, expected)
    np.testing.assert_array_equal(read_values(path), expected)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_indices_stay(tmp_path, bits):
    ids = np.random.default_rng(0).integers(0, min(2**bits, 60), (33, 47), np.uint8)
    image = Image.fromarray(ids)
    image.putpalette(masks.davis_palette())
    image.save(tmp_path / "ids.png", bits=bits)
    np.testing.assert_array_equal(read_values(tmp_path / "ids.png"), ids)


def test_one_bit_masks_are_zero_and_one(tmp_path):
    mask = np.random.default_rng(0).random((21, 19)) > 0.5
    for name, options in (("plain.png", {}), ("other.tif", {})):
        Image.fromarray(mask).save(tmp_path / name, **options)
        values = read_values(tmp_path / name)
        assert values.dtype == np.uint8
        np.testing.assert_array_equal(values, mask.astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_masks_in_several_channels_are_read_as_what_they_show(tmp_path, mode):
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 3:] = 255
    Image.fromarray(mask).convert(mode).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_values(tmp_path / "mask.png"), mask > 0)


def test_pictures_that_are_no_masks_are_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="more like a picture than a mask"):
        read_values(tmp_path / "mask.png")


@pytest.mark.parametrize("keep", [0, 8, 20, 33, 60, -30])
def test_damaged_files_are_refused(tmp_path, keep):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (40, 40), np.uint8)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:keep])
    assert read_plain_png(tmp_path / "a.png") is None
    with pytest.raises(InputError, match=r"a\.png"):
        read_values(tmp_path / "a.png")


def test_garbled_data_is_refused(tmp_path):
    Image.fromarray(np.eye(50, dtype=np.uint8)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[45:60] = bytes(15)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.png"):
        read_values(tmp_path / "a.png")
