"""Result folders: good ones scored like clips in memory, broken ones refused."""

import subprocess
import sys
import types

import cv2
import numpy as np
import pytest
from PIL import Image
from result_folders import moving_boxes, write_clip, write_davis, write_grey

from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import write_mask
from osmn_recurrent.metrics import davis_scores
from osmn_recurrent.metrics.result_folder import (
    ResultFolderError,
    check_folder,
    evaluate_folder,
)

CLIPS = {
    "one": moving_boxes(19, (1,), seed=1),
    "three": moving_boxes(11, (1, 2, 3), seed=2),
    "gaps": moving_boxes(4, (2, 5), seed=3),
}


@pytest.fixture
def data(tmp_path):
    """A data set of three clips in DAVIS-2017 layout."""
    write_davis(tmp_path / "data", CLIPS)
    return tmp_path / "data"


@pytest.fixture
def results(tmp_path):
    """Predictions of all frames: the ground truth, moved to the right by a pixel."""
    for name, clip in CLIPS.items():
        write_clip(tmp_path / "results" / name, np.roll(clip, 1, axis=2))
    return tmp_path / "results"


def faults_of(results, data):
    """The list of faults."""
    with pytest.raises(ResultFolderError) as caught:
        evaluate_folder(results, registry.sequences("davis2017", data, "val"), 1)
    for fault in caught.value.faults:
        assert fault in str(caught.value)
    return caught.value.faults


def assert_same_as_in_memory(found):
    """Every frame of every object as `evaluate_masks` has it."""
    assert list(found) == list(CLIPS)
    for name, clip in CLIPS.items():
        expected = davis_scores.evaluate_masks(clip, np.roll(clip, 1, axis=2))
        assert set(found[name]) == set(expected)
        for i, each in expected.items():
            np.testing.assert_array_equal(found[name][i].j, each.j)
            np.testing.assert_array_equal(found[name][i].f, each.f)
            names = tuple(f"{t:05d}" for t in range(1, len(clip) - 1))
            assert found[name][i].frames == names
    assert 0 < found["three"][1].j.min() < 1


@pytest.mark.parametrize("processes", [1, 3])
def test_scores_are_those_in_memory(data, results, processes):
    sequences = registry.sequences("davis2017", data, "val")
    assert_same_as_in_memory(evaluate_folder(results, sequences, processes))


def test_workers_start_beside_tensorflow(data, results, monkeypatch):
    # With TensorFlow in the process workers must not be forked.
    monkeypatch.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    sequences = registry.sequences("davis2017", data, "val")
    assert_same_as_in_memory(evaluate_folder(results, sequences, 2))


def test_workers_start_after_opencv_used_threads(data, results):
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        cv2.GaussianBlur(np.ones((1500, 1500), np.float32), (31, 31), 0)
        sequences = registry.sequences("davis2017", data, "val")
        assert_same_as_in_memory(evaluate_folder(results, sequences, 2))
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(threads)


def test_all_faults_are_listed_at_once(data, results):
    folder = results / "three"
    write_mask(folder / "00001.png", np.full((12, 16), 1, np.uint8))
    write_mask(folder / "00002.png", np.full((24, 32), 4, np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(noise).save(folder / "00003.png")
    (folder / "00004.png").write_bytes(b"")
    (folder / "00005.png").unlink()
    write_grey(folder / "00006.png", np.full((24, 32), 255, np.uint8))
    (results / "one").rename(results / "uno")
    faults = faults_of(results, data)
    expected = [
        "one: no such folder; expected 17 masks",
        "00005.png: no such mask",
        "00001.png is 16x12, but the true masks of three are 32x24",
        "00002.png has id 4, but three has objects 1, 2, 3",
        "00003.png has 768 colours, more like a picture",
        "00004.png cannot be decoded",
        "00006.png has id 255, but three has objects 1, 2, 3",
    ]
    assert len(faults) == len(expected)
    for fault, text in zip(faults, expected, strict=True):
        assert text in fault


def test_ids_up_to_the_largest_are_objects(data, results):
    # Official: objects 1 to 5, of which 1, 3 and 4 have empty true masks.
    sequences = registry.sequences("davis2017", data, "val")
    found = evaluate_folder(results, sequences, 1)["gaps"]
    assert list(found) == [1, 2, 3, 4, 5]
    for i in (1, 3, 4):  # nothing predicted where nothing is
        assert found[i].j.tolist() == found[i].f.tolist() == [1.0, 1.0]
    wrong = CLIPS["gaps"][1].copy()
    wrong[20:, 25:] = 3
    write_mask(results / "gaps" / "00001.png", wrong)
    found = evaluate_folder(results, sequences, 1)["gaps"]
    assert found[3].j.tolist() == found[3].f.tolist() == [0.0, 1.0]
    write_mask(results / "gaps" / "00001.png", np.full((24, 32), 6, np.uint8))
    (fault,) = faults_of(results, data)
    assert "00001.png has id 6, but gaps has objects 1, 2, 3, 4, 5" in fault


KILLED = r"""
import os, time
from osmn_recurrent.metrics import result_folder

def slow(item):
    os.write(1, b"working\n")
    time.sleep(60)

with result_folder._mapper(2) as run:
    list(run(slow, [1, 2]))
"""


def test_workers_do_not_outlive_a_run_that_is_killed():
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout.readline() == b"working\n"
    process.kill()
    process.wait()
    # The workers have the pipe's other end too; it closes when they are gone.
    assert process.stdout.read() in (b"", b"working\n")
    process.stdout.close()


def test_names_that_are_no_frames_are_pointed_out(data, results):
    for path in (results / "gaps").iterdir():
        path.rename(path.with_name(f"frame{path.name}"))
    faults = faults_of(results, data)
    assert len(faults) == 2  # the two that count
    assert all("the folder has frame00000.png" in fault for fault in faults)


def test_frames_that_do_not_count_may_be_absent(data, results):
    sequences = registry.sequences("davis2017", data, "val")
    for name, clip in CLIPS.items():
        for t in (0, len(clip) - 1):
            (results / name / f"{t:05d}.png").unlink()
    assert_same_as_in_memory(evaluate_folder(results, sequences, 1))


def test_frames_that_do_not_count_are_checked_where_they_are(data, results):
    (results / "one" / "00000.png").write_bytes(b"")
    (fault,) = faults_of(results, data)
    assert "00000.png" in fault


def test_other_files_in_the_results_do_not_matter(data, results):
    write_clip(results / "other", CLIPS["one"])
    (results / "scores.json").write_text("{}")
    (results / "one" / "run.json").write_text("{}")
    write_mask(results / "one" / "00099.png", CLIPS["one"][0])
    sequences = registry.sequences("davis2017", data, "val")
    assert_same_as_in_memory(evaluate_folder(results, sequences, 1))


def test_zero_and_255_are_one_object(tmp_path):
    clip = moving_boxes(6, (1,))
    write_davis(tmp_path / "ids", {"one": clip})
    for t, ids in enumerate(clip):
        grey = tmp_path / "grey/Annotations/480p/one" / f"{t:05d}.png"
        write_grey(grey, ids * 255)
        write_grey(tmp_path / "as_grey" / "one" / grey.name, np.roll(ids, 1) * 255)
        write_mask(tmp_path / "as_ids" / "one" / grey.name, np.roll(ids, 1))
    write_davis(tmp_path / "grey", {}, split="none")
    (tmp_path / "grey/ImageSets/2017/val.txt").write_text("one\n")
    expected = davis_scores.evaluate_masks(clip, [np.roll(ids, 1) for ids in clip])[1]
    for ground_truth in ("ids", "grey"):
        sequences = registry.sequences("davis2017", tmp_path / ground_truth, "val")
        for predicted in ("as_ids", "as_grey"):
            found = evaluate_folder(tmp_path / predicted, sequences, 1)["one"]
            assert list(found) == [1]
            np.testing.assert_array_equal(found[1].j, expected.j)
            np.testing.assert_array_equal(found[1].f, expected.f)


def test_davis_2016_takes_any_value_above_zero(tmp_path):
    clip = moving_boxes(5, (1, 2))
    write_davis(tmp_path / "data", {"two": clip}, year=2016)
    for t, ids in enumerate(clip):
        soft = np.where(ids > 0, 20 * t + 3 * ids, 0).astype(np.uint8)
        write_grey(tmp_path / "results" / "two" / f"{t:05d}.png", soft)
    sequences = registry.sequences("davis2016", tmp_path / "data", "val")
    found = evaluate_folder(tmp_path / "results", sequences, 1)["two"]
    assert list(found) == [1]
    assert found[1].j.tolist() == found[1].f.tolist() == [1.0] * 3


def test_a_sequence_that_begins_without_its_object_counts_in_2016(tmp_path):
    clip = np.zeros((4, 8, 8), np.uint8)
    clip[2, 2:5, 2:5] = 1
    write_davis(tmp_path / "data", {"late": clip}, year=2016)
    write_clip(tmp_path / "results" / "late", np.zeros_like(clip))
    sequences = registry.sequences("davis2016", tmp_path / "data", "val")
    found = evaluate_folder(tmp_path / "results", sequences, 1)["late"]
    assert found[1].j.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("frames", "scored"), [(1, 0), (2, 0), (3, 1)])
def test_very_short_sequences(tmp_path, frames, scored):
    clip = moving_boxes(frames, (1,))
    write_davis(tmp_path / "data", {"short": clip})
    write_clip(tmp_path / "results" / "short", clip)
    sequences = registry.sequences("davis2017", tmp_path / "data", "val")
    found = evaluate_folder(tmp_path / "results", sequences, 1)["short"]
    assert found[1].j.tolist() == [1.0] * scored


def test_a_long_clip_and_a_large_one(tmp_path):
    long, large = moving_boxes(1200, (1,)), np.zeros((3, 2000, 4000), np.uint8)
    large[:, 300:1800, 500:3500] = 1
    write_davis(tmp_path / "data", {"long": long, "large": large})
    write_clip(tmp_path / "results" / "long", long)
    write_clip(tmp_path / "results" / "large", np.roll(large, 9, axis=2))
    sequences = registry.sequences("davis2017", tmp_path / "data", "val")
    found = evaluate_folder(tmp_path / "results", sequences, 2)
    assert found["long"][1].j.tolist() == [1.0] * 1198
    assert found["large"][1].j == pytest.approx([2991 / 3009])
    assert found["large"][1].f.tolist() == [1.0]  # 9 pixels: tolerance is 36


def write_frames(data, name, count):
    """Writes pictures of which only the first has a mask."""
    for t in range(count):
        write_grey(
            data / "JPEGImages" / "480p" / name / f"{t:05d}.jpg",
            np.zeros((24, 32), np.uint8),
        )


def test_a_set_without_public_ground_truth_is_checked(tmp_path):
    clip = moving_boxes(5, (1, 2))
    write_davis(tmp_path / "data", {"secret": clip[:1]}, split="test-dev")
    write_frames(tmp_path / "data", "secret", 5)
    sequences = registry.sequences("davis2017", tmp_path / "data", "test-dev")
    assert [each.hidden for each in sequences] == [True]
    write_clip(tmp_path / "results" / "secret", clip)
    check_folder(tmp_path / "results", sequences, 1)
    with pytest.raises(InputError, match="cannot be scored"):
        evaluate_folder(tmp_path / "results", sequences, 1)
    (tmp_path / "results" / "secret" / "00004.png").unlink()
    write_mask(
        tmp_path / "results" / "secret" / "00002.png", np.full((24, 32), 3, np.uint8)
    )
    with pytest.raises(ResultFolderError) as caught:
        check_folder(tmp_path / "results", sequences, 1)
    missing, unknown = caught.value.faults
    assert "00004.png: no such mask" in missing
    assert "00002.png has id 3" in unknown


def test_a_true_mask_of_another_size_is_named(data, results):
    path = data / "Annotations" / "480p" / "one" / "00003.png"
    write_mask(path, np.ones((6, 6), np.uint8))
    (fault,) = faults_of(results, data)
    assert f"true mask {path}" in fault


def test_a_missing_result_folder_is_named(data, tmp_path):
    sequences = registry.sequences("davis2017", data, "val")
    with pytest.raises(InputError, match="nowhere: no such folder"):
        evaluate_folder(tmp_path / "nowhere", sequences, 1)
