"""Images, pseudo-clips and augmentation: against closed forms."""

import dataclasses
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import guides
from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.datasets.coco import CocoObjects
from osmn_recurrent.errors import InputError
from osmn_recurrent.training import pipeline, sample_settings
from osmn_recurrent.training.augmentation import (
    NO_AUGMENTATION,
    AffineAugmentation,
    GuideAugmentation,
    random_part,
)
from osmn_recurrent.training.image_samples import ImageSamples
from osmn_recurrent.training.pseudo_clips import Motion, affine_matrix

PLAIN = sample_settings.SampleSettings(
    size=(40, 60), scales=(1.0,), guide_augmentation=NO_AUGMENTATION
)


class Images:
    """Three 60x40 pictures, of which those named in `broken` cannot be read."""

    def __init__(self, broken=()):
        self.broken = broken

    def __len__(self):
        return 3

    def name(self, number):
        return f"{number}.jpg"

    def image(self, number):
        if number in self.broken:
            raise InputError(f"frame {number}.jpg cannot be decoded.")
        rng = np.random.default_rng(number)
        mask = np.zeros((40, 60), np.uint8)
        mask[10:30, 5:35] = 1
        return rng.integers(0, 256, (40, 60, 3), dtype=np.uint8), mask


def same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_image_without_disturbance_is_the_picture_and_its_guides():
    made = ImageSamples(Images(), PLAIN)
    image, visual, spatial, label = made.sample(0)
    picture, mask = Images().image(int(made._order(0)[0]))
    np.testing.assert_array_equal(image, guides.network_image(picture))
    np.testing.assert_array_equal(label[..., 0], mask)
    np.testing.assert_array_equal(spatial, guides.spatial_guide(mask))
    visual_guide = guides.visual_guide(picture, mask, margins=[0] * 4)
    np.testing.assert_array_equal(visual, visual_guide)


def test_image_and_guide_are_mirrored_independently():
    augment = dataclasses.replace(NO_AUGMENTATION, flip=0.5)
    settings = dataclasses.replace(PLAIN, flip=0.5, guide_augmentation=augment)
    made, seen = ImageSamples(Images(), settings), np.zeros((2, 2), int)
    for number in range(400):
        image, visual, spatial, label = made.sample(number)
        place = int(made._order(number // 3)[number % 3])
        picture, mask = Images().image(place)
        plain = guides.network_image(picture)
        flipped = not np.array_equal(image, plain)
        if flipped:
            mask = np.ascontiguousarray(mask[:, ::-1])
            np.testing.assert_array_equal(image, plain[:, ::-1])
        np.testing.assert_array_equal(label[..., 0], mask)
        np.testing.assert_array_equal(spatial, guides.spatial_guide(mask))
        visual_guide = guides.visual_guide(
            picture, Images().image(place)[1], margins=[0] * 4
        )
        turned = not np.array_equal(visual, visual_guide)
        if turned:
            np.testing.assert_array_equal(visual, visual_guide[:, ::-1])
        seen[int(flipped), int(turned)] += 1
    # Each of the four has probability 1/4: 100 of 400, standard deviation 8.7.
    assert np.abs(seen - 100).max() < 35


def test_stage_1_on_coco_has_squares_of_the_paper(test_data, tmp_path):
    objects = CocoObjects(test_data / "data" / "coco_mini", "val2017", tmp_path)
    made = ImageSamples(objects, sample_settings.STAGE_1, batch_size=2)
    sizes = set()
    for number in range(16):
        image, visual, spatial, label = made.sample(number)
        sizes.add(image.shape)
        assert image.shape[:2] == spatial.shape[:2] == label.shape[:2]
        assert visual.shape == (224, 224, 3)
        assert set(np.unique(label)) == {0, 1}
    assert sizes == {(320, 320, 3), (400, 400, 3), (480, 480, 3)}


def test_a_picture_is_stretched_as_pillow_does(test_data, tmp_path):
    objects = CocoObjects(test_data / "data" / "coco_mini", "val2017", tmp_path)
    settings = dataclasses.replace(PLAIN, size=(200, 320))
    made = ImageSamples(objects, settings)
    image, _, _, label = made.sample(1)
    picture, mask = objects.image(int(made._order(0)[1]))
    stretched = Image.fromarray(picture).resize((320, 200), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(
        image, np.asarray(stretched)[..., ::-1] - np.float32(MEAN_BGR)
    )
    nearest = Image.fromarray(mask).resize((320, 200), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(label[..., 0], nearest)


def test_a_random_part_keeps_its_range_and_an_object_pixel():
    rng, mask = np.random.default_rng(0), np.zeros((100, 140), np.uint8)
    mask[80:99, 3:9] = 1
    shares, starts = [], []
    for _ in range(500):
        rows, columns = random_part(rng, mask, 0.5)
        assert mask[rows, columns].any()
        assert 0 <= rows.start <= rows.stop <= 100
        assert 0 <= columns.start <= columns.stop <= 140
        shares.append((rows.stop - rows.start) / 100)
        starts.append(columns.start)
    assert min(shares) >= 0.5
    assert max(shares) <= 1.0
    assert np.mean(shares) == pytest.approx(0.75, abs=0.03)
    assert max(starts) <= 8
    whole = random_part(rng, mask, 1.0)
    np.testing.assert_array_equal(mask[whole], mask)
    random_part(rng, np.zeros((4, 4), np.uint8), 0.1)


def test_a_crop_shows_a_part_in_all_of_a_sample():
    settings = dataclasses.replace(PLAIN, crop=0.5)
    made = ImageSamples(Images(), settings)
    for number in range(20):
        image, _, spatial, label = made.sample(number)
        assert image.shape == (40, 60, 3)
        assert label.any()
        np.testing.assert_array_equal(spatial, guides.spatial_guide(label[..., 0]))


def test_a_path_is_smooth_in_its_ranges_and_centred():
    motion, rng = Motion(), np.random.default_rng(0)
    paths = np.stack([motion.path(rng, 9) for _ in range(2000)])
    ranges = np.array([0.1, 0.1, np.log(1.2), 10.0, 0.05])
    assert np.all(np.abs(paths) <= ranges)
    # Bezier weights at the ends and in the middle: variances r^2 / 3 times
    # 1, and 1/16 + 1/4 + 1/16.
    spread = paths.std(axis=0) / (ranges / np.sqrt(3))
    np.testing.assert_allclose(spread[[0, 8]], 1.0, atol=0.05)
    np.testing.assert_allclose(spread[4], np.sqrt(3 / 8), atol=0.03)
    np.testing.assert_allclose(paths.mean(axis=0) / ranges, 0.0, atol=0.06)
    # A quadratic: its third differences vanish.
    assert np.abs(np.diff(paths, 3, axis=1)).max() < 1e-12


def test_a_transform_leaves_its_centre_and_scales_areas():
    mask = np.zeros((100, 140), np.uint8)
    mask[40:61, 50:71] = 1
    matrix = affine_matrix([0, 0, np.log(1.5), 30.0, 0.2], mask)
    np.testing.assert_allclose(matrix @ [60, 50, 1], [60, 50])
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(1.5**2)
    moved = affine_matrix([0.1, -0.2, 0, 0, 0], mask)
    np.testing.assert_allclose(moved, [[1, 0, 14], [0, 1, -20]])
    # Counter-clockwise as seen: what lies right of the centre goes up.
    right = affine_matrix([0, 0, 0, 90.0, 0], mask) @ [70, 50, 1]
    np.testing.assert_allclose(right, [60, 40], atol=1e-9)
    no_motion = Motion(0.0, 0.0, 0.0, 0.0)
    picture, mask = Images().image(0)
    frames, masks = no_motion.move(np.random.default_rng(0), picture, mask, 3)
    assert all(np.array_equal(frame, picture) for frame in frames)
    assert all(np.array_equal(each, mask) for each in masks)


def test_a_pseudo_clip_moves_frame_and_mask_together():
    mask = np.zeros((80, 120), np.uint8)
    mask[30:50, 40:80] = 1
    picture = np.repeat(mask[..., None] * 255, 3, axis=2)
    frames, masks = Motion().move(np.random.default_rng(3), picture, mask, 5)
    assert len(frames) == len(masks) == 5
    for frame, moved in zip(frames, masks, strict=True):
        # They differ on the border only: bilinear against nearest.
        border = cv2.dilate(moved, np.ones((3, 3))) - cv2.erode(moved, np.ones((3, 3)))
        differs = (frame[..., 0] > 127) != moved
        assert not np.any(differs & (border == 0))
    assert not np.array_equal(masks[0], masks[4])


def test_pseudo_clips_have_a_time_axis_and_the_earlier_mask_as_guide():
    settings = dataclasses.replace(PLAIN, clip_length=3)
    made = ImageSamples(Images(), settings, motion=Motion())
    image, visual, spatial, label = made.sample(4)
    assert image.shape == (3, 40, 60, 3)
    assert visual.shape == (224, 224, 3)
    for before, guide in zip(label[:-1], spatial[1:], strict=True):
        np.testing.assert_array_equal(guide, guides.spatial_guide(before[..., 0]))
    same(made.sample(4), ImageSamples(Images(), settings, motion=Motion()).sample(4))
    for length, motion in ((3, None), (None, Motion())):
        with pytest.raises(InputError, match="need both a clip length and a motion"):
            ImageSamples(
                Images(), dataclasses.replace(PLAIN, clip_length=length), motion=motion
            )


def test_affine_guides_follow_one_transform_along_a_clip():
    augment, rng = AffineAugmentation(), np.random.default_rng(0)
    masks = [np.zeros((120, 160), np.uint8) for _ in range(3)]
    for t, mask in enumerate(masks):
        mask[40:80, 50 + 8 * t : 110 + 8 * t] = 1
    centres, sigmas = [], []
    for _ in range(200):
        heats = augment.spatial_guides(rng, masks)
        tops = [np.unravel_index(h.argmax(), h.shape)[1::-1] for h in heats]
        steps = np.linalg.norm(np.diff(np.array(tops, float), axis=0), axis=1)
        # A step of 8 pixels, scaled; the maximum is a whole pixel.
        assert np.all(steps > 8 / 1.2 - 1.5)
        assert np.all(steps < 8 * 1.2 + 1.5)
        centres.append(tops[0])
        row = heats[0][tops[0][1], :, 0]
        sigmas.append((row / row.max() > np.exp(-0.5)).sum() / 2)
    # The box is 59x39, its centre (79.5, 59.5).
    shifts = (np.array(centres) - (79.5, 59.5)) / (59, 39)
    assert np.abs(shifts).max() < 0.1 + 1.5 / 39
    assert shifts.std(axis=0) == pytest.approx(0.1 / np.sqrt(3), abs=0.015)
    own = dataclasses.replace(augment, same_along_clip=False)
    heats = own.spatial_guides(np.random.default_rng(1), [masks[0]] * 2)
    assert not np.array_equal(*heats)
    assert np.array_equal(*augment.spatial_guides(rng, [masks[0]] * 2))


def test_affine_guides_of_range_zero_are_the_plain_ones():
    augment, rng = AffineAugmentation(0.0, 0.0, 0.0), np.random.default_rng(0)
    picture, mask = Images().image(1)
    np.testing.assert_array_equal(
        augment.visual_guide(rng, picture, mask),
        guides.visual_guide(picture, mask, margins=[0] * 4),
    )
    np.testing.assert_array_equal(
        augment.spatial_guides(rng, [mask])[0], guides.spatial_guide(mask)
    )
    empty = augment.spatial_guides(rng, [np.zeros_like(mask)] * 2)
    assert not np.any(empty)


def test_the_releases_visual_guide_draws_its_ranges(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        guides, "visual_guide", lambda *args, **given: drawn.append(given)
    )
    rng = np.random.default_rng(0)
    for _ in range(1000):
        GuideAugmentation().visual_guide(rng, None, None)
    margins = np.array([each["margins"] for each in drawn])
    angles = np.array([each["rotation"] for each in drawn])
    for values, widest in ((margins, 0.1), (angles, 10.0)):
        assert np.abs(values).max() <= widest
        # Uniform: mean 0 and standard deviation widest / sqrt(3).
        assert np.abs(values.mean(axis=0) / widest).max() < 0.08
        np.testing.assert_allclose(values.std(axis=0), widest / np.sqrt(3), rtol=0.05)
    # 500 of 1000, standard deviation 16.
    assert abs(sum(each["flip"] for each in drawn) - 500) < 64


def test_an_affine_visual_guide_is_shifted_and_scaled():
    mask = np.zeros((200, 200), np.uint8)
    mask[50:151, 50:151] = 1
    picture = np.full((200, 200, 3), 255, np.uint8)
    augment, rng = AffineAugmentation(rotation=0.0), np.random.default_rng(0)
    widths, lefts = [], []
    for _ in range(300):
        visual_guide = augment.visual_guide(rng, picture, mask)
        columns = np.flatnonzero((visual_guide != 0).any(axis=(0, 2)))
        widths.append(columns.size / 224)
        lefts.append(columns[0] / 224)
    assert max(widths) == 1.0
    assert min(widths) > 1 / 1.2 - 0.12
    assert max(lefts) < 0.1 + (1 - 1 / 1.2) / 2 + 0.02


def test_what_cannot_be_read_is_replaced_counted_and_named(caplog):
    made = ImageSamples(Images(broken=(1,)), PLAIN)
    good = ImageSamples(Images(), PLAIN)
    order = good._order(0).tolist()
    place = order.index(1)
    same(made.sample(place), made.make(order[(place + 1) % 3], place, 1))
    assert made.skipped == {"frame 1.jpg cannot be decoded.": 1}
    assert caplog.text.count("frame 1.jpg") == 1
    for number in (0, 1, 2):
        if number != place:
            same(made.sample(number), good.sample(number))
    made.sample(place)
    assert made.skipped.total() == 2
    assert caplog.text.count("frame 1.jpg") == 1
    none = ImageSamples(Images(broken=(0, 1, 2)), PLAIN)
    with pytest.raises(
        InputError, match="100 training samples in a row .* frame .*jpg cannot"
    ):
        none.sample(0)


@pytest.mark.parametrize("motion", [None, Motion()])
def test_the_pipeline_hands_on_every_augmentation(motion):
    settings = sample_settings.SampleSettings(
        size=(40, 60),
        scales=(0.5, 1.0),
        flip=0.5,
        crop=0.6,
        clip_length=2 if motion else None,
        guide_augmentation=AffineAugmentation(),
    )
    made = ImageSamples(Images(), settings, batch_size=4, seed=2, motion=motion)
    whole = pipeline.make_dataset(made, 4, first_batch=1)
    for batch, (inputs, label) in zip((1, 2), whole, strict=False):
        for k in range(4):
            image, visual, spatial, mask = made.sample(4 * batch + k)
            np.testing.assert_array_equal(inputs["image"][k], image)
            np.testing.assert_array_equal(inputs["visual_guide"][k], visual)
            # TensorFlow's threads flush denormal numbers to zero.
            np.testing.assert_allclose(
                inputs["spatial_guide"][k], spatial, rtol=0, atol=1e-30
            )
            np.testing.assert_array_equal(label[k], mask)


def test_the_pipeline_hands_on_the_releases_augmentation():
    settings = dataclasses.replace(PLAIN, guide_augmentation=GuideAugmentation())
    made = ImageSamples(Images(), settings, batch_size=2)
    for batch, (inputs, label) in enumerate(
        pipeline.make_dataset(made, 2, workers=3).take(3)
    ):
        for k in range(2):
            image, visual, spatial, mask = made.sample(2 * batch + k)
            np.testing.assert_array_equal(inputs["image"][k], image)
            np.testing.assert_array_equal(inputs["visual_guide"][k], visual)
            np.testing.assert_allclose(
                inputs["spatial_guide"][k], spatial, rtol=0, atol=1e-30
            )
            np.testing.assert_array_equal(label[k], mask)


def test_a_corrupt_picture_of_coco_is_skipped_and_named(test_data, tmp_path):
    folder = test_data / "data" / "coco_mini"
    (tmp_path / "annotations").mkdir()
    name = "instances_val2017.json"
    shutil.copy(folder / "annotations" / name, tmp_path / "annotations" / name)
    shutil.copytree(folder / "val2017", tmp_path / "val2017")
    objects = CocoObjects(tmp_path, "val2017")
    broken = objects.sources[3]
    broken.write_bytes(broken.read_bytes()[:5000])
    made = ImageSamples(objects, PLAIN, batch_size=7)
    batches = list(pipeline.make_dataset(made, 7).take(len(made) // 7))
    assert len(batches) == 21
    assert [str(broken) in message for message in made.skipped] == [True]
    count = sum(objects.name(n) == str(broken) for n in range(len(objects)))
    assert made.skipped.total() >= count
    twin = ImageSamples(objects, PLAIN, batch_size=7)
    for k in range(7):
        np.testing.assert_array_equal(batches[5][0]["image"][k], twin.sample(35 + k)[0])


def test_shards_of_all_workers_make_up_the_global_batches():
    settings = dataclasses.replace(PLAIN, flip=0.5, scales=(0.5, 1.0))
    made = ImageSamples(Images(), settings, batch_size=4)
    whole = pipeline.make_dataset(made, 4, first_batch=2)
    parts = [pipeline.make_dataset(made, 4, 2, shard=(i, 2)) for i in (0, 1)]
    for _, batch, *shares in zip(range(3), whole, *parts, strict=False):
        for key in ("image", "visual_guide", "spatial_guide"):
            joined = np.concatenate([share[0][key] for share in shares])
            np.testing.assert_array_equal(joined, batch[0][key])
        joined = np.concatenate([share[1] for share in shares])
        np.testing.assert_array_equal(joined, batch[1])
    with pytest.raises(InputError, match="a batch of 4 .* 3 workers"):
        pipeline.make_dataset(made, 4, shard=(0, 3))
