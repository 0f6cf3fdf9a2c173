"""Samples, pipeline and training on clips that the tests draw."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import guides
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import building
from osmn_recurrent.training import pipeline, steps, trainer
from osmn_recurrent.training.augmentation import (
    NO_AUGMENTATION,
    GuideAugmentation,
)
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.samples import ClipSamples

SIZE = (64, 96)
PLAIN = SampleSettings(
    size=SIZE, scales=(1.0,), guide_augmentation=NO_AUGMENTATION, min_cover=0.0
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_moving_shapes(folder, train=3, val=1, frames=6, size=SIZE)
    return davis_clips(folder, 2017, "train")


def test_an_image_is_the_frame_with_the_guide_of_the_frame_before(clips):
    samples = ClipSamples(clips, PLAIN)
    image, visual, spatial, label = samples.sample(0)
    c, t, i = samples.index[samples._order(0)[0]]
    np.testing.assert_array_equal(image, guides.network_image(clips[c].frame(t + 1)))
    np.testing.assert_array_equal(spatial, guides.spatial_guide(clips[c].mask(t) == i))
    np.testing.assert_array_equal(label[..., 0], clips[c].mask(t + 1) == i)
    visual_guides = [
        guides.visual_guide(clips[c].frame(k), clips[c].mask(k) == i, margins=[0] * 4)
        for k in range(len(clips[c]))
    ]
    assert any(np.array_equal(visual, visual_guide) for visual_guide in visual_guides)


def test_a_clip_has_one_guide_per_frame_and_a_stride(clips):
    settings = dataclasses.replace(PLAIN, clip_length=2, stride=2)
    samples = ClipSamples(clips, settings)
    image, _, spatial, label = samples.sample(3)
    c, t, i = samples.index[samples._order(0)[3]]
    assert image.shape == (2, *SIZE, 3)
    for k in range(2):
        now, before = t + 2 * (k + 1), t + 2 * k
        np.testing.assert_array_equal(
            image[k], guides.network_image(clips[c].frame(now))
        )
        np.testing.assert_array_equal(
            spatial[k], guides.spatial_guide(clips[c].mask(before) == i)
        )
        np.testing.assert_array_equal(label[k, ..., 0], clips[c].mask(now) == i)


def test_an_epoch_visits_every_start_once_and_seeds_repeat(clips):
    samples = ClipSamples(clips, PLAIN, seed=5)
    orders = [tuple(samples._order(epoch)) for epoch in (0, 1)]
    assert orders[0] != orders[1]
    assert all(sorted(order) == list(range(len(samples))) for order in orders)
    twin = ClipSamples(clips, PLAIN, seed=5)
    for ours, theirs in zip(samples.sample(7), twin.sample(7), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_batch_has_one_scale_and_batches_differ(clips):
    settings = dataclasses.replace(PLAIN, scales=(0.5, 1.0))
    samples = ClipSamples(clips, settings, batch_size=2)
    sizes = [samples.sample(n)[0].shape[:2] for n in range(16)]
    assert all(sizes[n] == sizes[n + 1] for n in range(0, 16, 2))
    assert set(sizes) == {(32, 48), SIZE}


def test_the_pipeline_hands_on_the_samples_in_order(clips):
    samples = ClipSamples(clips, SampleSettings(size=SIZE), batch_size=2)
    dataset = pipeline.make_dataset(samples, 2, first_batch=3)
    for batch, (inputs, label) in zip((3, 4, 5), dataset, strict=False):
        for k in range(2):
            image, visual, spatial, mask = samples.sample(2 * batch + k)
            np.testing.assert_array_equal(inputs["image"][k], image)
            np.testing.assert_array_equal(inputs["visual_guide"][k], visual)
            # TensorFlow's threads flush denormal numbers to zero.
            np.testing.assert_allclose(
                inputs["spatial_guide"][k], spatial, rtol=0, atol=1e-30
            )
            np.testing.assert_array_equal(label[k], mask)


def test_guide_augmentation_keeps_its_ranges():
    mask = np.zeros((100, 140), np.uint8)
    mask[30:70, 40:100] = 1
    augmentation, rng = GuideAugmentation(), np.random.default_rng(0)
    centre, sigma = guides.robust_moments(mask)
    peaks, widths = [], []
    for _ in range(400):
        heat = augmentation.spatial_guide(rng, mask)[..., 0]
        peaks.append(np.unravel_index(heat.argmax(), heat.shape)[::-1])
        row = heat[peaks[-1][1]]
        widths.append((row / row.max() > np.exp(-0.5)).sum() / 2)
    shifts = (np.array(peaks) - centre) / sigma
    assert np.abs(shifts).max() < 0.2 + 0.5 / sigma.min()
    assert shifts.std(axis=0) == pytest.approx(0.2 / np.sqrt(3), abs=0.02)
    factors = np.array(widths) / sigma[0]
    assert factors.min() > 1 / 1.4 - 0.03
    assert factors.max() < 1.4 + 0.03


def test_masktracks_guide_is_a_moved_dilated_mask():
    mask = np.zeros((80, 80), np.uint8)
    mask[30:50, 30:50] = 1
    rng = np.random.default_rng(1)
    areas = [(guides.moved_mask_guide(rng, mask) > 0).sum() for _ in range(50)]
    unmoved = (guides.mask_guide(mask) > 0).sum()
    assert np.mean(areas) == pytest.approx(unmoved, rel=0.05)
    assert set(np.unique(guides.moved_mask_guide(rng, mask))) == {0.0, 255.0}
    np.testing.assert_array_equal(
        guides.moved_mask_guide(rng, mask, shift=0.0, scale=0.0),
        guides.mask_guide(mask),
    )


def test_clips_without_a_visible_object_are_refused(clips, tmp_path):
    empty = tmp_path / "empty.png"
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(empty)
    clip = dataclasses.replace(
        clips[0], mask_paths=dict.fromkeys(range(len(clips[0])), empty)
    )
    with pytest.raises(InputError, match="none of the 1 training clips"):
        ClipSamples([clip], PLAIN)


@pytest.mark.parametrize(
    "name", ["reconvnet", "masktrack", pytest.param("osmn", marks=pytest.mark.slow)]
)
def test_training_lowers_the_loss_and_stores_the_network(name, clips, tmp_path):
    keras.utils.set_random_seed(0)
    # Started from nothing, sequential coupling does not learn in so few steps.
    options = {"coupling": "residual"} if name == "reconvnet" else {}
    model = building.build_model(name, "vgg16_compact", **options)
    settings = trainer.TrainSettings(
        samples=dataclasses.replace(
            PLAIN, clip_length=2 if name == "reconvnet" else None
        ),
        reduction="image_mean",
        steps=24,
        batch_size=1,
        learning_rate=5e-4,
        recurrent_learning_rate=5e-4,
        clip_norm=1.0,
    )
    samples = ClipSamples(clips, settings.samples, model.guide)
    batch = next(iter(pipeline.make_dataset(samples, 4)))
    loss, share = steps.make_loss(settings), None
    before = float(loss(batch[1], model(batch[0]), share))
    path = trainer.train(model, clips, settings, tmp_path)
    assert float(loss(batch[1], model(batch[0]), share)) < 0.8 * before
    stored = building.load_model(path)
    np.testing.assert_array_equal(stored(batch[0]), model(batch[0]))
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["settings"]["steps"] == 24
    assert run["starts"] == len(samples)
    assert (tmp_path / "loss.csv").read_text().splitlines()[0] == (
        "step,loss,learning_rate,seconds"
    )


@pytest.mark.slow
def test_two_trainings_with_one_seed_are_the_same(clips, tmp_path):
    settings = trainer.TrainSettings(samples=PLAIN, steps=2, batch_size=2, seed=3)
    weights = []
    for run in ("a", "b"):
        keras.utils.set_random_seed(3)
        model = building.build_model("osmn", "vgg16_compact")
        trainer.train(model, clips, settings, tmp_path / run)
        weights.append([v.numpy() for v in model.trainable_variables])
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_frozen_batch_statistics_stay_and_their_scale_is_trained(clips, tmp_path):
    model = building.build_model("osmn", "vgg16_compact")
    norm = model.modulator_sp.norms[0]
    before = [v.numpy() for v in norm.variables]
    settings = trainer.TrainSettings(samples=PLAIN, steps=1, learning_rate=1e-3)
    trainer.train(model, clips, settings, tmp_path)
    moved = {
        v.path.rpartition("/")[2]: not np.array_equal(v.numpy(), old)
        for v, old in zip(norm.variables, before, strict=True)
    }
    assert moved == {
        "gamma": True,
        "beta": True,
        "moving_mean": False,
        "moving_variance": False,
    }


def test_a_loss_that_is_no_number_ends_the_training(clips, tmp_path):
    model = building.build_model("osmn", "vgg16_compact")
    model.seg.decoder.fusion.bias.assign([np.nan])
    settings = trainer.TrainSettings(samples=PLAIN, steps=3, batch_size=1)
    with pytest.raises(InputError, match="loss of step 1 is nan"):
        trainer.train(model, clips, settings, tmp_path)
