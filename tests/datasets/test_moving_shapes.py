"""The generator of clips against geometry, its promises and the loader."""

import dataclasses
import shutil

import cv2
import numpy as np
import pytest

from osmn_recurrent import masks
from osmn_recurrent.datasets import moving_shapes, sprites
from osmn_recurrent.datasets.davis import davis_clips, sequence_names
from osmn_recurrent.datasets.moving_shapes import (
    draw_scene,
    render_clip,
    write_moving_shapes,
)
from osmn_recurrent.errors import InputError

SIZE = (120, 214)


def inside(contour, pose, size):
    """(H, W) bool: even-odd rule at every pixel centre, edge by edge."""
    corners = contour @ pose[:, :2].T + pose[:, 2]
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    result = np.zeros(size, bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0)):
        crosses = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            result ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return result


@pytest.mark.parametrize("seed", range(6))
def test_ids_are_those_of_the_frontmost_shape(seed):
    scene = draw_scene(np.random.default_rng(seed), 6, SIZE, 3)
    _, ids = render_clip(seed, 6, SIZE, 3)
    for t in range(6):
        ground_truth = np.zeros(SIZE, np.uint8)
        for sprite in scene:
            ground_truth[inside(sprite.contour, sprite.poses[t], SIZE)] = (
                sprite.object_id
            )
        # Only border pixels, cut by an outline, may fall to either side.
        wrong = (ground_truth != ids[t]).astype(np.uint8)
        assert wrong.mean() < 0.005
        assert not cv2.erode(wrong, np.ones((2, 2), np.uint8)).any()


def test_contours_have_area_one_around_their_centroid():
    rng = np.random.default_rng(0)
    for _ in range(40):
        contour = sprites.contour(rng)
        side = 400
        pose = np.array([[150.0, 0, side / 2], [0, 150.0, side / 2]])
        mask = inside(contour, pose, (side, side))
        assert mask.sum() == pytest.approx(150**2, rel=0.01)
        y, x = np.nonzero(mask)
        assert abs(x.mean() - side / 2) < 1 and abs(y.mean() - side / 2) < 1


def test_masks_have_the_area_of_the_shapes(monkeypatch):
    sprite = sprites.draw_sprite(np.random.default_rng(3), 1, 2000.0)
    poses = np.zeros((5, 2, 3))
    poses[:, 0, 2], poses[:, 1, 2] = 100.3, 60.6
    for t, pose in enumerate(poses):
        angle, scale = 0.4 * t, np.sqrt(2000) * (0.8 + 0.1 * t)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        pose[:, :2] = [[cos, -sin], [sin, cos]]
    monkeypatch.setattr(
        moving_shapes,
        "draw_scene",
        lambda *_: [dataclasses.replace(sprite, poses=poses)],
    )
    _, ids = render_clip(0, 5, SIZE, 1)
    for t in range(5):
        y, x = np.nonzero(ids[t])
        assert len(x) == pytest.approx(2000 * (0.8 + 0.1 * t) ** 2, rel=0.02)
        assert abs(x.mean() - 100.3) < 0.3 and abs(y.mean() - 60.6) < 0.3


def test_colours_are_those_of_the_shape_the_ids_name(monkeypatch):
    paint = {0: (255, 255, 0), 1: (255, 0, 0), 2: (0, 255, 0), 3: (0, 0, 255)}

    def plain_scene(*args):
        return [
            dataclasses.replace(s, texture=np.full_like(s.texture, paint[s.object_id]))
            for s in draw_scene(*args)
        ]

    monkeypatch.setattr(moving_shapes, "draw_scene", plain_scene)
    pictures, ids = render_clip(11, 8, SIZE, 3)
    for picture, labels in zip(pictures.astype(int), ids):
        for index in (1, 2, 3):
            inner = cv2.erode((labels == index).astype(np.uint8), np.ones((7, 7)))
            mean = picture[inner > 0].mean(0)
            assert (mean > 180).tolist() == [bool(c) for c in paint[index]]
            rest = labels != index
            strong = (np.abs(picture - paint[index]).max(-1) < 60) & rest
            assert strong.sum() < 0.01 * rest.sum()


@pytest.fixture(scope="module")
def many():
    """24 clips of 1, 2 and 3 objects: (objects, pictures, ids)."""
    return [
        (1 + seed % 3, *render_clip(seed, 20, SIZE, 1 + seed % 3)) for seed in range(24)
    ]


def test_objects_are_in_view_at_the_promised_size(many):
    for count, pictures, ids in many:
        assert pictures.shape == (20, *SIZE, 3) and pictures.dtype == np.uint8
        assert ids.shape == (20, *SIZE) and ids.dtype == np.uint8
        assert masks.object_ids(ids) == tuple(range(1, count + 1))
        for index in range(1, count + 1):
            share = (ids == index).mean((1, 2))
            assert 0.02 < share[0] < 0.21 and share.min() > 0.003


def test_copying_the_first_mask_fails(many):
    scores = []
    for count, _, ids in many:
        for index in range(1, count + 1):
            mask = ids == index
            both = (mask & mask[0]).sum((1, 2)) / (mask | mask[0]).sum((1, 2))
            scores.append(both[1:-1].mean())
    assert np.mean(scores) < 0.3 and np.max(scores) < 0.5


def test_following_by_small_steps_is_possible(many):
    # Neighbouring masks overlap, or no guide from the last frame could work.
    for count, _, ids in many:
        for index in range(1, count + 1):
            mask = ids == index
            both = (mask[1:] & mask[:-1]).sum((1, 2))
            assert (both / (mask[1:] | mask[:-1]).sum((1, 2))).mean() > 0.6


def test_clips_have_look_alikes_and_differ_from_each_other(many):
    shared = 0
    for seed in range(24):
        scene = draw_scene(np.random.default_rng(seed), 2, SIZE, 2)
        own = [s.texture for s in scene if s.object_id]
        shared += any(
            any(s.texture is texture for texture in own)
            for s in scene
            if s.object_id == 0
        )
        assert any(s.object_id == 0 for s in scene)
    assert shared > 12
    means = np.array([pictures[0].mean((0, 1)) for _, pictures, _ in many])
    assert means.std(0).min() > 15


def test_a_seed_fixes_the_clip():
    first = render_clip((4, 2), 4, (64, 80), 2)
    again = render_clip([4, 2], 4, (64, 80), 2)
    other = render_clip((4, 3), 4, (64, 80), 2)
    assert all((a == b).all() for a, b in zip(first, again))
    assert (first[0] != other[0]).mean() > 0.5


@pytest.mark.parametrize(
    "frames, size", [(1, (40, 33)), (3, (32, 200)), (30, (97, 61))]
)
def test_any_length_and_size(frames, size):
    pictures, ids = render_clip(1, frames, size, 2)
    assert pictures.shape == (frames, *size, 3)
    assert masks.object_ids(ids[0]) == (1, 2)


def small(data_dir, **changes):
    settings = {"train": 2, "val": 1, "frames": 3, "size": (48, 64), "seed": 5}
    write_moving_shapes(data_dir, **{**settings, **changes})


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".json"
    }


def test_the_davis_loader_reads_what_is_written(tmp_path):
    small(tmp_path / "shapes", objects=(2, 2))
    clips = [
        *davis_clips(tmp_path / "shapes", split="train"),
        *davis_clips(tmp_path / "shapes", split="val"),
    ]
    assert [clip.name for clip in clips] == ["train-000", "train-001", "val-000"]
    for clip, seed in zip(clips, ([5, 0, 0, 0], [5, 0, 1, 0], [5, 1, 0, 0])):
        clip.check()
        assert clip.palette() == masks.davis_palette() and clip.size == (48, 64)
        pictures, ids = render_clip(seed, 3, (48, 64), 2)
        for t in range(3):
            assert (clip.mask(t) == ids[t]).all()
            lost = np.abs(clip.frame(t).astype(int) - pictures[t]).mean()
            assert 0 < lost < 12  # JPEG, which blurs colours, and no more


def test_more_clips_or_other_objects_elsewhere_change_no_clip(tmp_path):
    small(tmp_path / "few")
    small(tmp_path / "more", train=4, val=2)
    few, more = files(tmp_path / "few"), files(tmp_path / "more")
    same = [name for name in few if not name.startswith("ImageSets")]
    assert len(same) == 18 and all(few[name] == more[name] for name in same)
    small(tmp_path / "seed", seed=6)
    other = files(tmp_path / "seed")
    assert all(few[n] != other[n] for n in same if n.startswith("JPEGImages"))


def test_a_finished_data_set_is_left_alone(tmp_path, monkeypatch):
    small(tmp_path)
    before = files(tmp_path)
    monkeypatch.setattr(moving_shapes, "render_clip", None)  # a call would fail
    small(tmp_path)
    small(tmp_path, overwrite=True)
    assert files(tmp_path) == before


def test_a_data_set_that_lost_a_folder_is_made_again(tmp_path):
    small(tmp_path)
    before = files(tmp_path)
    shutil.rmtree(tmp_path / "Annotations")
    small(tmp_path)
    assert files(tmp_path) == before


def test_other_settings_in_the_folder_need_overwrite(tmp_path):
    small(tmp_path)
    with pytest.raises(InputError, match="holds moving shapes made with .*'seed': 5"):
        small(tmp_path, seed=6)
    small(tmp_path, train=1, overwrite=True)
    assert sequence_names(tmp_path, 2017, "train") == ("train-000",)
    assert not (tmp_path / "JPEGImages" / "480p" / "train-001").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_another_data_set_is_never_touched(tmp_path, overwrite):
    (tmp_path / "JPEGImages" / "480p" / "bear").mkdir(parents=True)
    with pytest.raises(InputError, match="has JPEGImages but no moving_shapes.json"):
        small(tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.rglob("*")] == ["JPEGImages", "480p", "bear"]


def test_an_interrupted_run_leaves_nothing_and_can_be_repeated(tmp_path, monkeypatch):
    def stop(*args):
        if args[0][:3] == [5, 0, 1]:
            raise KeyboardInterrupt
        return render_clip(*args)

    with monkeypatch.context() as patch:
        patch.setattr(moving_shapes, "render_clip", stop)
        with pytest.raises(KeyboardInterrupt):
            small(tmp_path / "shapes")
    assert not (tmp_path / "shapes").exists()
    small(tmp_path / "shapes")
    assert len(davis_clips(tmp_path / "shapes", split="train")) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 0},
        {"train": -1},
        {"objects": (0, 2)},
        {"objects": (3, 2)},
        {"objects": (1, 4)},
        {"size": (16, 64)},
    ],
)
def test_settings_that_make_no_clip_are_refused(tmp_path, changes):
    with pytest.raises(InputError, match="moving shapes need"):
        small(tmp_path / "shapes", **changes)
    assert not (tmp_path / "shapes").exists()
