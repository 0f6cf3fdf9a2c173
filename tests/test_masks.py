"""Index masks: what is read as ids, what is refused, and round trips."""

import cv2
import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError


def some_ids():
    ids = np.zeros((20, 30), np.uint8)
    ids[2:8, 3:10], ids[5:15, 12:20], ids[16:, 20:] = 2, 5, 255
    return ids


def soft_disc():
    disc = np.zeros((64, 64), np.uint8)
    cv2.circle(disc, (32, 32), 20, 255, -1)
    return cv2.GaussianBlur(disc, (0, 0), 1.5)


def test_palette_is_that_of_davis():
    palette = np.array(masks.davis_palette()).reshape(256, 3)
    known = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        8: (64, 0, 0),
        21: (128, 64, 128),
        255: (224, 224, 192),
    }
    for index, colour in known.items():
        assert tuple(palette[index]) == colour


def test_palette_equals_the_one_in_a_published_mask(test_data):
    path = test_data / "data/clips/Annotations/judo/00000.png"
    ids, palette = masks.read_mask_with_palette(path)
    assert palette == masks.davis_palette()
    with Image.open(path) as image:
        assert (ids == np.array(image)).all()


@pytest.mark.parametrize("kept", [None, tuple(range(255, -1, -1)) * 3])
def test_round_trip_keeps_ids_gaps_void_and_palette(tmp_path, kept):
    path = tmp_path / "deep" / "mask.png"
    masks.write_mask(path, some_ids(), kept)
    ids, palette = masks.read_mask_with_palette(path)
    assert (ids == some_ids()).all() and ids.dtype == np.uint8
    assert palette == (kept or masks.davis_palette())
    assert masks.object_ids(ids) == (2, 5)
    assert [p.name for p in path.parent.iterdir()] == ["mask.png"]


def test_all_256_ids_are_written_but_so_many_are_no_mask_of_objects(tmp_path):
    path = tmp_path / "all.png"
    everything = np.arange(256, dtype=np.uint8).reshape(16, 16)
    masks.write_mask(path, everything)
    with Image.open(path) as image:
        assert image.mode == "P" and (np.array(image) == everything).all()
    with pytest.raises(InputError, match="256 different ids"):
        masks.read_mask(path)


def test_short_palette_is_completed(tmp_path):
    image = Image.fromarray(some_ids() % 3)
    image.putpalette([1, 2, 3, 4, 5, 6, 7, 8, 9])
    image.save(tmp_path / "short.png")
    _, palette = masks.read_mask_with_palette(tmp_path / "short.png")
    assert palette[:9] == (1, 2, 3, 4, 5, 6, 7, 8, 9)
    assert len(palette) == 768


def test_binary_masks_become_one_object(tmp_path):
    truth = some_ids() > 0
    Image.fromarray(truth.astype(np.uint8) * 255).save(tmp_path / "grey.png")
    Image.fromarray(truth).save(tmp_path / "bit.png")
    for name in ("grey.png", "bit.png"):
        assert (masks.read_mask(tmp_path / name) == truth).all()


def test_grey_ids_are_kept(tmp_path):
    Image.fromarray(some_ids()).save(tmp_path / "grey.png")
    assert (masks.read_mask(tmp_path / "grey.png") == some_ids()).all()


def test_empty_mask_has_no_objects(tmp_path):
    masks.write_mask(tmp_path / "m.png", np.zeros((4, 6), np.uint8))
    assert masks.object_ids(masks.read_mask(tmp_path / "m.png")) == ()


BAD_MASKS = {
    "rgb": (Image.fromarray(some_ids()).convert("RGB"), "RGB image"),
    "rgba": (Image.fromarray(some_ids()).convert("RGBA"), "RGBA image"),
    "grey_alpha": (Image.fromarray(some_ids()).convert("LA"), "LA image"),
    "deep": (Image.fromarray(some_ids().astype(np.uint16)), "16-bit"),
    "soft": (Image.fromarray(soft_disc()), "anti-aliased"),
    "soft_palette": (
        Image.fromarray(np.dstack([soft_disc()] * 3)).quantize(200),
        "different ids",
    ),
}


@pytest.mark.parametrize("kind", BAD_MASKS)
def test_what_is_no_index_mask_is_refused_with_advice(tmp_path, kind):
    image, reason = BAD_MASKS[kind]
    path = tmp_path / f"{kind}.png"
    image.save(path)
    with pytest.raises(InputError, match=reason) as caught:
        masks.read_mask(path)
    assert str(path) in str(caught.value)
    assert "save it as an 8-bit palette" in str(caught.value)


def test_unreadable_and_missing_masks_are_named(tmp_path):
    with pytest.raises(InputError, match="none.png: no such mask"):
        masks.read_mask(tmp_path / "none.png")
    masks.write_mask(tmp_path / "m.png", some_ids())
    whole = (tmp_path / "m.png").read_bytes()
    for name, data in (("text.png", b"ids"), ("cut.png", whole[:-40])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            masks.read_mask(tmp_path / name)


def test_boxes():
    ids = some_ids()
    assert masks.bounding_box(ids == 2) == (3, 2, 9, 7)
    assert masks.bounding_box(ids == 7) == (0, 0, 30, 20)  # not there
