"""Masks as files; an interrupted run resumes to the same bytes."""

import dataclasses
import json
import os
import threading

import numpy as np
import pytest

from osmn_recurrent import masks
from osmn_recurrent.datasets.clips import Clip
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import output
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.media.mask_files import (
    read_mask,
    read_mask_with_palette,
    write_mask,
)
from osmn_recurrent.run_folder import hold


class StoppedClip(Clip):
    """A clip whose reading is interrupted before frame 4."""

    def frames(self, start=0):
        """Frames 0 to 3, then Ctrl-C."""
        for index, frame in enumerate(super().frames(start), start):
            if index == 4:
                raise KeyboardInterrupt
            yield frame


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def stopped(clip):
    fields = dataclasses.fields(clip)
    return StoppedClip(**{each.name: getattr(clip, each.name) for each in fields})


def test_files_are_the_masks(segmenters, clip, scene, tmp_path):
    outcome = output.segment_clip(segmenters("osmn"), clip, tmp_path / "out")
    later = {2: clip.mask(2)}
    expected = list(segmenters("osmn").segment(scene[0], clip.mask(0), later))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *(f"{t:05d}.png" for t in range(6)),
        "run.json",
    ]
    for name, ids in zip(clip.frame_names, expected, strict=True):
        found, palette = read_mask_with_palette(tmp_path / "out" / f"{name}.png")
        assert np.array_equal(found, ids)
        # The first mask's, which was written with a black background.
        assert palette[3:-3] == tuple(reversed(masks.davis_palette()))[3:-3]
    assert (outcome.frames, outcome.computed) == (6, 6)
    assert outcome.objects == (1, 5, 200)
    assert 0 < outcome.network_seconds < outcome.seconds
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["settings"]["model"] == "OSMN"
    assert record["settings"]["clip"]["masks_of_frames"] == [0, 2]
    assert {"python", "keras", "numpy"} <= set(record["versions"])


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_resumes_to_the_same_bytes(segmenters, clip, tmp_path, name, monkeypatch):
    segmenter = segmenters(name)
    output.segment_clip(segmenter, clip, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        output.segment_clip(segmenter, stopped(clip), tmp_path / "parts")
    parts = tmp_path / "parts"
    # Whole files only, and the four that were finished.
    assert sorted(p.name for p in parts.iterdir()) == [
        *(f"{t:05d}.png" for t in range(4)),
        "run.json",
    ]
    kept = contents(parts)
    times = {path: path.stat().st_mtime_ns for path in parts.glob("*.png")}
    runs = []
    run = type(segmenter)._run
    monkeypatch.setattr(
        type(segmenter), "_run", lambda self, frame: runs.append(1) or run(self, frame)
    )
    outcome = output.segment_clip(segmenter, clip, parts)
    assert outcome.computed == 2
    # The state of a recurrent network is recomputed over frames 1 to 3.
    assert len(runs) == (5 if name == "reconvnet" else 2)
    assert contents(parts) == contents(tmp_path / "whole")
    assert {k: contents(parts)[k] for k in kept} == kept
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_the_state_matters(segmenters, clip, scene):
    """Why a recurrent network's frames are gone over again."""
    frames, segmenter = scene[0], segmenters("reconvnet")
    *_, third, fourth = segmenter.segment(frames[:4], clip.mask(0))
    fresh = list(segmenter.segment(frames[2:4], third))[1]
    assert not np.array_equal(fresh, fourth)


def test_finished_is_left_alone(segmenters, clip, tmp_path):
    first = output.segment_clip(segmenters("osmn"), clip, tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    again = output.segment_clip(segmenters("osmn"), clip, tmp_path)
    assert again == dataclasses.replace(first, computed=0)
    assert (tmp_path / "run.json").read_bytes() == before
    # A mask that was lost afterwards is made again.
    lost = (tmp_path / "00003.png").read_bytes()
    (tmp_path / "00003.png").unlink()
    output.segment_clip(segmenters("osmn"), clip, tmp_path)
    assert (tmp_path / "00003.png").read_bytes() == lost


def test_other_runs_are_refused(segmenters, clip, tmp_path):
    output.segment_clip(segmenters("osmn"), clip, tmp_path)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"model.*there.*--overwrite"):
        output.segment_clip(segmenters("reconvnet"), clip, tmp_path)
    with pytest.raises(InputError, match=r"settings later_masks true there, false"):
        output.segment_clip(segmenters("osmn"), clip, tmp_path, later_masks=False)
    shorter = dataclasses.replace(clip, frame_paths=clip.frame_paths[:5])
    with pytest.raises(InputError, match=r"run.json\): settings clip "):
        output.segment_clip(segmenters("osmn"), shorter, tmp_path)
    assert contents(tmp_path) == before
    outcome = output.segment_clip(
        segmenters("osmn"), clip, tmp_path, overwrite=True, later_masks=False
    )
    assert outcome.objects == (1, 200)
    assert contents(tmp_path) != before


def test_overwriting_begins_anew(segmenters, clip, tmp_path):
    """Interrupted while overwriting, no old mask is taken for a new one."""
    output.segment_clip(segmenters("reconvnet"), clip, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        output.segment_clip(segmenters("osmn"), stopped(clip), tmp_path, True)
    assert len(contents(tmp_path)) == 4


def test_unknown_masks_are_refused(segmenters, clip, tmp_path):
    write_mask(tmp_path / "00002.png", clip.mask(0))
    with pytest.raises(InputError, match=r"no run.json.*--overwrite"):
        output.segment_clip(segmenters("osmn"), clip, tmp_path)


def test_inputs_are_never_written_to(segmenters, clip):
    frames = clip.frame_paths[0].parent
    before = contents(frames)
    for folder in (frames, clip.mask_paths[0].parent):
        with pytest.raises(InputError, match="is where .* lies, which this run reads"):
            output.segment_clip(segmenters("osmn"), clip, folder, overwrite=True)
    assert contents(frames) == before


def test_unreadable_frame_keeps_the_masks_before(segmenters, clip, tmp_path):
    path = clip.frame_paths[3]
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])  # the header is whole
    with pytest.raises(InputError, match=r"00003.png cannot.*3 masks before it"):
        output.segment_clip(segmenters("osmn"), clip, tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 3
    path.write_bytes(good)
    outcome = output.segment_clip(segmenters("osmn"), clip, tmp_path / "out")
    assert outcome.computed == 3


def test_full_disk(segmenters, clip, tmp_path, monkeypatch):
    replace = os.replace

    def full(source, target):
        if target.name == "00002.png":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"00002.png.*No space left.*2 masks"):
        output.segment_clip(segmenters("osmn"), clip, tmp_path)
    assert len(contents(tmp_path)) == 2
    files = [path.name for path in tmp_path.iterdir() if path.is_file()]
    assert sorted(files) == ["00000.png", "00001.png", "run.json"]


def test_masks_of_frames_that_were_replaced_are_noticed(segmenters, clip, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        output.segment_clip(segmenters("osmn"), stopped(clip), tmp_path)
    before = contents(tmp_path)
    first, last = clip.frame_paths[2].read_bytes(), clip.frame_paths[5].read_bytes()
    clip.frame_paths[2].write_bytes(last)
    with pytest.raises(InputError, match="frame 00002 of boxes has been replaced"):
        output.segment_clip(segmenters("osmn"), clip, tmp_path)
    assert contents(tmp_path) == before
    # One that has no mask yet may be another one.
    clip.frame_paths[2].write_bytes(first)
    clip.frame_paths[5].write_bytes(first)
    assert output.segment_clip(segmenters("osmn"), clip, tmp_path).computed == 2
    clip.frame_paths[5].write_bytes(last)
    with pytest.raises(InputError, match="frame 00005 of boxes has been replaced"):
        output.segment_clip(segmenters("osmn"), clip, tmp_path)
    outcome = output.segment_clip(segmenters("osmn"), clip, tmp_path, overwrite=True)
    assert outcome.computed == 6


def test_a_folder_belongs_to_one_run_at_a_time(segmenters, clip, tmp_path):
    errors = []

    def other():
        try:
            output.segment_clip(segmenters("osmn"), clip, tmp_path / "out")
        except InputError as error:
            errors.append(str(error))

    with hold(tmp_path / "out"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert "another run works in" in errors[0]
        output.segment_clip(segmenters("osmn"), clip, tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 6


def test_clip_of_one_frame(segmenters, clip, tmp_path):
    one = dataclasses.replace(
        clip, frame_paths=clip.frame_paths[:1], mask_paths={0: clip.mask_paths[0]}
    )
    outcome = output.segment_clip(segmenters("osmn"), one, tmp_path)
    assert (outcome.frames, outcome.seconds) == (1, None)
    assert np.array_equal(read_mask(tmp_path / "00000.png"), one.mask(0))


def merged_as_released(score_of, listed, frame, shape):
    """`ytvos_merge_result.py` for one frame, with scores by object id."""
    shown = sorted(i for i, frames in listed.items() if frame in frames)
    scores = [np.full(shape, 0.5, np.float32)] + [score_of[i] for i in shown]
    return np.array([0, *shown], np.uint8)[np.stack(scores, -1).argmax(-1)]


def test_objects_are_shown_in_their_listed_frames(network, clip, scene, tmp_path):
    frames = scene[0]
    listed = {1: {0, 1, 2, 5}, 5: {2, 3}, 200: {0, 1, 2, 3, 5}}
    segmenter = VideoSegmenter(network("osmn"), guides_from="own")
    scores = [{i: np.float32(clip.mask(0) == i) for i in (1, 5, 200)}]
    segmenter.start(frames[0], clip.mask(0))
    for t in range(1, 6):
        _, soft = segmenter.step(frames[t], clip.mask(t), probabilities=True)
        scores.append(dict(zip(segmenter.objects, soft, strict=True)))
    expected = [
        merged_as_released(score, listed, t, clip.size)
        for t, score in enumerate(scores)
    ]
    assert not expected[4].any() and 200 in expected[5]
    clip = dataclasses.replace(clip, listed=listed)
    output.segment_clip(segmenter, clip, tmp_path / "whole")
    for t, ids in enumerate(expected):
        np.testing.assert_array_equal(read_mask(tmp_path / f"whole/{t:05d}.png"), ids)
    with pytest.raises(KeyboardInterrupt):
        output.segment_clip(segmenter, stopped(clip), tmp_path / "parts")
    output.segment_clip(segmenter, clip, tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_listed_frames_need_objects_followed_by_their_own_masks(
    segmenters, clip, tmp_path
):
    clip = dataclasses.replace(clip, listed={1: {0}})
    with pytest.raises(InputError, match="boxes lists the frames .*guides_from=own"):
        output.segment_clip(segmenters("osmn"), clip, tmp_path / "out")
    assert not (tmp_path / "out").exists()
