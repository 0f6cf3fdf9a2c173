"""Pasted pseudo-clips, and samples from several sources."""

import dataclasses

import cv2
import numpy as np
import pytest

from osmn_recurrent.training.augmentation import NO_AUGMENTATION
from osmn_recurrent.training.image_samples import ImageSamples
from osmn_recurrent.training.mixture import Mixture
from osmn_recurrent.training.pseudo_clips import Motion
from osmn_recurrent.training.sample_settings import SampleSettings

SETTINGS = SampleSettings(
    size=(40, 60), scales=(0.5, 1.0), clip_length=3, guide_augmentation=NO_AUGMENTATION
)
FIXED_CAMERA = Motion(shift=0.0, scale=0.0, rotation=0.0, shear=0.0)


class Images:
    """Pictures of one grey each, 10 * (number + 1), with a box as object."""

    def __init__(self, count, name="image"):
        self.count, self._name = count, name

    def __len__(self):
        return self.count

    def name(self, number):
        return f"{self._name} {number}"

    def image(self, number):
        mask = np.zeros((40, 60), np.uint8)
        mask[10:30, 15:35] = 1
        return np.full((40, 60, 3), 10 * (number + 1), np.uint8), mask


def test_a_pasted_object_lies_over_the_other_picture():
    picture, mask = Images(5).image(4)
    behind, _ = Images(5).image(1)
    rng = np.random.default_rng(0)
    frames, masks = FIXED_CAMERA.paste(rng, picture, mask, behind[:20], 4)
    for frame, moved in zip(frames, masks, strict=True):
        np.testing.assert_array_equal(moved, mask)
        inside = np.zeros_like(mask, bool)
        inside[11:29, 16:34] = True
        assert (frame[inside] == 50).all()
        outside = np.ones_like(mask, bool)
        outside[9:31, 14:36] = False
        assert (frame[outside] == 20).all()
        # A Gaussian of 3 weighs (1, 2, 1) / 4: borders are three quarters in.
        assert (frame[20, 15] == round(20 + 30 * 0.75)).all()


def test_a_pasted_object_moves_apart_from_its_background():
    picture, mask = Images(5).image(4)
    ramp = np.repeat(np.arange(60, dtype=np.uint8)[None], 40, axis=0)
    behind = np.repeat(ramp[..., None], 3, axis=-1)
    motion = Motion(shift=0.3, scale=0.0, rotation=0.0, shear=0.0)
    frames, masks = motion.paste(np.random.default_rng(1), picture, mask, behind, 6)
    moved = np.array([np.argwhere(m).mean(0) for m in masks])
    assert np.abs(np.diff(moved[:, 1])).max() > 0.5
    corner = np.array([frame[1, 1, 0] for frame in frames], float)
    object_shift, ramp_shift = moved[:, 1] - moved[0, 1], corner - corner[0]
    assert np.abs(object_shift + ramp_shift).max() > 1


def test_pasting_a_part_is_pasting_the_whole():
    # Warped and blended over the whole frame; differences are the warp's rounding.
    rng = np.random.default_rng(2)
    picture, behind = rng.integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)
    mask = np.zeros((40, 60), np.uint8)
    mask[3:20, 30:58] = 1
    motion, seed = Motion(shift=0.4), 4
    frames, masks = motion.paste(np.random.default_rng(seed), picture, mask, behind, 6)
    rng = np.random.default_rng(seed)
    below, _ = motion.move(rng, behind, np.ones_like(mask), 6)
    above, _ = motion.move(rng, picture, mask, 6)
    for frame, moved, under, over in zip(frames, masks, below, above, strict=True):
        weight = cv2.GaussianBlur(moved.astype(float), (3, 3), 0)[..., None]
        expected = under + (over.astype(float) - under) * weight
        assert np.abs(frame - expected).max() <= 4
        outside = weight[..., 0] == 0
        np.testing.assert_array_equal(frame[outside], under[outside])
    assert any(m[0].any() or m[:, -1].any() for m in masks)  # it leaves the frame


def test_the_share_of_pasted_clips_is_kept():
    def pasted(share):
        made = ImageSamples(Images(20), SETTINGS, motion=Motion(), pasted=share)
        # A grey of its own around the object shows that it was pasted.
        return np.mean(
            [len(np.unique(made.sample(n)[0].round())) > 3 for n in range(200)]
        )

    assert pasted(0.0) == 0
    # With probability 1/20 the other image is the same one; deviation 3.5%.
    assert pasted(0.5) == pytest.approx(0.475, abs=0.12)


def test_a_mixture_draws_by_its_shares_and_repeats_itself():
    sources = [
        ImageSamples(Images(n, name), SETTINGS, motion=Motion(), batch_size=4, seed=7)
        for n, name in ((3, "small"), (11, "large"))
    ]
    made, again = (Mixture(sources, [0.25, 0.75]) for _ in range(2))
    assert len(made) == 14
    names = [made.describe(n).split()[0] for n in range(2000)]
    # Deviation: 0.97%.
    assert names.count("small") / 2000 == pytest.approx(0.25, abs=0.04)
    for number in (0, 5, 999):
        for one, other in zip(made.sample(number), again.sample(number), strict=True):
            np.testing.assert_array_equal(one, other)
    for batch in range(5):
        sizes = {made.sample(4 * batch + k)[0].shape for k in range(4)}
        assert len(sizes) == 1
    assert any("0.25 of 3 images" in name for name in made.names())


def test_sources_that_do_not_fit_together_are_refused():
    one = ImageSamples(Images(3), SETTINGS, motion=Motion())
    other = dataclasses.replace(SETTINGS, stride=2)
    with pytest.raises(ValueError, match="settings"):
        Mixture([one, ImageSamples(Images(3), other, motion=Motion())], [0.5, 0.5])
    with pytest.raises(ValueError, match="share"):
        Mixture([one], [0.5])
