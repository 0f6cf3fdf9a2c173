"""Keras' own `compile` and `fit` train networks, on TensorFlow and on JAX."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from fit_run import make_model

from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics.keras_metrics import RegionSimilarity
from osmn_recurrent.metrics.region import region_similarity
from osmn_recurrent.training.sample_batches import SampleBatches
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.samples import ClipSamples

PROGRAM = pathlib.Path(__file__).with_name("fit_run.py")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_moving_shapes(folder, train=2, val=1, frames=5, size=(48, 80))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_both_backends_train_alike(name, shapes, tmp_path):
    keras.utils.set_random_seed(0)
    weights, found = tmp_path / "start.weights.h5", []
    make_model(name).save_weights(weights)
    for backend in ("tensorflow", "jax"):
        result = tmp_path / f"{backend}.json"
        subprocess.run(
            [sys.executable, PROGRAM, name, weights, shapes, result],
            check=True,
            env={**os.environ, "KERAS_BACKEND": backend},
        )
        found.append(json.loads(result.read_text()))
    ours, other = found
    assert (ours["backend"], other["backend"]) == ("tensorflow", "jax")
    # Of the steps themselves: averages of batch norm are far behind after 20 steps, so
    # that losses of `evaluate` do not tell.
    first, last = (
        np.mean(ours["losses"][part]) for part in (slice(5), slice(-5, None))
    )
    assert len(ours["losses"]) == 20 and first > 1.05 * last
    np.testing.assert_allclose(ours["losses"], other["losses"], atol=1e-3)
    assert ours["loss"] == pytest.approx(other["loss"], abs=1e-3)
    assert ours["J"] == pytest.approx(other["J"], abs=2e-2)


def samples_of(shapes, **settings):
    settings = SampleSettings(**{"size": (24, 40), "scales": (1.0,), **settings})
    return ClipSamples(davis_clips(shapes, 2017, "train"), settings, batch_size=2)


def test_batches_are_the_samples_in_their_order(shapes):
    samples = samples_of(shapes, clip_length=2)
    batches = SampleBatches(samples, 2, steps_per_epoch=3)
    assert len(batches) == 3
    batches.on_epoch_end()
    inputs, labels = batches[1]
    image, visual, spatial, label = samples.sample((3 + 1) * 2 + 1)
    np.testing.assert_array_equal(inputs["image"][1], image)
    np.testing.assert_array_equal(inputs["visual_guide"][1], visual)
    np.testing.assert_array_equal(inputs["spatial_guide"][1], spatial)
    np.testing.assert_array_equal(labels[1], label)
    assert labels.dtype == np.float32 and labels.shape == (2, 2, 24, 40, 1)


def test_samples_of_several_sizes_are_refused(shapes):
    with pytest.raises(InputError, match=r"scales=\(0.5, 1.0\).*expected one"):
        SampleBatches(samples_of(shapes, scales=(0.5, 1.0)), 2)


@pytest.mark.parametrize("time", [(), (3,)])
def test_the_metric_is_the_mean_of_region_similarity(time):
    rng = np.random.default_rng(0)
    metric, expected, weights = RegionSimilarity(), [], []
    for batch in (2, 1):
        true = (rng.uniform(size=(batch, *time, 5, 6, 1)) < 0.4).astype(np.float32)
        logits = rng.normal(size=true.shape).astype(np.float32)
        true[0], logits[0] = 0, -1  # both empty
        weight = np.arange(1, batch + 1)
        metric.update_state(true, logits, sample_weight=weight)
        for a, b, w in zip(true, logits, weight, strict=True):
            frames = zip(a.reshape(-1, 5, 6), b.reshape(-1, 5, 6), strict=True)
            each = [region_similarity(x, y > 0) for x, y in frames]
            expected += each
            weights += [w] * len(each)
    wanted = np.average(expected, weights=weights)
    assert float(metric.result()) == pytest.approx(wanted, rel=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0.0
