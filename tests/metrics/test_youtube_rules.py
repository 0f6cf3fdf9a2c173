"""The rules of YouTube-Objects and YouTube-VOS."""

import json

import numpy as np
import pytest
from PIL import Image
from result_folders import moving_boxes, write_clip, write_grey

from osmn_recurrent.datasets import registry
from osmn_recurrent.metrics import score_report, youtube
from osmn_recurrent.metrics.region import region_similarity
from osmn_recurrent.metrics.result_folder import ResultFolderError, evaluate_folder
from osmn_recurrent.metrics.statistics import ObjectScores, summarise


def test_youtube_objects_leaves_out_the_first_frame_only(tmp_path):
    clip = moving_boxes(4, (1,))
    names = [f"{t:05d}" for t in (1, 11, 21, 31)]
    write_clip(tmp_path / "data" / "Labels" / "cow_0001", clip, names)
    guess = np.roll(clip, 2, axis=1)
    write_clip(tmp_path / "results" / "cow_0001", guess, names)
    write_clip(tmp_path / "results" / "cow_0001", guess[:1], ["00002"])  # unlabelled
    sequences = registry.sequences("youtube_objects", tmp_path / "data", "all")
    assert score_report.categories_of(sequences) == {"cow_0001": "cow"}
    found = evaluate_folder(tmp_path / "results", sequences, 1)["cow_0001"][1]
    expected = [region_similarity(*pair) for pair in zip(clip, guess, strict=True)]
    assert found.j.tolist() == expected[1:]
    assert found.frames == tuple(names[1:])


def test_masks_of_the_size_of_the_frames_are_reduced_to_the_labels(tmp_path):
    label = np.zeros((12, 16), np.uint8)
    label[3:9, 4:12] = 255
    base = tmp_path / "data" / "cow" / "data" / "0001" / "shots" / "001"
    for number in (1, 2):
        write_grey(base / "labels" / f"{number:05d}.jpg", label)
        write_grey(base / "images" / f"frame{number:04d}.jpg", np.zeros((24, 32), "u1"))
        large = np.asarray(Image.fromarray(label).resize((32, 24), Image.NEAREST))
        write_grey(tmp_path / "results" / "cow_0001" / f"frame{number:04d}.png", large)
    sequences = registry.sequences("youtube_objects", tmp_path / "data", "all")
    found = evaluate_folder(tmp_path / "results", sequences, 1)["cow_0001"][1]
    assert found.j.tolist() == [1.0]
    write_grey(tmp_path / "results/cow_0001/frame0002.png", np.zeros((20, 20), "u1"))
    with pytest.raises(ResultFolderError, match="is 20x20, but"):
        evaluate_folder(tmp_path / "results", sequences, 1)


def test_categories_are_averaged_before_their_mean_is_taken():
    def of(value, frames=2):
        return {1: ObjectScores(np.full(frames, value), np.full(frames, value / 2))}

    scores = {
        "cat_1": of(1.0),
        "cat_2": of(0.6, 50),
        "dog_1": of(0.2),
        "dog_2": of(0, 0),
    }
    categories = {name: name[:3] for name in scores}
    table, mean = youtube.by_category(scores, categories)
    assert list(table) == ["cat", "dog"]
    assert table["cat"]["J-Mean"] == pytest.approx(0.8)
    assert table["dog"]["J-Mean"] == pytest.approx(0.2)
    assert mean["J-Mean"] == pytest.approx(0.5)
    assert mean["F-Mean"] == pytest.approx(0.25)
    videos = summarise(each[1] for each in scores.values())
    assert videos["J-Mean"] == pytest.approx(0.6)


def test_youtube_vos_scores_objects_in_their_own_frames(tmp_path):
    clip = moving_boxes(4, (1, 2))
    clip[0][clip[0] == 2] = 0  # object 2 appears in the second frame
    names = [f"{5 * t:05d}" for t in range(4)]
    frames = {"1": names, "2": names[1:3]}
    meta = {"videos": {"v": {"objects": {i: {"frames": f} for i, f in frames.items()}}}}
    folder = tmp_path / "train"
    write_clip(folder / "Annotations" / "v", clip, names)
    (folder / "meta.json").write_text(json.dumps(meta))
    guess = np.roll(clip, 1, axis=2)
    write_clip(tmp_path / "results" / "v", guess[1:], names[1:])
    sequences = registry.sequences("youtube_vos", tmp_path, "train")
    assert score_report.categories_of(sequences) is None
    found = evaluate_folder(tmp_path / "results", sequences, 1)["v"]
    assert found[1].frames == tuple(names[1:])
    assert found[2].frames == (names[2],)
    for i, each in found.items():
        at = [names.index(frame) for frame in each.frames]
        expected = [region_similarity(clip[t] == i, guess[t] == i) for t in at]
        assert each.j.tolist() == expected
    assert 0 < found[2].j[0] < 1
