"""Other programs' formats, read back by those programs' own means."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from osmn_recurrent import masks
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import output, writers
from osmn_recurrent.media.mask_files import read_mask, write_mask


@pytest.fixture
def mask_paths(scene, tmp_path):
    """The scene's masks as files; object 5 is gone in the last two."""
    paths = []
    for t, ids in enumerate(scene[1]):
        paths.append(tmp_path / "results" / "boxes" / f"{t:05d}.png")
        write_mask(paths[-1], np.where((ids == 5) & (t > 3), 0, ids))
    return paths


def test_cutouts(scene, tmp_path):
    frame, ids = scene[0][0], scene[1][0].copy()
    ids[0, 0] = masks.VOID
    folder = tmp_path / "new"
    with writers.Cutouts(folder, ["cut", "other"]) as cutouts:
        cutouts.write(frame, ids)
        assert not cutouts.is_there()
        cutouts.write(frame, 0 * ids)
    assert cutouts.is_there()
    with Image.open(folder / "cut.png") as image:
        assert image.mode == "RGBA"
        found = np.array(image)
    chosen = np.isin(ids, (1, 5, 200))
    assert np.array_equal(found[..., 3], np.where(chosen, 255, 0))
    assert np.array_equal(found[chosen][:, :3], frame[chosen])
    assert not found[~chosen].any()


def test_tracks_decode_to_the_masks(mask_paths, tmp_path):
    path, names = tmp_path / "tracks.json", [path.name for path in mask_paths]
    with writers.Tracks(path, "boxes", names) as tracks:
        for mask in mask_paths:
            tracks.write(None, read_mask(mask))
        assert not path.exists()
    found = json.loads(path.read_text())
    (video,) = found["videos"]
    height, width = read_mask(mask_paths[0]).shape
    assert (video["height"], video["width"], video["length"]) == (height, width, 6)
    assert video["file_names"] == [path.name for path in mask_paths]
    assert [each["id"] for each in found["annotations"]] == [1, 5, 200]
    for each in found["annotations"]:
        for t, code in enumerate(each["segmentations"]):
            own = read_mask(mask_paths[t]) == each["id"]
            if not own.any():
                assert each["id"] == 5
                assert t > 3
                assert code is each["areas"][t] is each["bboxes"][t] is None
                continue
            assert np.array_equal(rle.decode(code), own)
            assert each["areas"][t] == own.sum()
            rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
            assert each["bboxes"][t] == [
                columns[0],
                rows[0],
                np.ptp(columns) + 1,
                np.ptp(rows) + 1,
            ]


@pytest.mark.parametrize(
    ("layout", "first"),
    [("davis2017", "boxes/00000.png"), ("youtube_vos", "Annotations/boxes/00000.png")],
)
def test_submissions(mask_paths, tmp_path, layout, first):
    frames = {"boxes": [path.stem for path in mask_paths]}
    (mask_paths[0].parent / "run.json").write_text("{}")
    results = mask_paths[0].parents[1]
    for name in ("a.zip", "b.zip"):
        place = registry.find(layout).server_layout
        writers.write_submission(tmp_path / name, results, frames, place)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
        assert names[0] == first
        assert len(names) == 6
        assert archive.read(first) == mask_paths[0].read_bytes()


def test_submissions_want_all_masks_and_palettes(mask_paths, tmp_path):
    results = mask_paths[0].parents[1]
    frames = {"boxes": [path.stem for path in mask_paths]}
    Image.fromarray(read_mask(mask_paths[2])).save(mask_paths[2])  # grey
    with pytest.raises(InputError, match=r"00002.png is a PNG of mode L"):
        writers.write_submission(tmp_path / "a.zip", results, frames, "")
    mask_paths[2].unlink()
    with pytest.raises(InputError, match=r"00002.png: no such mask"):
        writers.write_submission(tmp_path / "a.zip", results, frames, "")
    assert not (tmp_path / "a.zip").exists()


def test_a_stream_of_frames(segmenters, scene, tmp_path):
    """Any iterator; the same masks as `segment`; whole files on Ctrl-C."""
    frames, ids = scene

    def endless():
        yield from frames[:4]
        raise KeyboardInterrupt

    expected = list(segmenters("osmn").segment(frames[:4], ids[0]))
    found = []
    with pytest.raises(KeyboardInterrupt):
        for each in output.segment_stream(
            segmenters("osmn"), endless(), ids[0], tmp_path
        ):
            found.append(each)
    assert np.array_equal(found, expected)
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == [f"{t:05d}.png" for t in range(4)]
    for path, each in zip(paths, expected, strict=True):
        assert np.array_equal(read_mask(path), each)
    with pytest.raises(InputError, match="stream cannot resume"):
        next(output.segment_stream(segmenters("osmn"), endless(), ids[0], tmp_path))
