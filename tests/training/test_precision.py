"""Training steps in 16 bits against the same step in float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent.models import building
from osmn_recurrent.training import distribution, optimizers, steps
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.settings import TrainSettings

SETTINGS = TrainSettings(
    samples=SampleSettings(size=(32, 48), scales=(1.0,), clip_length=2),
    reduction="image_mean",
    steps=4,
    batch_size=1,
    learning_rate=1e-4,
    recurrent_learning_rate=1e-4,
)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    spots = np.zeros((1, 2, 32, 48, 1), np.float32)
    spots[:, :, 8:24, 10:30] = 1
    inputs = {
        "image": rng.normal(0, 60, (1, 2, 32, 48, 3)).astype(np.float32),
        "visual_guide": rng.normal(0, 60, (1, 224, 224, 3)).astype(np.float32),
        "spatial_guide": 0.8 * spots,
    }
    return tf.nest.map_structure(tf.constant, (inputs, spots))


def started(policy):
    """`(step, network, optimizer)` of one training."""
    keras.utils.set_random_seed(0)
    model = building.build_model(
        "reconvnet", "vgg16_compact", coupling="residual", dtype=policy
    )
    model.modulator.dropout6.rate = model.modulator.dropout7.rate = 0.0
    steps.prepare(model, SETTINGS, 1)
    optimizer = optimizers.make_optimizer(SETTINGS, policy)
    optimizer.build(steps.trained_variables(model, SETTINGS))
    step = steps.TrainStep(
        model, optimizer, SETTINGS, distribution.make_strategy("one")
    )
    return step, model, optimizer


def gradients(step, batch):
    share = tf.reduce_mean(batch[1])
    return step._gradients(*batch, share, tf.constant(0, tf.int64))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_bfloat16", 0.1), ("mixed_float16", 0.02)]
)
def test_a_step_is_that_of_float32_but_for_rounding(policy, tolerance, batch):
    exact, _, _ = started("float32")
    rounded, model, optimizer = started(policy)
    expected, right = gradients(exact, batch)
    loss, found = gradients(rounded, batch)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, expected, rtol=tolerance)
    scale = float(optimizer.scale_loss(tf.constant(1.0)))
    assert (scale > 1) == (policy == "mixed_float16")
    right, found = (
        np.concatenate([np.ravel(g) for g in each]) for each in (right, found)
    )
    apart = np.linalg.norm(found / scale - right) / np.linalg.norm(right)
    assert apart < tolerance
    before = [v.numpy() for v in rounded.variables]
    assert np.isfinite(rounded(batch, 0))
    assert any((v.numpy() != b).any() for v, b in zip(rounded.variables, before))
    own = [*model.trainable_variables, *optimizers.adam_of(optimizer).variables]
    assert {v.dtype for v in own if "float" in v.dtype} == {"float32"}


@pytest.mark.slow
def test_an_overflow_is_skipped_and_halves_the_scale(batch):
    step, _, optimizer = started("mixed_float16")
    optimizer.dynamic_scale.assign(2.0**120)
    before = [v.numpy() for v in step.variables]
    step(batch, 0)
    for variable, old in zip(step.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)
    assert float(optimizer.dynamic_scale) == 2.0**119
