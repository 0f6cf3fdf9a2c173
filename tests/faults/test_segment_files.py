"""osmn segment among a person's files: nothing of theirs is replaced or misread."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys

import drawn_videos as make
import numpy as np
import pytest
from PIL import Image

from osmn_recurrent.media import videos
from osmn_recurrent.media.mask_files import read_mask, write_mask

SIZE = (64, 96)


def box(index=0, value=1):
    """Where `drawn_videos.scene(index)` has its red box."""
    ids = np.zeros(SIZE, np.uint8)
    ids[12:32, 10 + 3 * index : 34 + 3 * index] = value
    return ids


@pytest.fixture
def place(tmp_path):
    """Folder with `talk.mp4`, `frames` (both four frames) and `first.png`."""
    folder = tmp_path / "own"
    (folder / "frames").mkdir(parents=True)
    drawn = [make.scene(index) for index in range(4)]
    make.write_cv(folder / "talk.mp4", drawn)
    for index, frame in enumerate(drawn):
        Image.fromarray(frame).save(folder / "frames" / f"{index:05d}.png")
    write_mask(folder / "first.png", box())
    return folder


@pytest.fixture
def run(segment_program, random_weights, place):
    """`segment_program` on `talk.mp4` with a small network."""

    def call(**given):
        return segment_program(
            **{
                "weights": random_weights["osmn.keras"],
                "video": place / "talk.mp4",
                "mask": place / "first.png",
                "out": place,
                "working_size": 32,
                **given,
            }
        )

    return call


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


RESULTS = {
    "overlay": ("talk_overlay.mp4", {"overlay": True}),
    "tracks": ("talk.json", {"tracks": True}),
    "sheet": ("talk_sheet.png", {"sheet": True}),
    "cut-outs": ("talk_cutouts/00002.png", {"cutouts": True}),
    "other pictures where cut-outs go": ("talk_cutouts/me.jpg", {"cutouts": True}),
    "masks": ("talk/00001.png", {}),
}


@pytest.mark.parametrize("kind", RESULTS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_of_the_users_own_stays(run, place, kind, overwrite):
    name, wanted = RESULTS[kind]
    if kind == "masks" and overwrite:
        return  # the error says that --overwrite replaces them
    (place / name).parent.mkdir(exist_ok=True)
    (place / name).write_bytes(b"mine")
    before = contents(place)
    code, _, errors = run(**wanted, overwrite=overwrite)
    assert code == 2 and len(errors) == 1
    assert str((place / name).parent) in errors[0]
    assert contents(place) == before


def test_results_beside_the_users_files(run, place):
    """Their names are none of the user's, and a second run may replace them."""
    before = contents(place)
    wanted = {"overlay": True, "tracks": True, "sheet": True, "cutouts": True}
    code, _, errors = run(**wanted)
    assert (code, errors) == (0, [])
    after = contents(place)
    assert {name: after[name] for name in before} == before
    assert {"talk_overlay.mp4", "talk.json", "talk_sheet.png"} <= after.keys()
    assert run(**wanted, overwrite=True)[0] == 0
    assert contents(place).keys() == after.keys()


def test_a_mask_with_the_name_of_a_result_stays(run, place):
    mask = place / "talk_sheet.png"
    write_mask(mask, box())
    before = mask.read_bytes()
    code, _, errors = run(mask=mask, sheet=True)
    assert code == 2 and "talk_sheet.png" in errors[0]
    assert mask.read_bytes() == before


def test_results_made_later_are_recorded_too(run, place):
    """Without new masks; then they are replaced with the masks."""
    assert run()[0] == 0
    assert run(tracks=True)[0] == 0
    (place / "talk" / "00003.png").unlink()
    code, said, _ = run(tracks=True)
    assert code == 0 and "1 new" in said
    tracks = json.loads((place / "talk.json").read_text())
    assert tracks["videos"][0]["length"] == 4


def test_the_first_object_in_a_later_frame(run, place):
    """From a folder of masks; also with objects in several frames."""
    folder = place / "masks"
    write_mask(folder / "00002.png", box(2))
    code, said, errors = run(mask=folder, overlay=True)
    assert (code, errors) == (0, []) and "1 object" in said
    found = [read_mask(path) for path in sorted((place / "talk").glob("*.png"))]
    assert not np.any(found[:2]) and len(found) == 4
    np.testing.assert_array_equal(found[2], box(2))
    assert len(videos.open_video(place / "talk_overlay.mp4")) == 4


def test_fine_tuning_to_a_later_frame(run, place):
    write_mask(place / "masks" / "00001.png", box(1))
    code, _, errors = run(mask=place / "masks", finetune_steps=1)
    assert (code, errors) == (0, [])
    np.testing.assert_array_equal(read_mask(place / "talk" / "00001.png"), box(1))


def test_two_masks_of_black_and_white_are_two_objects(run, place):
    for index, shape in ((0, box()), (2, box()[::-1])):
        (place / "masks").mkdir(exist_ok=True)
        Image.fromarray(shape * 255).save(place / "masks" / f"{index:05d}.png")
    code, said, _ = run(mask=place / "masks")
    assert code == 0 and "2 objects" in said
    later = read_mask(place / "talk" / "00002.png")
    assert (later[box()[::-1] > 0] == 2).all()


def test_a_mask_that_brings_nothing_new_is_told(place):
    for index in (0, 2):
        write_mask(place / "masks" / f"{index:05d}.png", box(index))
    from osmn_recurrent.datasets.video_files import note_idle_masks, open_clip
    from osmn_recurrent.errors import InputNote

    clip = open_clip(place / "talk.mp4", place / "masks")
    with pytest.warns(InputNote, match=r"mask .*00002.png brings no new object"):
        note_idle_masks(clip)


def test_commas_and_repeated_masks(run, place):
    paths = [place / "masks, new" / f"{index:05d}.png" for index in (0, 2)]
    write_mask(paths[0], box())
    write_mask(paths[1], box()[::-1] * 3)
    shutil.move(place / "talk.mp4", place / "talk, cut.mp4")
    code, said, errors = run(mask=paths, video=place / "talk, cut.mp4")
    assert (code, errors) == (0, []) and "2 objects" in said


def test_frames_that_lie_on_their_side(run, place, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    folder = tmp_path / "camera"
    folder.mkdir()
    for index in range(2):
        upright = Image.fromarray(make.scene(index))
        upright.transpose(Image.ROTATE_90).save(folder / f"{index}.jpg", exif=exif)
    code, _, errors = run(video=folder, out=tmp_path / "out", cutouts=True)
    assert (code, errors) == (0, [])
    with Image.open(tmp_path / "out" / "camera_cutouts" / "0.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape[:2] == SIZE
    assert np.median(pixels[box() > 0][:, 0]) > 180


@pytest.mark.parametrize("size", [(65, 97), (64, 97), (65, 96)])
def test_overlays_of_odd_sizes_lose_nothing(run, tmp_path, size):
    folder = tmp_path / "odd"
    folder.mkdir()
    for index in range(2):
        frame = np.full((*size, 3), 40, np.uint8)
        frame[-1], frame[:, -1] = (250, 250, 250), (250, 250, 250)
        Image.fromarray(frame).save(folder / f"{index}.png")
    ids = np.zeros(size, np.uint8)
    ids[10:30, 10:30] = 1
    write_mask(tmp_path / "m.png", ids)
    code, _, _ = run(
        video=folder, mask=tmp_path / "m.png", out=tmp_path / "out", overlay=True
    )
    assert code == 0
    shown = next(videos.open_video(tmp_path / "out" / "odd_overlay.mp4").frames())
    assert shown.shape[0] >= size[0] and shown.shape[1] >= size[1]
    assert shown[size[0] - 1, 5].min() > 180 and shown[5, size[1] - 1].min() > 180


def test_the_overlay_has_the_time_stamps_of_the_source(run, place):
    uneven = [0, 37, 91, 700]
    drawn = [make.scene(index) for index in range(4)]
    make.write_av(place / "v.mkv", drawn, uneven, "mjpeg", "yuvj420p")
    assert run(video=place / "v.mkv", overlay=True)[0] == 0
    shown = videos.open_video(place / "v_overlay.mp4")
    np.testing.assert_allclose(shown.times, np.array(uneven) / 1000, atol=0.002)
    assert run(video=place / "v.mkv", overlay=True, fps=10, overwrite=True)[0] == 0
    shown = videos.open_video(place / "v_overlay.mp4")
    np.testing.assert_allclose(shown.times, [0, 0.1, 0.2, 0.3], atol=0.002)


@pytest.mark.parametrize("fps", ["inf", "nan", "0", "-5", "1e9"])
def test_rates_that_are_none(run, place, fps):
    before = contents(place)
    code, _, errors = run(overlay=True, fps=fps)
    assert code == 2 and len(errors) == 1
    assert contents(place) == before


def test_masks_of_another_size(run, place):
    write_mask(place / "half.png", box()[::2, ::2])
    code, _, errors = run(mask=place / "half.png")
    assert (code, errors) == (0, [])
    assert read_mask(place / "talk" / "00000.png").shape == SIZE


@contextlib.contextmanager
def no_file_over(size):
    """Files cannot grow over `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("flag", "limit"), [("overlay", 20_000), ("cutouts", 9_000), ("tracks", 9_000)]
)
def test_a_full_disk(run, place, tmp_path, flag, limit):
    """One sentence; masks and whole files only, and the next run resumes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "noise"
    folder.mkdir()
    for index in range(8):
        frame = rng.integers(0, 256, (*SIZE, 3), np.uint8)
        Image.fromarray(frame).save(folder / f"{index:05d}.png")
    write_mask(place / "first.png", (np.indices(SIZE).sum(0) % 2).astype(np.uint8))
    out = tmp_path / "out"
    with no_file_over(limit):
        code, _, errors = run(video=folder, out=out, **{flag: True})
    assert code == 2 and len(errors) == 1
    assert "File too large" in errors[0]
    assert not list(out.glob("*.mp4")) and not list(out.glob("*.json"))
    assert not list(out.rglob("*unfinished*"))
    code, _, errors = run(video=folder, out=out, **{flag: True})
    assert (code, errors) == (0, [])
    assert len(list((out / "noise").glob("*.png"))) == 8


def test_names_and_notes_on_a_terminal_that_lacks_letters(
    place, random_weights, tmp_path
):
    name = "\u89c6\u9891\u0142"
    shutil.move(place / "frames", place / name)
    soft = np.array(Image.fromarray(box() * 255).resize((192, 128)).resize((96, 64)))
    Image.fromarray(soft).save(place / "first.png")
    root = pathlib.Path(__file__).parents[2]
    found = subprocess.run(
        [
            *(sys.executable, "-m", "osmn_recurrent.cli.segment", "--nooverlay"),
            *(f"--weights={random_weights['osmn.keras']}", "--working_size=32"),
            *(f"--mask={place / 'first.png'}", f"--video={place / name}"),
            f"--out={tmp_path / 'out'}",
        ],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "cp1252"},
        check=False,
    )
    said = found.stderr.decode("cp1252")
    assert found.returncode == 0, said
    assert b"\\u89c6" in found.stdout
    notes = [line for line in said.splitlines() if "soft" in line]
    assert len(notes) == 1 and notes[0].startswith("note: ")
    assert notes[0].endswith("between object and background.")


def test_what_is_lost_is_made_again_to_the_same_bytes(run, tmp_path):
    for name in ("a", "b"):
        assert run(out=tmp_path / name, overlay=True, tracks=True)[0] == 0
    (tmp_path / "a" / "talk_overlay.mp4").unlink()
    (tmp_path / "a" / "talk" / "00003.png").unlink()
    assert run(out=tmp_path / "a", overlay=True, tracks=True)[0] == 0
    ours, theirs = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"talk/run.json"}:
        assert ours[name] == theirs[name], name
