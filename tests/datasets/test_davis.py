"""DAVIS folders: lists of both kinds, layouts, real data, what is missing."""

import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.datasets import registry
from osmn_recurrent.datasets.davis import (
    annotation_paths,
    davis_clips,
    sequence_names,
)
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import write_mask
from osmn_recurrent.metrics.result_folder import evaluate_folder

SHAPE = (12, 16)


def ids_of(index):
    ids = np.zeros(SHAPE, np.uint8)
    ids[2:6, index : index + 4], ids[8:, 8:] = 1, 4
    return ids


def write_list(root, year, split, text):
    path = root / "ImageSets" / str(year) / f"{split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def davis(tmp_path):
    """Two sequences of 5 frames at "480p", ids 1 and 4, list "val" of 2017."""
    for name in ("pigs", "bear"):
        frames = tmp_path / "JPEGImages" / "480p" / name
        frames.mkdir(parents=True)
        for t in range(5):
            grey = np.full((*SHAPE, 3), 30 * t, np.uint8)
            Image.fromarray(grey).save(frames / f"{t:05d}.jpg")
            mask = tmp_path / "Annotations" / "480p" / name / f"{t:05d}.png"
            write_mask(mask, ids_of(t))
    write_list(tmp_path, 2017, "val", "pigs\nbear\n")
    return tmp_path


def pairs(names, frames=3):
    return "".join(
        f"/JPEGImages/480p/{n}/{t:05d}.jpg /Annotations/480p/{n}/{t:05d}.png \n"
        for n in names
        for t in range(frames)
    )


@pytest.mark.parametrize(
    "text",
    ["pigs\nbear\n", "\ufeffpigs\r\n\r\nbear\r\npigs", pairs(["pigs", "bear"])],
    ids=["plain", "windows", "pairs"],
)
def test_lists_of_every_kind_name_the_same_sequences(tmp_path, text):
    write_list(tmp_path, 2016, "train", text)
    assert sequence_names(tmp_path, 2016, "train") == ("pigs", "bear")


@pytest.mark.parametrize("folder", ["480p", "1080p"])
def test_official_place_of_2016_lists_is_found_for_2016_alone(tmp_path, folder):
    write_list(tmp_path, folder, "val", pairs(["cows"]))
    assert sequence_names(tmp_path, 2016, "val") == ("cows",)
    with pytest.raises(InputError, match=f"2017/val.txt.* has {folder}/val.txt"):
        sequence_names(tmp_path, 2017, "val")


def test_missing_and_empty_lists_are_refused(davis):
    write_list(davis, 2017, "empty", "\n \n")
    with pytest.raises(InputError, match="empty.txt names no sequence"):
        sequence_names(davis, 2017, "empty")
    with pytest.raises(InputError, match="2017/test.txt.*has 2017/empty.txt, 2017/val"):
        sequence_names(davis, 2017, "test")


def test_clips_hold_every_frame_and_mask(davis):
    clips = davis_clips(davis)
    assert [clip.name for clip in clips] == ["pigs", "bear"]
    for clip in clips:
        clip.check()
        assert len(clip) == 5 and clip.size == SHAPE and not clip.binary
        for t in range(5):
            assert abs(int(clip.frame(t)[0, 0, 0]) - 30 * t) <= 2
            assert (clip.mask(t) == ids_of(t)).all()


def test_2016_makes_one_object_of_all_ids(davis):
    write_list(davis, 2016, "val", pairs(["bear"]))
    (clip,) = davis_clips(davis, 2016)
    assert clip.binary and (clip.mask(3) == (ids_of(3) > 0)).all()


def test_first_mask_only_and_sets_that_publish_no_more(davis):
    clips = davis_clips(davis, first_mask_only=True)
    assert [list(clip.mask_paths) for clip in clips] == [[0], [0]]
    for path in annotation_paths(davis, "bear")[1:]:
        path.unlink()
    pigs, bear = davis_clips(davis)
    assert list(pigs.mask_paths) == [0, 1, 2, 3, 4] and list(bear.mask_paths) == [0]


def test_any_resolution_folder_is_read(davis):
    for kind in ("JPEGImages", "Annotations"):
        (davis / kind / "480p").rename(davis / kind / "Full-Resolution")
    assert len(davis_clips(davis, resolution="Full-Resolution")) == 2
    with pytest.raises(InputError, match="480p: no such folder.* has Full-Resolution"):
        davis_clips(davis)


def test_annotation_paths_are_sorted_and_skip_other_files(davis):
    folder = davis / "Annotations" / "480p" / "bear"
    (folder / ".00000-tmp.png").write_bytes(b"")
    (folder / "readme.txt").write_text("")
    names = [path.name for path in annotation_paths(davis, "bear")]
    assert names == [f"{t:05d}.png" for t in range(5)]


def test_what_is_missing_is_named_with_what_is_there(davis):
    with pytest.raises(InputError, match="nowhere does not exist either"):
        annotation_paths(davis / "nowhere", "bear")
    with pytest.raises(InputError, match="480p/dog: no such folder.*has bear, pigs"):
        annotation_paths(davis, "dog")
    write_list(davis, 2017, "more", "bear\ndog\n")
    with pytest.raises(InputError, match="JPEGImages/480p/dog: no such folder"):
        davis_clips(davis, split="more")


def test_sequences_without_frames_masks_or_first_mask_are_refused(davis):
    (annotation_paths(davis, "bear")[0]).unlink()
    with pytest.raises(InputError, match="bear has no mask 00000.png"):
        davis_clips(davis)
    for path in annotation_paths(davis, "bear"):
        path.unlink()
    with pytest.raises(InputError, match="bear holds no PNG"):
        davis_clips(davis)
    for path in (davis / "JPEGImages" / "480p" / "bear").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="bear holds no picture"):
        davis_clips(davis)


def test_a_mask_of_no_frame_is_refused(davis):
    write_mask(davis / "Annotations/480p/pigs/00005.png", ids_of(0))
    with pytest.raises(InputError, match=r"no frame of .*pigs \(00005.png\)"):
        davis_clips(davis)


def test_real_2016_lists_of_both_kinds_agree(test_data, tmp_path):
    root = test_data / "data" / "davis2016"
    plain = sequence_names(root, 2016, "val_study")
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "480p").symlink_to(root / "ImageSets" / "480p")
    assert sequence_names(tmp_path, 2016, "val_study") == plain
    assert len(plain) == 10 and plain[0] == "blackswan"


@pytest.mark.parametrize(
    "folder, year, split, resolution, clips, frames",
    [
        ("davis2016", 2016, "val_study", "480p", 10, 725),
        ("davis2016_train_240p", 2016, "train", "240p", 30, 2079),
        ("davis2016_train_240p", 2016, "train_fit", "240p", 26, None),
        ("davis2016_train_240p", 2016, "train_stop", "240p", 4, None),
        ("davis2017_240p", 2017, "val", "240p", 1, 66),
    ],
)
def test_real_folders(test_data, folder, year, split, resolution, clips, frames):
    found = davis_clips(test_data / "data" / folder, year, split, resolution)
    assert len(found) == clips
    assert frames in (None, sum(map(len, found)))
    for clip in found:
        assert sorted(clip.mask_paths) == list(range(len(clip)))
    found[0].check()
    assert masks.object_ids(found[0].mask(0)) == ((1,) if year == 2016 else (1, 2, 3))


def test_real_annotations_without_frames(test_data):
    root = test_data / "data" / "evaluator_multi_object"
    assert sequence_names(root, 2017, "val") == ("judo", "pigs", "gold-fish")
    assert len(annotation_paths(root, "judo")) == 34
    with pytest.raises(InputError, match="JPEGImages: no such folder"):
        davis_clips(root)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_lists_in_other_encodings(tmp_path, encoding):
    path = tmp_path / "ImageSets" / "2017" / "val.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes("caf\u00e9\r\nbear\r\n".encode(encoding))
    assert sequence_names(tmp_path, 2017, "val") == ("caf\u00e9", "bear")


def test_lists_of_windows(tmp_path):
    text = "JPEGImages\\480p\\bear\\00000.jpg Annotations\\480p\\bear\\00000.png\nx/\n"
    write_list(tmp_path, 2016, "val", text)
    assert sequence_names(tmp_path, 2016, "val") == ("bear", "x")


@pytest.mark.parametrize(
    "line",
    [
        "../outside",
        "x /../../../../outside/seq",
        "..",
        "/JPEGImages/480p/../00000.jpg /Annotations/480p/../00000.png",
        "C:\\x y",
        "be\x1b[31mar",
    ],
)
def test_names_that_lead_out_are_refused(davis, line):
    write_list(davis, 2017, "val", f"bear\n{line}\n")
    with pytest.raises(InputError, match="val.txt names .*, which "):
        davis_clips(davis, 2017, "val")


def test_splits_that_lead_out_are_refused(davis):
    (davis / "secret.txt").write_text("bear\n")
    with pytest.raises(InputError, match="has several parts|leads out"):
        sequence_names(davis, 2017, "../../secret")


def test_lists_that_come_with_the_package(davis, test_data):
    lists = {2016: ("val_study", "train_fit", "train_stop"), 2017: ("val_objects",)}
    counts = [len(sequence_names(davis, y, s)) for y in lists for s in lists[y]]
    assert counts == [10, 26, 4, 2]
    # The folder's own list wins.
    write_list(davis, 2017, "val_objects", "pigs\n")
    assert sequence_names(davis, 2017, "val_objects") == ("pigs",)
    data = test_data / "data"
    for folder, year, split in (
        ("davis2016", 2016, "val_study"),
        ("davis2016_train_240p", 2016, "train_fit"),
        ("davis2016_train_240p", 2016, "train_stop"),
        ("davis2017_240p", 2017, "val_objects"),
    ):
        own = sequence_names(data / folder, year, split)
        assert own == sequence_names(davis / "none", year, split)


def test_frames_of_full_resolution_with_masks_of_480p(davis):
    write_list(davis, 2017, "val", "pigs\n")
    folder = davis / "JPEGImages" / "Full-Resolution" / "pigs"
    folder.mkdir(parents=True)
    for path in (davis / "JPEGImages" / "480p" / "pigs").iterdir():
        large = Image.open(path).resize((SHAPE[1] * 3, SHAPE[0] * 3))
        large.save(folder / path.name)
    (clip,) = davis_clips(davis, resolution="Full-Resolution:480p")
    clip.check()
    assert clip.size == clip.frame(2).shape[:2] == (36, 48)
    for t in range(5):  # nearest neighbour
        enlarged = ids_of(t).repeat(3, 0).repeat(3, 1)
        np.testing.assert_array_equal(clip.mask(t), enlarged)
        write_mask(davis / "results" / "pigs" / f"{t:05d}.png", enlarged)
    sequences = registry.sequences("davis2017", davis, "val", "Full-Resolution:480p")
    scores = evaluate_folder(davis / "results", sequences, 1)["pigs"]
    assert all((scores[i].j == 1).all() for i in (1, 4))
    with pytest.raises(InputError, match="240p: no such folder"):
        davis_clips(davis, resolution="Full-Resolution:240p")
    with pytest.raises(InputError, match="is 48x36, but the true masks"):
        evaluate_folder(
            davis / "results", registry.sequences("davis2017", davis, "val"), 1
        )
