"""Listing YouTube-Objects and YouTube-VOS, from files made here."""

import json

import numpy as np
import pytest
from result_folders import write_clip, write_grey

from osmn_recurrent.datasets import registry, youtube_objects, youtube_vos
from osmn_recurrent.errors import InputError

SQUARE = np.zeros((12, 16), np.uint8)
SQUARE[3:9, 4:12] = 255


def write_published(folder, videos):
    """Writes `{(category, video, shot): label numbers}` as downloaded."""
    for (category, video, shot), numbers in videos.items():
        base = folder / category / "data" / video / "shots" / shot
        for number in numbers:
            write_grey(base / "labels" / f"{number:05d}.jpg", SQUARE)
        for number in range(1, max(numbers) + 1):
            write_grey(base / "images" / f"frame{number:04d}.jpg", SQUARE)


def test_the_published_layout(tmp_path):
    videos = {
        ("bird", "0001", "001"): (1, 11, 21),
        ("bird", "0002", "001"): (1, 11),
        ("bird", "0002", "004"): (2, 12),
    }
    write_published(tmp_path, videos)
    found = youtube_objects.list_videos(tmp_path)
    assert [each.name for each in found] == [
        "bird_0001",
        "bird_0002_001",
        "bird_0002_004",
    ]
    assert {each.category for each in found} == {"bird"}
    assert list(found[0].labels) == ["frame0001", "frame0011", "frame0021"]
    assert found[0].labels["frame0011"].name == "00011.jpg"
    assert len(found[0].frame_paths) == 21


@pytest.mark.parametrize("name", ["cat_0003", "cat/0003", "cat0003"])
@pytest.mark.parametrize(
    "folders", [("Labels", "Images"), ("Annotations", "JPEGImages")]
)
def test_one_folder_per_video(tmp_path, name, folders):
    labels, images = folders
    for number in (1, 2, 3):
        write_grey(tmp_path / images / name / f"{number:05d}.jpg", SQUARE)
    for number in (1, 3):
        write_grey(tmp_path / labels / name / f"{number:05d}.png", SQUARE)
    (video,) = youtube_objects.list_videos(tmp_path)
    assert (video.name, video.category) == (name, "cat")
    assert list(video.labels) == ["00001", "00003"]
    assert [path.stem for path in video.frame_paths] == ["00001", "00002", "00003"]


def test_a_list_chooses_videos_and_their_order(tmp_path):
    for name in ("boat_1", "car_1", "dog_1"):
        write_grey(tmp_path / "Labels" / name / "00001.png", SQUARE)
    (tmp_path / "few.txt").write_text("dog_1\n\nboat_1\n")
    names = [each.name for each in youtube_objects.list_videos(tmp_path, "few")]
    assert names == ["dog_1", "boat_1"]
    assert len(youtube_objects.list_videos(tmp_path, "val")) == 3
    with pytest.raises(InputError, match=r"other\.txt: no such list"):
        youtube_objects.list_videos(tmp_path, "other")
    (tmp_path / "few.txt").write_text("cow_1\n")
    with pytest.raises(InputError, match="names cow_1"):
        youtube_objects.list_videos(tmp_path, "few")


def test_labels_of_all_kinds_are_zero_and_one(tmp_path):
    expected = (SQUARE > 0).astype(np.uint8)
    write_grey(tmp_path / "a.jpg", SQUARE)  # lossy: not only 0 and 255
    write_grey(tmp_path / "a.png", SQUARE)
    write_grey(tmp_path / "b.png", expected)
    for name in ("a.jpg", "a.png", "b.png"):
        label = youtube_objects.read_label(tmp_path / name)
        assert label.dtype == np.uint8
        np.testing.assert_array_equal(label, expected)
    (tmp_path / "c.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"c\.jpg cannot be decoded"):
        youtube_objects.read_label(tmp_path / "c.jpg")


def test_a_folder_of_neither_layout_is_refused(tmp_path):
    with pytest.raises(InputError, match="no masks of YouTube-Objects"):
        youtube_objects.list_videos(tmp_path)


def write_vos(folder, objects, frames):
    """Writes one video "v" with `{id: frame names}` and masks of `frames`."""
    entries = {
        str(i): {"category": "ape", "frames": list(names)}
        for i, names in objects.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    meta = {"videos": {"v": {"objects": entries}}}
    (folder / "meta.json").write_text(json.dumps(meta))
    write_clip(folder / "Annotations" / "v", [SQUARE] * len(frames), frames)


OBJECTS = {2: ("00005", "00010"), 1: ("00000", "00005", "00010", "00015")}
FRAMES = ["00000", "00005", "00010", "00015"]


def test_youtube_vos_with_all_masks(tmp_path):
    write_vos(tmp_path / "train", OBJECTS, FRAMES)
    for folder in (tmp_path, tmp_path / "train"):
        (video,) = youtube_vos.list_videos(folder, "train")
        assert video.objects == dict(sorted(OBJECTS.items()))
        assert video.categories == {1: "ape", 2: "ape"}
        assert video.frames == tuple(FRAMES)
        assert video.first_frames == ("00000", "00005")
        assert list(video.masks) == FRAMES
        assert not video.hidden


def test_youtube_vos_with_first_masks_only(tmp_path):
    write_vos(tmp_path / "valid", OBJECTS, FRAMES[:2])
    (video,) = youtube_vos.list_videos(tmp_path, "val")
    assert video.hidden


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not a meta.json"),
        ("[]", "not a meta.json"),
        ('{"videos": {"v": {"objects": {"1": {}}}}}', "frames"),
        ('{"videos": {}}', "lists no video"),
        ('{"videos": {"v": {"objects": {}}}}', "no object"),
        ('{"videos": {"v": {"objects": {"1": {"frames": ["9"]}}}}}', "no mask 9.png"),
    ],
)
def test_a_meta_file_that_cannot_be_used_is_named(tmp_path, text, expected):
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(InputError, match=expected):
        youtube_vos.list_videos(tmp_path)


def test_a_missing_meta_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"meta\.json: no such file"):
        youtube_vos.list_videos(tmp_path)


def test_clips_of_youtube_objects_span_their_labels(tmp_path):
    write_published(tmp_path, {("bird", "0001", "001"): (2, 12)})
    base = tmp_path / "bird" / "data" / "0001" / "shots" / "001"
    for path in (base / "images").iterdir():
        write_grey(path, np.zeros((24, 32), np.uint8))  # twice the labels' size
    (clip,) = youtube_objects.youtube_objects_clips(tmp_path)
    clip.check()
    assert clip.frame_names == tuple(f"frame{n:04d}" for n in range(2, 13))
    assert list(clip.mask_paths) == [0]
    np.testing.assert_array_equal(
        clip.mask(0), np.repeat(np.repeat(SQUARE > 0, 2, 0), 2, 1)
    )
    (base / "images" / "frame0012.jpg").unlink()
    with pytest.raises(InputError, match="labels the frame frame0012"):
        youtube_objects.youtube_objects_clips(tmp_path)


def test_clips_of_youtube_vos_have_masks_where_objects_appear(tmp_path):
    names = [f"{5 * t:05d}" for t in range(6)]
    meta = {"1": names[1:5], "2": names[3:]}
    meta = {"videos": {"v": {"objects": {i: {"frames": f} for i, f in meta.items()}}}}
    folder = tmp_path / "train"
    clip = np.zeros((6, 12, 16), np.uint8)
    clip[1:5, :4], clip[3:, 8:] = 1, 2
    write_clip(folder / "Annotations" / "v", clip, names)
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match="v has no frames"):
        youtube_vos.youtube_vos_clips(tmp_path, "train")
    for name in names:
        write_grey(folder / "JPEGImages" / "v" / f"{name}.jpg", SQUARE)
    (found,) = youtube_vos.youtube_vos_clips(tmp_path, "train")
    found.check()
    assert found.frame_names == tuple(names[1:])  # nothing to follow before
    assert list(found.mask_paths) == [0, 2]
    np.testing.assert_array_equal(found.mask(2), clip[3])
    (every,) = youtube_vos.youtube_vos_clips(tmp_path, "train", first_mask_only=False)
    assert list(every.mask_paths) == [0, 1, 2, 3, 4]


def test_meta_files_in_other_encodings(tmp_path):
    write_clip(tmp_path / "Annotations" / "caf\u00e9", [SQUARE // 255], ["00000"])
    objects = {"1": {"category": "\u00e9", "frames": ["00000"]}}
    meta = {"videos": {"caf\u00e9": {"objects": objects}}}
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        text = json.dumps(meta, ensure_ascii=False)
        (tmp_path / "meta.json").write_bytes(text.encode(encoding))
        (video,) = youtube_vos.list_videos(tmp_path)
        assert (video.name, video.categories) == ("caf\u00e9", {1: "\u00e9"})


@pytest.mark.parametrize(
    ("name", "frames", "number"),
    [
        ("../outside/seq", ["00000"], "1"),
        ("/etc", ["00000"], "1"),
        ("v", ["../00000"], "1"),
        ("v", ["a/b"], "1"),
        ("v", [3], "1"),
        ("v", ["00000"], "0"),
        ("v", ["00000"], "300"),
    ],
)
def test_meta_files_that_lead_out_are_refused(tmp_path, name, frames, number):
    for place in ("v", "../outside/seq"):
        write_clip(tmp_path / "d" / "Annotations" / place, [SQUARE // 255], ["00000"])
    meta = {"videos": {name: {"objects": {number: {"frames": frames}}}}}
    (tmp_path / "d" / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match="meta.json (names .*, which |gives v an obj)"):
        youtube_vos.list_videos(tmp_path / "d")


def test_lists_of_videos_that_lead_out_are_refused(tmp_path):
    write_published(tmp_path, {("bird", "0001", "001"): (1, 11)})
    (tmp_path / "few.txt").write_bytes("bird_0001\r\n".encode("utf-16"))
    assert len(youtube_objects.list_videos(tmp_path, "few")) == 1
    (tmp_path / "few.txt").write_text("../bird_0001")
    with pytest.raises(InputError, match="few.txt names .*, which leads out"):
        youtube_objects.list_videos(tmp_path, "few")


def test_the_releases_youtube_objects_are_first_shots_and_labelled_frames(tmp_path):
    videos = {
        ("bird", "0001", "001"): (2, 12, 22),
        ("bird", "0001", "004"): (1, 11),
        ("bird", "0002", "003"): (1, 11),  # has no first shot
    }
    write_published(tmp_path, videos)
    name = "youtube_objects_labelled"
    (clip,) = registry.clips(name, tmp_path, "all")
    assert clip.name == "bird_0001_001"
    assert clip.frame_names == ("frame0002", "frame0012", "frame0022")
    assert list(clip.mask_paths) == [0]
    (sequence,) = registry.sequences(name, tmp_path, "all")
    assert (sequence.name, sequence.frames) == (clip.name, clip.frame_names)
    assert sequence.protocol == registry.find("youtube_objects").protocol
    assert [
        len(each) for each in registry.clips("youtube_objects", tmp_path, "all")
    ] == [
        21,
        11,
        11,
    ]


def test_listed_frames_of_youtube_vos(tmp_path):
    names = [f"{5 * t:05d}" for t in range(6)]
    listed = {"1": names[1:3], "2": [names[2], names[4]]}
    objects = {i: {"frames": frames} for i, frames in listed.items()}
    folder = tmp_path / "valid"
    ids = np.zeros((6, 12, 16), np.uint8)
    ids[1:, :4], ids[2:, 8:] = 1, 2
    write_clip(folder / "Annotations" / "v", ids[1:3], names[1:3])
    (folder / "meta.json").write_text(
        json.dumps({"videos": {"v": {"objects": objects}}})
    )
    for name in names:
        write_grey(folder / "JPEGImages" / "v" / f"{name}.jpg", SQUARE)
    (clip,) = registry.clips("youtube_vos_listed", tmp_path, "valid")
    # Indexes count from the first frame with an object, 00005.
    assert clip.listed == {1: {0, 1}, 2: {1, 3}}
    (default,) = registry.clips("youtube_vos", tmp_path, "valid")
    assert default.listed is None and default.mask_paths == clip.mask_paths
