"""The clip type: order of files, reading, and refusing before work starts."""

import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.datasets.clips import (
    Clip,
    masks_by_frame,
    picture_paths,
    pieces_of,
    read_frame,
)
from osmn_recurrent.errors import InputError

SHAPE = (24, 32)


def picture(value, shape=SHAPE):
    return Image.fromarray(np.full((*shape, 3), value, np.uint8))


def object_mask(value=1, shape=SHAPE):
    ids = np.zeros(shape, np.uint8)
    ids[4:12, 6:20] = value
    return ids


@pytest.fixture
def clip(tmp_path):
    """Four frames of grey 0, 40, 80, 120 and a mask (id 3) for the first."""
    for index in range(4):
        picture(40 * index).save(tmp_path / f"{index:05d}.jpg", quality=100)
    masks.write_mask(tmp_path / "masks" / "00000.png", object_mask(3))
    return Clip(
        "grey", tuple(picture_paths(tmp_path)), {0: tmp_path / "masks/00000.png"}
    )


def test_a_clip_reads_frames_in_order(clip):
    clip.check()
    assert len(clip) == 4 and clip.size == SHAPE
    assert clip.frame_names == ("00000", "00001", "00002", "00003")
    assert [int(f.mean()) for f in clip.frames(1)] == [40, 80, 120]
    assert clip.frame(2).shape == (*SHAPE, 3) and clip.frame(2).dtype == np.uint8
    assert (clip.mask(0) == object_mask(3)).all() and clip.mask(1) is None


def test_binary_clips_have_one_object_and_void_belongs_to_it(clip):
    masks.write_mask(clip.mask_paths[0], object_mask(3) + object_mask(252))
    binary = Clip("b", clip.frame_paths, clip.mask_paths, binary=True)
    assert set(np.unique(clip.mask(0))) == {0, 255}
    assert (binary.mask(0) == object_mask(1)).all()


def test_palette_is_that_of_the_first_mask(clip):
    own = tuple(range(256)) * 3
    masks.write_mask(clip.mask_paths[0], object_mask(), own)
    assert clip.palette() == own
    assert Clip("none", clip.frame_paths, {}).palette() == masks.davis_palette()


def test_natural_order_and_hidden_files(tmp_path):
    for name in ("f10.png", "f9.JPG", "f1.png", "b2.png", "007.png", ".f5.png"):
        picture(0).convert("RGB").save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("")
    names = [path.name for path in picture_paths(tmp_path)]
    assert names == ["007.png", "b2.png", "f1.png", "f9.JPG", "f10.png"]
    assert picture_paths(tmp_path, (".bmp",)) == []


def test_two_files_for_one_frame_are_refused(clip, tmp_path):
    masks.write_mask(tmp_path / "00002.png", object_mask())
    with pytest.raises(InputError, match="both 00002.jpg and 00002.png"):
        picture_paths(tmp_path)


def test_masks_find_their_frames_or_are_refused(tmp_path):
    names = ("a", "b", "c")
    paths = [tmp_path / "c.png", tmp_path / "a.png"]
    assert masks_by_frame(paths, names, "v") == {0: paths[1], 2: paths[0]}
    with pytest.raises(InputError, match=r"1 of the 2 .* no frame of v \(d.png\)"):
        masks_by_frame([tmp_path / "d.png", paths[0]], names, "v")
    with pytest.raises(InputError, match="both masks of frame a"):
        masks_by_frame([paths[1], tmp_path / "other" / "a.png"], names, "v")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA", "CMYK"])
def test_frames_of_any_8_bit_mode_are_read_as_rgb(tmp_path, mode):
    path = tmp_path / ("f.jpg" if mode == "CMYK" else "f.png")
    picture(255).convert(mode).save(path)
    assert (read_frame(path) == 255).all() and read_frame(path).shape == (*SHAPE, 3)


def test_frames_with_16_bits_are_refused(tmp_path):
    Image.fromarray(np.full(SHAPE, 3000, np.uint16)).save(tmp_path / "f.png")
    with pytest.raises(InputError, match="f.png has more than 8 bits"):
        read_frame(tmp_path / "f.png")


def test_unreadable_jpeg_in_the_middle_is_named_when_its_turn_comes(clip):
    rng = np.random.default_rng(0)
    noisy = Image.fromarray(rng.integers(0, 255, (*SHAPE, 3), dtype=np.uint8))
    noisy.save(clip.frame_paths[2])
    data = clip.frame_paths[2].read_bytes()
    clip.frame_paths[2].write_bytes(data[:-200])
    clip.check()  # the header is whole, so this frame fails only when decoded
    frames = clip.frames()
    assert int(next(frames).mean()) == 0 and int(next(frames).mean()) == 40
    with pytest.raises(InputError, match="00002.jpg cannot be decoded"):
        next(frames)
    clip.frame_paths[2].write_bytes(b"no picture at all")
    with pytest.raises(InputError, match="00002.jpg"):
        clip.check()


def test_frame_of_another_size_is_named(clip):
    picture(0, (24, 31)).save(clip.frame_paths[3])
    with pytest.raises(InputError, match="00003.jpg is 31x24.*32x24"):
        clip.check()


BAD_MASKS = {
    "other size": (Image.fromarray(object_mask(shape=(24, 31))), "is 31x24"),
    "empty": (Image.fromarray(object_mask(0)), "is empty: no object to follow"),
    "rgb": (Image.fromarray(object_mask()).convert("RGB"), "RGB image"),
    "rgba": (Image.fromarray(object_mask()).convert("RGBA"), "RGBA image"),
    "16 bit": (Image.fromarray(object_mask().astype(np.uint16)), "16-bit"),
    "soft": (
        Image.fromarray(object_mask(255)).resize((320, 240)).resize(SHAPE[::-1]),
        "anti-aliased",
    ),
}


@pytest.mark.parametrize("kind", BAD_MASKS)
def test_check_refuses_a_first_mask_that_is_none(clip, kind):
    image, reason = BAD_MASKS[kind]
    image.save(clip.mask_paths[0])
    with pytest.raises(InputError, match=reason) as caught:
        clip.check()
    assert "00000.png" in str(caught.value)


def test_void_alone_is_no_object(clip):
    ids = object_mask(255)
    ids[0, 0] = 7
    masks.write_mask(clip.mask_paths[0], ids)
    clip.check()
    ids[0, 0] = 0
    masks.write_mask(clip.mask_paths[0], ids)
    with pytest.raises(InputError, match="is empty"):
        clip.check()


def test_later_masks_are_checked_too_but_may_be_empty(clip, tmp_path):
    later = tmp_path / "masks" / "00002.png"
    masks.write_mask(later, object_mask(0))
    two = Clip("two", clip.frame_paths, {**clip.mask_paths, 2: later})
    two.check()
    Image.fromarray(object_mask()).convert("RGB").save(later)
    with pytest.raises(InputError, match="00002.png is an RGB image"):
        two.check()


def test_ids_with_gaps_are_kept(clip):
    ids = object_mask(9)
    ids[20:, :4] = 200
    masks.write_mask(clip.mask_paths[0], ids)
    clip.check()
    assert masks.object_ids(clip.mask(0)) == (9, 200)


def test_clips_without_frames_or_masks_are_refused(clip):
    with pytest.raises(InputError, match="clip none has no frames"):
        Clip("none", (), {}).check()
    with pytest.raises(InputError, match="clip bare has no mask"):
        Clip("bare", clip.frame_paths, {}).check()


def test_a_clip_of_one_frame_works(clip):
    single = Clip("one", clip.frame_paths[:1], clip.mask_paths)
    single.check()
    assert len(list(single.frames())) == 1


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_have_the_pixels_that_pillow_reads(
    mode, subsampling, progressive, tmp_path
):
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8))
    image = small.resize((101, 67), Image.Resampling.BICUBIC).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees, which masks do not follow
    path = tmp_path / "a.jpg"
    image.save(path, subsampling=subsampling, progressive=progressive, exif=exif)
    with Image.open(path) as stored:
        expected = np.array(stored.convert("RGB"))
    np.testing.assert_array_equal(read_frame(path), expected)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="cannot be decoded"):
        read_frame(path)


def test_pieces_of_a_clip(tmp_path):
    """Equal parts, each from the first frame with an object on."""
    shown = [True, True, False, True, False, False, True, True, False, False]
    for t, there in enumerate(shown):
        Image.new("RGB", (8, 6)).save(tmp_path / f"{t}.jpg")
        ids = np.full((6, 8), 3 if there else 0, np.uint8)
        masks.write_mask(tmp_path / f"{t}.png", ids)
    clip = Clip(
        "c",
        tuple(tmp_path / f"{t}.jpg" for t in range(10)),
        {t: tmp_path / f"{t}.png" for t in range(10)},
    )
    whole = pieces_of(clip, 100)
    assert [len(each) for each in whole] == [10]
    found = pieces_of(clip, 2)
    # Frames 0-1, 2-3 (from 3 on), 4-5 (none), 6-7, 8-9 (none).
    assert [each.frame_names for each in found] == [("0", "1"), ("3",), ("6", "7")]
    assert [each.name for each in found] == ["c-0", "c-1", "c-3"]
    for each in found:
        each.check()
        names = [path.stem for path in each.mask_paths.values()]
        assert tuple(names) == each.frame_names
