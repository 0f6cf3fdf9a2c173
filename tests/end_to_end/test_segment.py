"""osmn_recurrent.cli.segment from flags to files."""

import json
import shutil
import signal
import subprocess
import sys
import time

import av
import cv2
import drawn_videos as make
import numpy as np
import pytest

from osmn_recurrent import backbones, masks
from osmn_recurrent.cli import exports
from osmn_recurrent.cli import segment as program
from osmn_recurrent.datasets.video_files import open_clip
from osmn_recurrent.inference import merging, segmenter
from osmn_recurrent.inference.refinement import GuidedFilter, RefiningSegmenter
from osmn_recurrent.media.mask_files import (
    read_mask,
    read_mask_with_palette,
    write_mask,
)
from osmn_recurrent.models import building


def results(folder):
    return [read_mask(path) for path in sorted(folder.glob("*.png"))]


def test_masks_palette_and_summary(segment_program, boxes, random_weights):
    code, said, errors = segment_program(
        model="osmn",
        backbone="vgg16_compact",
        weights=random_weights["osmn.weights.h5"],
    )
    assert (code, errors) == (0, [])
    lines = said.splitlines()
    assert lines[0].startswith("boxes: 6 frames (6 new), 3 objects, 0.")
    assert f"written: {boxes / 'out' / 'boxes'}" in lines
    assert lines[-1].startswith("next:    osmn segment --weights=")
    found = results(boxes / "out" / "boxes")
    assert len(found) == 6
    given, palette = read_mask_with_palette(
        boxes / "Annotations" / "boxes" / "00000.png"
    )
    assert np.array_equal(found[0], given)
    assert all(set(np.unique(ids)) <= {0, 1, 5, 200} for ids in found)
    assert 0.01 < np.mean(found[5] > 0) < 0.99
    last = read_mask_with_palette(boxes / "out" / "boxes" / "00005.png")
    assert last[1] == palette


def test_without_weights_it_uses_the_packaged_ones(segment_program, boxes):
    code, _, errors = segment_program(precision="float32")
    assert (code, errors) == (0, [])
    settings = json.loads((boxes / "out" / "boxes" / "run.json").read_text())
    settings = settings["settings"]
    assert (settings["model"], settings["working_size"]) == ("OSMN", 256)
    code, _, errors = segment_program(model="reconvnet", out=boxes / "other")
    assert code == 2
    assert "preset osmn-lite0 is for model=osmn" in errors[0]


def test_keras_file_knows_its_network(segment_program, boxes, random_weights):
    """A .keras file alone, and .weights.h5 with all flags, give the same."""
    code, _, errors = segment_program(
        weights=random_weights["reconvnet.keras"], out=boxes / "a"
    )
    assert (code, errors) == (0, [])
    code, _, errors = segment_program(
        weights=random_weights["reconvnet.weights.h5"],
        model="reconvnet",
        backbone="vgg16_compact",
        model_option="coupling=residual",
        out=boxes / "b",
    )
    assert (code, errors) == (0, [])
    assert np.array_equal(
        results(boxes / "a" / "boxes"), results(boxes / "b" / "boxes")
    )
    code, _, errors = segment_program(
        weights=random_weights["reconvnet.keras"], model="osmn", out=boxes / "c"
    )
    assert code == 2
    assert "holds a network with model=ReConvNet" in errors[0]
    code, _, errors = segment_program(
        weights=random_weights["reconvnet.keras"],
        model_option="coupling=sequential",
        out=boxes / "c",
    )
    assert code == 2
    assert "holds a network with coupling=residual" in errors[0]
    assert not (boxes / "c").exists()


def test_settings_reach_the_segmenter(segment_program, boxes, random_weights):
    code, _, _ = segment_program(
        weights=random_weights["osmn.keras"],
        precision="bfloat16",
        merge="soft",
        working_size="32x48",
    )
    assert code == 0
    record = json.loads((boxes / "out" / "boxes" / "run.json").read_text())
    settings = record["settings"]
    assert settings["precision"] == "bfloat16"
    assert settings["merge"] == "soft"
    assert settings["working_size"] == [32, 48]
    # Other settings do not resume in the same folder.
    code, _, errors = segment_program(weights=random_weights["osmn.keras"])
    assert code == 2
    for name in ("precision", "merge", "working_size"):
        assert f"settings {name} " in errors[0]
    assert segment_program(weights=random_weights["osmn.keras"], overwrite=True)[0] == 0


def test_objects_that_appear_later(segment_program, boxes, random_weights):
    """A folder of masks: new ids are followed from their frame on."""
    folder = boxes / "Annotations" / "some"
    for t, id_ in ((0, 1), (3, 200)):
        ids = read_mask(boxes / "Annotations" / "boxes" / f"{t:05d}.png")
        write_mask(folder / f"{t:05d}.png", np.where(ids == id_, id_, 0))
    code, said, _ = segment_program(weights=random_weights["osmn.keras"], mask=folder)
    assert code == 0
    assert "2 objects" in said
    found = results(boxes / "out" / "boxes")
    assert all(200 not in ids for ids in found[:3])
    given = read_mask(folder / "00003.png")
    assert np.array_equal(found[3] == 200, given == 200)


def test_overlay_plays(segment_program, boxes, random_weights):
    code, said, _ = segment_program(
        weights=random_weights["osmn.keras"], overlay=True, fps=10
    )
    assert code == 0
    video = boxes / "out" / "boxes_overlay.mp4"
    assert f"written: {video}" in said
    assert frame_count_and_rate(video) == (6, 10.0)
    # Started again with nothing to do, it keeps the video.
    before = video.stat().st_mtime_ns
    code, said, _ = segment_program(
        weights=random_weights["osmn.keras"], overlay=True, fps=10
    )
    assert (code, video.stat().st_mtime_ns) == (0, before)
    assert "(none new)" in said


def test_video_file(segment_program, boxes, random_weights):
    """A video file as input; the overlay has its frame rate."""
    video = boxes / "own.mp4"
    writer = cv2.VideoWriter(
        str(video), cv2.VideoWriter_fourcc(*"mp4v"), 12.0, (96, 64)
    )
    for path in sorted((boxes / "JPEGImages" / "boxes").iterdir()):
        writer.write(cv2.imread(str(path)))
    writer.release()
    code, said, _ = segment_program(
        weights=random_weights["osmn.keras"], video=video, overlay=True
    )
    assert code == 0
    assert "own: 6 frames (6 new), 3 objects" in said
    names = sorted(path.name for path in (boxes / "out" / "own").glob("*.png"))
    assert names == [f"{t:05d}.png" for t in range(6)]
    assert frame_count_and_rate(boxes / "out" / "own_overlay.mp4") == (6, 12.0)


def frame_count_and_rate(path):
    """By decoding the whole video."""
    capture = cv2.VideoCapture(str(path))
    frames = 0
    while capture.read()[0]:
        frames += 1
    return frames, capture.get(cv2.CAP_PROP_FPS)


def test_interrupted(segment_program, boxes, random_weights, monkeypatch, capsys):
    """Ctrl-C: whole files only, where it stopped, and on from there."""
    step = segmenter.VideoSegmenter.step
    calls = []

    def interrupted(self, frame, mask=None):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return step(self, frame, mask)

    with monkeypatch.context() as patch:
        patch.setattr(segmenter.VideoSegmenter, "step", interrupted)
        assert segment_program(weights=random_weights["reconvnet.keras"])[0] == 130
    folder = boxes / "out" / "boxes"
    assert len(results(folder)) == 3
    assert len(list(folder.iterdir())) == 4  # and run.json
    code, said, _ = segment_program(weights=random_weights["reconvnet.keras"])
    assert code == 0
    assert "6 frames (3 new)" in said
    segment_program(weights=random_weights["reconvnet.keras"], out=boxes / "whole")
    whole = sorted((boxes / "whole" / "boxes").glob("*.png"))
    assert [p.read_bytes() for p in whole] == [
        (folder / p.name).read_bytes() for p in whole
    ]


def test_flags_know_all_names():
    """Lists in flags are literal (no TensorFlow for --help); they agree."""
    flags = program.FLAGS
    assert flags["model"].parser.enum_values == list(building.MODELS)
    assert flags["backbone"].parser.enum_values == list(backbones.NAMES)
    assert flags["merge"].parser.enum_values == list(merging.MERGES)
    assert flags["precision"].parser.enum_values == list(segmenter.PRECISIONS)


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["judo", "bike"])
def test_own_video(segment_program, random_weights, test_data, tmp_path, clip):
    """Real clips with the first mask only: count, ids and palette."""
    data = test_data / "data" / "clips"
    video = data / "JPEGImages" / clip
    mask = min((data / "Annotations" / clip).iterdir())
    code, _, errors = segment_program(
        weights=random_weights["reconvnet.keras"],
        video=video,
        mask=mask,
        out=tmp_path / "o",
    )
    assert (code, errors) == (0, [])
    paths = sorted((tmp_path / "o" / clip).glob("*.png"))
    assert [p.stem for p in paths] == sorted(p.stem for p in video.iterdir())
    given, palette = read_mask_with_palette(mask)
    found, own_palette = read_mask_with_palette(paths[0])
    assert np.array_equal(found, np.where(given == 255, 0, given))
    assert own_palette == palette
    for path in paths:
        assert set(np.unique(read_mask(path))) <= {0, *masks.object_ids(given)}


def test_cutouts_tracks_and_sheet(segment_program, boxes, random_weights):
    code, said, errors = segment_program(
        weights=random_weights["osmn.keras"], cutouts=True, tracks=True, sheet=True
    )
    assert (code, errors) == (0, [])
    sheet = cv2.imread(str(boxes / "out" / "boxes_sheet.png"))
    assert sheet.shape[1] > 6 * 214  # six frames and the name
    found = results(boxes / "out" / "boxes")
    cuts = sorted((boxes / "out" / "boxes_cutouts").iterdir())
    assert f"written: {boxes / 'out' / 'boxes_cutouts'}" in said
    assert [path.name for path in cuts] == [f"{t:05d}.png" for t in range(6)]
    for path, ids in zip(cuts, found, strict=True):
        alpha = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 3]
        assert np.array_equal(alpha > 0, ids > 0)
    tracks = json.loads((boxes / "out" / "boxes.json").read_text())
    assert tracks["videos"][0]["file_names"][0] == "00000.jpg"
    assert [len(each["areas"]) for each in tracks["annotations"]] == [6] * 3


def test_exports(segment_program, boxes, random_weights):
    """Every --export, of a video file of odd size with sound and uneven times."""
    frames = [make.scene(t, (63, 95)) for t in range(4)]
    times, sound = [0, 40, 140, 170], np.zeros(12000, np.int16)
    video = make.write_av(
        boxes / "own.mkv", frames, times, "ffv1", pixel_format="bgr0", sound=sound
    )
    mask = boxes / "first.png"
    shown = np.zeros((63, 95), np.uint8)
    shown[12:32, 10:34] = 1
    write_mask(mask, shown)
    given = {"weights": random_weights["osmn.keras"], "video": video, "mask": mask}
    code, said, errors = segment_program(**given, export=",".join(exports.EXPORTS))
    assert (code, errors) == (0, [])
    streams = {
        "own_overlay.mp4": ("h264", (64, 96), 1),
        "own_overlay.webm": ("vp9", (63, 95), 1),
        "own_overlay.gif": ("gif", (63, 95), 0),
        "own_matte.mp4": ("h264", (64, 96), 1),
        "own_prores.mov": ("prores", (64, 96), 1),
        "own_alpha.webm": ("vp9", (63, 95), 1),
    }
    for name, expected in streams.items():
        path = boxes / "out" / name
        assert f"written: {path}" in said
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            found = stream.codec_context.name, (stream.height, stream.width)
            assert (*found, len(container.streams.audio)) == expected
            starts = [frame.time for frame in container.decode(stream)]
        assert 1000 * np.array(starts) == pytest.approx(times, abs=6)
    assert len(list((boxes / "out" / "own_cutouts").iterdir())) == 4
    code, _, errors = segment_program(**given, export="prores,divx")
    assert code == 2
    assert "--export=divx: expected some of overlay.mp4" in errors[0]


def test_camera(segment_program, boxes, random_weights, monkeypatch):
    """A video file stands in for the camera; the masks are the file's."""
    video, opened = boxes / "own.avi", []
    writer = cv2.VideoWriter(
        str(video), cv2.VideoWriter_fourcc(*"MJPG"), 12.0, (96, 64)
    )
    for path in sorted((boxes / "JPEGImages" / "boxes").iterdir()):
        writer.write(cv2.imread(str(path)))
    writer.release()
    weights = random_weights["osmn.keras"]
    assert segment_program(weights=weights, video=video)[0] == 0
    capture = cv2.VideoCapture
    with monkeypatch.context() as patch:
        patch.setattr(
            cv2, "VideoCapture", lambda n: opened.append(n) or capture(str(video))
        )
        code, said, errors = segment_program(weights=weights, video="camera:1")
    assert (code, errors, opened) == (0, [], [1])
    assert "camera1: 6 frames" in said
    assert np.array_equal(
        results(boxes / "out" / "camera1"), results(boxes / "out" / "own")
    )
    assert "camera:0" in segment_program(weights=weights, video="camera:x")[2][0]


@pytest.mark.slow
def test_ctrl_c_for_real(boxes, random_weights):
    """SIGINT in mid-video: threads end, whole files only, the same masks."""
    count = 600  # still under way when the signal comes, even on a busy machine
    frames = sorted((boxes / "JPEGImages" / "boxes").iterdir())
    video = boxes / "JPEGImages" / "long"
    video.mkdir()
    for t in range(count):
        shutil.copy(frames[t % 6], video / f"{t:05d}.jpg")

    def command(out):
        return [
            *(sys.executable, "-m", "osmn_recurrent.cli.segment", "--nooverlay"),
            *(f"--weights={random_weights['osmn.keras']}", f"--video={video}"),
            *(f"--mask={boxes / 'Annotations' / 'boxes' / '00000.png'}",),
            f"--out={out}",
        ]

    out = boxes / "parts"
    process = subprocess.Popen(command(out), stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 300
    while not (out / "long" / "00003.png").exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    kept = sorted((out / "long").glob("*.png"))
    assert 4 <= len(kept) < count
    assert f"{len(kept)} of {count} masks are in {out / 'long'}" in said
    assert [path.name for path in kept] == [f"{t:05d}.png" for t in range(len(kept))]
    assert len(list((out / "long").iterdir())) == len(kept) + 1  # and run.json
    before = [path.read_bytes() for path in kept]
    for folder in (out, boxes / "whole"):
        subprocess.run(command(folder), check=True, capture_output=True)
    whole = sorted((boxes / "whole" / "long").glob("*.png"))
    assert len(whole) == count
    assert [path.read_bytes() for path in whole[: len(before)]] == before
    assert [path.read_bytes() for path in whole] == [
        (out / "long" / path.name).read_bytes() for path in whole
    ]


def test_finetuned_segmentation_resumes_with_the_same_networks(
    segment_program, random_weights, boxes
):
    given = {
        "weights": random_weights["osmn.keras"],
        "finetune_steps": 2,
        "working_size": "32x48",
    }
    code, out, _ = segment_program(**given)
    assert code == 0 and "3 objects" in out
    tuned = sorted((boxes / "out" / "tuned").glob("*.keras"))
    assert [path.stem.split("_")[-1] for path in tuned] == ["1", "200", "5"]
    times = [path.stat().st_mtime_ns for path in tuned]
    masks = sorted((boxes / "out" / "boxes").glob("*.png"))
    assert len(masks) == 6
    before = masks[-1].read_bytes()
    for path in masks[3:]:
        path.unlink()
    code, out, _ = segment_program(**given)
    assert code == 0 and "3 new" in out
    assert masks[-1].read_bytes() == before
    assert [path.stat().st_mtime_ns for path in tuned] == times


def test_finetuning_takes_the_first_mask_alone(segment_program, random_weights, boxes):
    code, _, errors = segment_program(
        weights=random_weights["osmn.keras"],
        mask=boxes / "Annotations" / "boxes",
        finetune_steps=2,
    )
    assert code == 2
    assert "6 masks" in errors[0] and "--finetune_steps" in errors[0]


def test_refined_masks_are_those_of_the_refining_loop(
    segment_program, random_weights, boxes
):
    weights = random_weights["osmn.keras"]
    code, _, errors = segment_program(weights=weights, refine="guided")
    assert (code, errors) == (0, [])
    clip = open_clip(
        boxes / "JPEGImages" / "boxes", boxes / "Annotations" / "boxes" / "00000.png"
    )
    loop = RefiningSegmenter(building.load_model(weights), GuidedFilter())
    expected = list(loop.segment(clip.frames(), clip.mask(0)))
    for name, ids in zip(clip.frame_names, expected, strict=True):
        path = boxes / "out" / "boxes" / f"{name}.png"
        np.testing.assert_array_equal(read_mask(path), ids)
    code, _, errors = segment_program(weights=weights)
    assert code == 2 and "refinement" in errors[0]
    code, _, errors = segment_program(
        weights=weights, refine="guided", finetune_steps=1, out=boxes / "other"
    )
    assert code == 2 and "does not go with --finetune_steps" in errors[0]
