"""The clip type: order of files, reading, and refusing before work starts."""

import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.datasets.clips import Clip, masks_by_frame, pieces_of
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.media.mask_files import write_mask
from osmn_recurrent.media.pictures import picture_paths

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
    write_mask(tmp_path / "masks" / "00000.png", object_mask(3))
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
    write_mask(clip.mask_paths[0], object_mask(3) + object_mask(252))
    binary = Clip("b", clip.frame_paths, clip.mask_paths, binary=True)
    assert set(np.unique(clip.mask(0))) == {0, 255}
    assert (binary.mask(0) == object_mask(1)).all()


def test_palette_is_that_of_the_first_mask(clip):
    own = (0, 0, 0, *range(9, 255), *range(9, 255), *range(9, 255), *range(60, 87))
    write_mask(clip.mask_paths[0], object_mask(), own)
    assert clip.palette() == own
    assert Clip("none", clip.frame_paths, {}).palette() == masks.davis_palette()


def test_masks_find_their_frames_or_are_refused(tmp_path):
    names = ("a", "b", "c")
    paths = [tmp_path / "c.png", tmp_path / "a.png"]
    assert masks_by_frame(paths, names, "v") == {0: paths[1], 2: paths[0]}
    with pytest.raises(InputError, match=r"1 of the 2 .* no frame of v \(d.png\)"):
        masks_by_frame([tmp_path / "d.png", paths[0]], names, "v")
    with pytest.raises(InputError, match="both masks of frame a"):
        masks_by_frame([paths[1], tmp_path / "other" / "a.png"], names, "v")


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
    "other size": (Image.fromarray(object_mask(shape=(24, 40))), "is 40x24"),
    "empty": (Image.fromarray(object_mask(0)), "is empty: no object to follow"),
    "photograph": (
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), "u1")),
        "more like a picture",
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
    write_mask(clip.mask_paths[0], ids)
    clip.check()
    ids[0, 0] = 0
    write_mask(clip.mask_paths[0], ids)
    with pytest.raises(InputError, match="is empty"):
        clip.check()


def test_later_masks_are_checked_too_but_may_be_empty(clip, tmp_path):
    later = tmp_path / "masks" / "00002.png"
    write_mask(later, object_mask(0))
    two = Clip("two", clip.frame_paths, {**clip.mask_paths, 2: later})
    two.check()
    later.write_bytes(b"no picture")
    with pytest.raises(InputError, match="00002.png cannot be decoded"):
        two.check()


def test_the_first_object_may_appear_later(clip, tmp_path):
    later = tmp_path / "masks" / "00002.png"
    write_mask(later, object_mask(3))
    Clip("late", clip.frame_paths, {2: later}).check()
    write_mask(clip.mask_paths[0], object_mask(0))
    Clip("late", clip.frame_paths, {**clip.mask_paths, 2: later}).check()


def test_a_mask_of_the_same_proportions_is_resized(clip):
    write_mask(clip.mask_paths[0], object_mask(3)[::2, ::2])
    with pytest.warns(InputNote, match="00000.png is 16x12; it is resized"):
        clip.check()
    assert clip.mask(0).shape == SHAPE
    np.testing.assert_array_equal(clip.mask(0), object_mask(3))


def test_ids_with_gaps_are_kept(clip):
    ids = object_mask(9)
    ids[20:, :4] = 200
    write_mask(clip.mask_paths[0], ids)
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


def test_pieces_of_a_clip(tmp_path):
    """Equal parts, each from the first frame with an object on."""
    shown = [True, True, False, True, False, False, True, True, False, False]
    for t, there in enumerate(shown):
        Image.new("RGB", (8, 6)).save(tmp_path / f"{t}.jpg")
        ids = np.full((6, 8), 3 if there else 0, np.uint8)
        write_mask(tmp_path / f"{t}.png", ids)
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
