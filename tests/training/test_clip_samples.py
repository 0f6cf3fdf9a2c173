"""Samples of clips with few masks, late objects, broken files, caches."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import guides
from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.datasets.clips import Clip
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import write_mask
from osmn_recurrent.training import augmentation
from osmn_recurrent.training.augmentation import NO_AUGMENTATION, AffineAugmentation
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.samples import ClipSamples

PLAIN = SampleSettings(size=(40, 60), scales=(1.0,), guide_augmentation=NO_AUGMENTATION)


@pytest.fixture
def clip(tmp_path):
    """Eleven frames, masks for 0, 5 and 10; object 2 appears in frame 5."""
    rng, frames, found = np.random.default_rng(0), [], {}
    for t in range(11):
        frames.append(tmp_path / f"{t:05d}.jpg")
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(
            frames[-1]
        )
        if t % 5 == 0:
            ids = np.zeros((40, 60), np.uint8)
            ids[5:20, 5 + t : 20 + t] = 1
            if t:
                ids[25:38, 30:50] = 2
            found[t] = tmp_path / f"{t:05d}.png"
            write_mask(found[t], ids)
    return Clip("sparse", tuple(frames), found)


def test_annotated_frames_are_the_clip_and_late_objects_start_late(clip):
    settings = dataclasses.replace(PLAIN, sparse_masks=True)
    made = ClipSamples([clip], settings)
    # Starts count annotated frames: object 1 in 0 and 5, object 2 in 5.
    assert sorted(made.index) == [(0, 0, 1), (0, 1, 1), (0, 1, 2)]
    for number in range(3):
        image, _, spatial, label = made.sample(number)
        _, t, i = made.index[made._order(0)[number]]
        now, before = 5 * (t + 1), 5 * t
        np.testing.assert_array_equal(image, guides.network_image(clip.frame(now)))
        np.testing.assert_array_equal(label[..., 0], clip.mask(now) == i)
        np.testing.assert_array_equal(
            spatial, guides.spatial_guide(clip.mask(before) == i)
        )
    long = dataclasses.replace(settings, clip_length=2)
    made = ClipSamples([clip], long)
    assert made.index == [(0, 0, 1)]
    image = made.sample(0)[0]
    for k, t in enumerate((5, 10)):
        np.testing.assert_array_equal(image[k], guides.network_image(clip.frame(t)))


def test_missing_masks_are_refused_unless_the_option_says_so(clip):
    with pytest.raises(InputError, match="no mask for frame 00001; .* sparse_masks"):
        ClipSamples([clip], PLAIN)


def test_a_broken_frame_is_replaced_named_and_counted(clip):
    settings = dataclasses.replace(PLAIN, sparse_masks=True)
    whole = ClipSamples([clip], settings)
    path = clip.frame_paths[10]
    path.write_bytes(path.read_bytes()[:400])
    made = ClipSamples([clip], settings)
    # Every sample that survives shows frame 5 and takes its guide from a frame but 10.
    for number in range(12):
        made.sample(number)
    assert [str(path) in message for message in made.skipped] == [True]
    twin = ClipSamples([clip], settings)
    for number in (11, 3):
        for ours, theirs in zip(made.sample(number), twin.sample(number)):
            np.testing.assert_array_equal(ours, theirs)
    assert len(whole) == len(made)


def test_a_cache_changes_nothing_but_the_reading(clip):
    settings = dataclasses.replace(
        PLAIN,
        sparse_masks=True,
        guide_augmentation=AffineAugmentation(),
        flip=0.5,
        crop=0.6,
    )
    expected = ClipSamples([clip], settings)
    expected = [expected.sample(n) for n in range(6)]
    for cache in ("none", "frames"):
        made = ClipSamples([clip], settings, cache=cache)
        first = [made.sample(n) for n in range(6)]
        for path in clip.mask_paths.values():
            path.rename(path.with_suffix(".away"))
        again = [made.sample(n) for n in range(6)]
        for path in clip.mask_paths.values():
            path.with_suffix(".away").rename(path)
        for samples in (first, again):
            for ours, theirs in zip(samples, expected):
                for one, other in zip(ours, theirs):
                    np.testing.assert_array_equal(one, other)
    with pytest.raises(InputError, match="cache 'disk' is none of"):
        ClipSamples([clip], settings, cache="disk")


def test_flip_and_crop_are_one_for_all_frames_of_a_clip(clip):
    # A clip that stands still: what differs within a sample was not shared.
    standing = Clip(
        "standing",
        (clip.frame_paths[5],) * 4,
        dict.fromkeys(range(4), clip.mask_paths[5]),
    )
    settings = dataclasses.replace(PLAIN, flip=0.5, crop=0.5, clip_length=3)
    made = ClipSamples([standing], settings)
    images = [made.sample(number)[0] for number in range(12)]
    for image in images:
        assert np.array_equal(image[0], image[1])
        assert np.array_equal(image[0], image[2])
    assert len({image.tobytes() for image in images}) == 12


def test_colours_change_alike_in_all_pictures_of_a_sample(clip):
    settings = dataclasses.replace(
        PLAIN, sparse_masks=True, clip_length=2, colour_jitter=0.5
    )
    recoloured = ClipSamples([clip], settings)
    plain = ClipSamples([clip], dataclasses.replace(settings, colour_jitter=0.0))
    tables = []
    for number in range(3):
        (image, _, spatial, label), before = (
            made.sample(number) for made in (recoloured, plain)
        )
        np.testing.assert_array_equal(label, before[3])
        np.testing.assert_array_equal(spatial, before[2])
        for channel, mean in enumerate(MEAN_BGR):
            old, new = (
                np.rint(x[..., channel] + mean).astype(int) for x in (before[0], image)
            )
            # One table for both frames: a value always becomes the same value.
            pairs = set(zip(old.ravel().tolist(), new.ravel().tolist(), strict=True))
            assert len(pairs) == len(np.unique(old))
            table = [value for _, value in sorted(pairs)]
            assert table == sorted(table)
            tables.append(tuple(table))
    assert len(set(tables)) == 9  # every channel of every sample has its own


def test_recolouring_is_its_formula():
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    assert augmentation.recolouring(None, 0.0)(ramp) is ramp
    # In the middle of all ranges gamma and gains are 1 and the offset is 0.
    np.testing.assert_array_equal(augmentation.recolouring(Middle(), 0.7)(ramp), ramp)
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)
    gamma = np.exp(twin.uniform(-0.7, 0.7))
    gains = np.exp(twin.uniform(-0.7, 0.7, 3) / 2)
    offset = 32 * twin.uniform(-0.7, 0.7)
    found = augmentation.recolouring(rng, 0.7)(ramp)
    for value in (0, 3, 100, 255):
        expected = 255 * gains * (value / 255) ** gamma + offset
        np.testing.assert_allclose(found[0, value], expected.clip(0, 255), atol=0.5)


class Middle:
    """A generator whose draws are the middle of their range."""

    def uniform(self, low, high, size=None):
        return np.full(size or (), (low + high) / 2)
