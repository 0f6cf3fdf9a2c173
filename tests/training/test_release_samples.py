"""What the release draws for its samples and ours do on request."""

import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import guides, masks
from osmn_recurrent.cli import train_flags
from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.datasets.clips import Clip
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import write_mask
from osmn_recurrent.training import placing
from osmn_recurrent.training.augmentation import NO_AUGMENTATION
from osmn_recurrent.training.image_samples import ImageSamples
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.samples import ClipSamples

PLAIN = SampleSettings(size=(40, 60), scales=(1.0,), guide_augmentation=NO_AUGMENTATION)
SHOWN = {1: (1, 2, 5, 7), 2: (0, 1, 2, 3, 4, 5, 6)}
"""Frames, of eight, that show the objects."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder, rng, frames, found = tmp_path_factory.mktemp("clip"), None, [], {}
    rng = np.random.default_rng(0)
    for t in range(8):
        frames.append(folder / f"{t:05d}.png")
        noise = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(frames[-1])
        ids = np.zeros((40, 60), np.uint8)
        for i, shown in SHOWN.items():
            if t in shown:
                ids[20 * i - 18 : 20 * i - 4, 5 + t : 25 + t] = i
        (folder / "masks").mkdir(exist_ok=True)
        found[t] = folder / "masks" / f"{t:05d}.png"
        write_mask(found[t], ids)
    return Clip("now and then", tuple(frames), found)


def pairs_of_the_release(shown):
    """`osmn_train_eval.py`: consecutive frames among those with the object."""
    return list(itertools.pairwise(shown))


def test_visible_targets_are_the_releases_pairs(clip):
    made = ClipSamples([clip], dataclasses.replace(PLAIN, targets="visible"))
    expected = {
        (before, now, i)
        for i, shown in SHOWN.items()
        for before, now in pairs_of_the_release(shown)
    }
    assert len(made) == len(expected)
    for index in range(len(made)):
        _, before, i = made.index[index]
        (now,) = (n for b, n, j in expected if (b, j) == (before, i))
        image, _, spatial, label = made.make(index, index)
        np.testing.assert_array_equal(image, guides.network_image(clip.frame(now)))
        np.testing.assert_array_equal(label[..., 0], clip.mask(now) == i)
        assert label.any()
        given = guides.spatial_guide(clip.mask(before) == i)
        np.testing.assert_array_equal(spatial, given)
    # As it is by default: the start shows the object, the target may not.
    default = ClipSamples([clip], PLAIN)
    starts = {(t, i) for _, t, i in default.index}
    assert starts == {(t, i) for i, shown in SHOWN.items() for t in shown if t < 7}
    assert not all(default.make(n, n)[3].any() for n in range(len(default)))


def test_visible_clips_count_their_stride_in_frames_with_the_object(clip):
    settings = dataclasses.replace(PLAIN, targets="visible", clip_length=3)
    made = ClipSamples([clip], settings)
    assert [entry for entry in made.index if entry[2] == 1] == [(0, 1, 1)]
    image = made.make(made.index.index((0, 1, 1)), 0)[0]
    for k, t in enumerate(SHOWN[1][1:]):
        np.testing.assert_array_equal(image[k], guides.network_image(clip.frame(t)))
    wider = dataclasses.replace(settings, clip_length=1, most_stride=9)
    made = ClipSamples([clip], wider)
    start = made.index.index((0, 2, 1))
    drawn = {made._times_of(np.random.default_rng(k), 0, 2, 1)[1] for k in range(40)}
    assert drawn == {5, 7} and made.make(start, 3)[3].any()


@pytest.mark.parametrize("choice", ["drawn", "kept", "first"])
def test_the_visual_guides_frame(clip, choice):
    made = ClipSamples([clip], dataclasses.replace(PLAIN, guide_frame=choice))
    views = {
        i: {
            t: guides.visual_guide(clip.frame(t), clip.mask(t) == i, margins=[0] * 4)
            for t in shown
        }
        for i, shown in SHOWN.items()
    }
    found = {}
    for number in range(8 * len(made)):
        index = number % len(made)
        i = made.index[index][2]
        visual = made.make(index, number)[1]
        (frame,) = (t for t, v in views[i].items() if np.array_equal(v, visual))
        found.setdefault(index, set()).add(frame)
    if choice == "drawn":
        assert max(map(len, found.values())) > 2
        return
    assert all(len(frames) == 1 for frames in found.values())
    for index, frames in found.items():
        if choice == "first":
            assert frames == {SHOWN[made.index[index][2]][0]}
    if choice == "kept":
        assert len(set().union(*found.values())) > 3
        # Another seed is another list of targets.
        other = ClipSamples(
            [clip], dataclasses.replace(PLAIN, guide_frame=choice), seed=1
        )
        theirs = [other.make(n, n)[1] for n in range(len(other))]
        ours = [made.make(n, n)[1] for n in range(len(made))]
        assert not all(map(np.array_equal, ours, theirs))


class OneImage:
    """A white picture of 60x40 with an object in its middle."""

    def __len__(self):
        return 1

    def name(self, number):
        return "white.jpg"

    def image(self, number):
        mask = np.zeros((40, 60), np.uint8)
        mask[10:30, 15:45] = 1
        return np.full((40, 60, 3), 255, np.uint8), mask


def test_moved_sides_are_the_releases_crop():
    made = ImageSamples(OneImage(), dataclasses.replace(PLAIN, crop_sides=0.2))
    picture, mask = OneImage().image(0)
    boxes = set()
    for number in range(40):
        image, _, spatial, label = made.sample(number)
        rng, size = made._draws(number, 0)
        assert size == (40, 60)
        # The draws of the guide come first; its margins, angle, mirroring.
        NO_AUGMENTATION.visual_guide(rng, picture, mask)
        ratios = rng.uniform(-0.2, 0.2, 4)
        box = (
            int(-ratios[0] * 60),
            int(-ratios[1] * 40),
            60 + int(ratios[2] * 60),
            40 + int(ratios[3] * 40),
        )
        boxes.add(box)
        shown = Image.fromarray(picture).crop(box)
        shown = shown.resize((60, 40), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(image, guides.network_image(np.asarray(shown)))
        cut = np.asarray(Image.fromarray(mask).crop(box))
        expected = masks.resize_mask(cut, (40, 60))
        np.testing.assert_array_equal(label[..., 0], expected)
        np.testing.assert_array_equal(spatial, guides.spatial_guide(expected))
        if box[0] <= -6:  # a tenth of the picture's width is black
            np.testing.assert_array_equal(image[:, 0], -np.array([MEAN_BGR] * 40))
    assert any(box[0] <= -6 for box in boxes) and any(box[0] > 0 for box in boxes)
    assert len(boxes) > 30


def test_sides_move_by_their_own_uniform_share():
    rng = np.random.default_rng(0)
    boxes = np.array([placing.moved_sides(rng, (1000, 2000), 0.1) for _ in range(2000)])
    shares = (boxes - (0, 0, 2000, 1000)) / (2000, 1000, 2000, 1000)
    assert np.abs(shares).max() <= 0.1
    np.testing.assert_allclose(shares.std(axis=0), 0.1 / np.sqrt(3), rtol=0.05)
    assert np.abs(np.corrcoef(shares.T) - np.eye(4)).max() < 0.1


def test_validation_is_undisturbed_but_sees_guides_of_the_same_kind():
    augment = train_flags_settings("--guide_light", "--guide_keep_background")
    kept = augment.undisturbed().guide_augmentation
    assert kept == dataclasses.replace(NO_AUGMENTATION, keep_background=True)
    assert augment.undisturbed().crop_sides == 0


def train_flags_settings(*given):
    """Samples that flags of `osmn train` ask for."""
    for name in train_flags.FLAGS:
        train_flags.FLAGS[name].unparse()
    train_flags.FLAGS(["train", "--data_dir=x", "--workdir=y", *given])
    return train_flags.settings_from_flags().samples


def test_flags_of_the_releases_samples():
    found = train_flags_settings(
        "--targets=visible",
        "--guide_frame=first",
        "--crop_sides=0.2",
        "--guide_light",
        "--guide_keep_aspect",
    )
    augment = found.guide_augmentation
    assert (found.targets, found.guide_frame) == ("visible", "first")
    assert found.crop_sides == 0.2
    assert augment.light and augment.keep_aspect and not augment.keep_background
    for other in ("--crop=0.5", "--window"):
        with pytest.raises(InputError, match="three ways to cut a picture"):
            train_flags_settings("--crop_sides=0.2", other)
    with pytest.raises(InputError, match="do not go with --guide_augmentation=affine"):
        train_flags_settings("--guide_light", "--guide_augmentation=affine")
