"""One's own video: folders and video files, one mask or several."""

import warnings
import weakref

import cv2
import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.datasets.video_files import (
    EXAMPLES,
    VideoFileClip,
    example_clip,
    open_clip,
)
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import write_mask

SHAPE = (96, 128)
CODECS = {"avi": "MJPG", "mp4": "mp4v", "webm": "VP80"}


def write_video(path, frames, shape=SHAPE):
    """Frame t is grey 4 t with a red left half."""
    fourcc = cv2.VideoWriter_fourcc(*CODECS[path.suffix[1:]])
    writer = cv2.VideoWriter(str(path), fourcc, 10, shape[::-1])
    assert writer.isOpened()
    for t in range(frames):
        frame = np.full((*shape, 3), 4 * t, np.uint8)
        frame[:, : shape[1] // 2] = (0, 0, 255)  # blue, green, red
        writer.write(frame)
    writer.release()
    return path


def write_object(path, value=1, shape=SHAPE):
    ids = np.zeros(shape, np.uint8)
    ids[10:40, 20:60] = value
    write_mask(path, ids)
    return path


@pytest.fixture
def folder(tmp_path):
    """Frames frame1.png ... frame12.png whose grey is 10 times the number."""
    path = tmp_path / "holiday"
    path.mkdir()
    for number in range(1, 13):
        picture = Image.fromarray(np.full(SHAPE, 10 * number, np.uint8))
        picture.save(path / f"frame{number}.png")
    return path


@pytest.mark.parametrize("suffix", CODECS)
def test_video_files_stream_their_frames_in_order(tmp_path, suffix):
    video = write_video(tmp_path / f"clip.{suffix}", 50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = open_clip(video, write_object(tmp_path / "first.png"))
    clip.check()
    assert isinstance(clip, VideoFileClip) and clip.name == "clip"
    assert len(clip) == 50 and clip.size == SHAPE
    assert clip.frame_names[::49] == ("00000", "00049")
    assert clip.mask(0).sum() == 30 * 40 and clip.mask(1) is None
    for start in (0, 47):
        right = [frame[:, 90:].mean() for frame in clip.frames(start)]
        assert np.abs(np.array(right) - 4 * np.arange(start, 50)).max() < 5
    red, green, blue = clip.frame(20)[:, :40].mean((0, 1))
    assert red > 220 and green < 40 and blue < 40
    assert clip.frame(20).dtype == np.uint8


def test_one_frame_at_a_time_is_in_memory(tmp_path):
    video = write_video(tmp_path / "clip.avi", 60)
    clip = open_clip(video, write_object(tmp_path / "first.png"))
    seen = []
    for frame in clip.frames():
        seen.append(weakref.ref(frame))
        assert sum(each() is not None for each in seen) <= 2
    kept = list(clip.frames())  # what the figure would be otherwise
    assert sum(weakref.ref(frame)() is not None for frame in kept) == 60


def test_a_video_that_changes_after_opening_is_named(tmp_path):
    video = write_video(tmp_path / "clip.avi", 20)
    clip = open_clip(video, write_object(tmp_path / "first.png"))
    write_video(video, 8)
    with pytest.raises(InputError, match="now ends after 8 of 20 frames"):
        list(clip.frames())
    with pytest.raises(IndexError):
        clip.frame(20)


def test_missing_video_single_picture_and_empty_folder_are_refused(folder, tmp_path):
    mask = write_object(tmp_path / "first.png")
    with pytest.raises(InputError, match="none.mp4: no such video"):
        open_clip(tmp_path / "none.mp4", mask)
    with pytest.raises(InputError, match="frame1.png is a single picture"):
        open_clip(folder / "frame1.png", mask)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no frames"):
        open_clip(tmp_path / "empty", mask)


def test_a_folder_is_read_in_natural_order(folder, tmp_path):
    clip = open_clip(str(folder), str(write_object(tmp_path / "first.png", 7)))
    clip.check()
    assert clip.name == "holiday" and clip.frame_names[::9] == ("frame1", "frame10")
    assert [int(f.mean()) for f in clip.frames()] == list(range(10, 130, 10))
    assert masks.object_ids(clip.mask(0)) == (7,)


def test_several_masks_belong_to_the_frames_they_name(folder, tmp_path):
    first = write_object(tmp_path / "masks" / "frame1.png", 1)
    later = write_object(tmp_path / "masks" / "frame10.png", 2)
    for given in (tmp_path / "masks", [first, str(later)], [later, first]):
        clip = open_clip(folder, given)
        clip.check()
        assert clip.mask_paths == {0: first, 9: later}
    write_object(tmp_path / "masks" / "frame13.png")
    with pytest.raises(InputError, match=r"1 of the 3 .*\(frame13.png\).*frame1.png"):
        open_clip(folder, tmp_path / "masks")


def test_a_single_mask_named_like_a_later_frame_is_ambiguous(folder, tmp_path):
    mask = write_object(tmp_path / "masks" / "frame3.png")
    with pytest.raises(InputError, match="named like frame frame3"):
        open_clip(folder, mask)
    assert list(open_clip(folder, mask.parent).mask_paths) == [2]


def test_masks_that_are_missing_are_named(folder, tmp_path):
    with pytest.raises(InputError, match="none.png: no such mask"):
        open_clip(folder, tmp_path / "none.png")
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match="masks holds no masks"):
        open_clip(folder, tmp_path / "masks")


@pytest.mark.parametrize("kind", ["folder", "avi"])
def test_masks_that_do_not_fit_are_refused_by_check(folder, tmp_path, kind):
    video = folder if kind == "folder" else write_video(tmp_path / "v.avi", 3)
    small = write_object(tmp_path / "small.png", shape=(96, 120))
    with pytest.raises(InputError, match="small.png is 120x96.*128x96"):
        open_clip(video, small).check()
    empty = write_object(tmp_path / "blank.png", value=0)
    with pytest.raises(InputError, match="blank.png is empty: no object to follow"):
        open_clip(video, empty).check()


def test_clips_of_one_frame(folder, tmp_path):
    for number in range(2, 13):
        (folder / f"frame{number}.png").unlink()
    video = write_video(tmp_path / "v.avi", 1)
    for source in (folder, video):
        clip = open_clip(source, write_object(tmp_path / "first.png"))
        clip.check()
        assert len(clip) == 1 and len(list(clip.frames())) == 1


def test_real_video_with_its_first_mask(test_data):
    root = test_data / "data" / "clips"
    clip = open_clip(root / "JPEGImages" / "bike", root / "Annotations/bike/00000.png")
    clip.check()
    assert len(clip) == 4 and clip.size == (480, 854)
    assert masks.object_ids(clip.mask(0)) == (1, 2)


def test_real_video_with_objects_that_appear_later(test_data, tmp_path):
    root = test_data / "data" / "clips"
    clip = open_clip(root / "JPEGImages" / "judo", root / "Annotations" / "judo")
    assert list(clip.mask_paths) == [0, 5, 8, 13]
    assert [masks.object_ids(clip.mask(t)) for t in clip.mask_paths] == [
        (1,),
        (2,),
        (3,),
        (4,),
    ]
    # One of these masks is a column short.
    assert clip.mask(5).shape == clip.size == (480, 854)


def test_the_packaged_clip_moves_and_its_mask_has_one_object_in_one_piece():
    clip = example_clip()
    clip.check()
    frames = list(clip.frames())
    assert len(frames) == len(clip) == 60
    mask = clip.mask(0)
    assert mask.shape == frames[0].shape[:2] == (270, 480)
    count, _, parts, _ = cv2.connectedComponentsWithStats(mask)
    assert (count, parts[1, cv2.CC_STAT_AREA]) == (2, np.count_nonzero(mask))
    # The rabbit gets up, so that the picture changes more where it was (52 and 31).
    change = np.abs(frames[-1].astype(float) - frames[0]).mean(-1)
    assert change[mask == 1].mean() > 1.3 * change[mask == 0].mean()
    assert (EXAMPLES / "CREDITS.md").read_text().count("Blender Foundation")
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < 400_000
