"""Losses against formulas in float64 and slow twins."""

import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent import losses
from osmn_recurrent.losses import balanced_cross_entropy, lovasz_hinge


def case(shape=(2, 6, 7, 1), seed=0):
    """Random labels and logits."""
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=shape) < 0.3).astype(np.float32)
    return labels, rng.normal(scale=3, size=shape).astype(np.float32)


def slow_cross_entropy(labels, logits):
    """The released formula over all given pixels, not averaged."""
    labels, logits = labels.astype(np.float64), logits.astype(np.float64)
    losses = -(
        labels * np.log(1 / (1 + np.exp(-logits)))
        + (1 - labels) * np.log(1 / (1 + np.exp(logits)))
    )
    positive = labels.mean()
    return (1 - positive) * losses[labels == 1].sum() + positive * losses[
        labels == 0
    ].sum()


def test_cross_entropy_sums_over_the_batch_as_released():
    labels, logits = case()
    loss = balanced_cross_entropy(labels, logits)
    assert float(loss) == pytest.approx(slow_cross_entropy(labels, logits), rel=1e-6)


def test_cross_entropy_as_a_mean_per_image():
    labels, logits = case()
    expected = np.mean(
        [slow_cross_entropy(labels[k], logits[k]) / 42 for k in range(2)]
    )
    loss = balanced_cross_entropy(labels, logits, reduction="image_mean")
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="reduction must be"):
        balanced_cross_entropy(labels, logits, reduction="mean")


def slow_lovasz(labels, logits):
    """The Lovasz extension by its definition, for one image.

    The Jaccard loss of the set M of mispredicted pixels is |M| / |P or M|
    with P the object's pixels; the extension adds the errors, largest first,
    each times what its pixel adds to the loss of the set.
    """
    errors = 1 - logits * (2 * labels - 1)
    order = np.argsort(-errors, kind="stable")

    def jaccard_loss(chosen):
        union = np.union1d(chosen, np.flatnonzero(labels))
        return len(chosen) / len(union) if len(union) else 0.0

    total, before = 0.0, 0.0
    for k, pixel in enumerate(order):
        now = jaccard_loss(order[: k + 1])
        total += max(errors[pixel], 0.0) * (now - before)
        before = now
    return total


def test_lovasz_hinge_is_the_mean_of_the_definition():
    labels, logits = case()
    expected = np.mean(
        [slow_lovasz(labels[k].ravel(), logits[k].ravel()) for k in range(2)]
    )
    assert float(lovasz_hinge(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_lovasz_hinge_of_hard_masks_is_the_jaccard_loss():
    labels, _ = case()
    predicted, _ = case(seed=1)
    both = (labels * predicted).sum((1, 2, 3))
    union = np.maximum(labels, predicted).sum((1, 2, 3))
    # At logits of -1 and 1 wrong pixels have an error of 2, right ones of 0.
    loss = lovasz_hinge(labels, 2 * predicted - 1)
    assert float(loss) == pytest.approx(2 * (1 - both / union).mean(), rel=1e-6)


@pytest.mark.parametrize("loss", [balanced_cross_entropy, lovasz_hinge])
def test_gradients_by_finite_differences(loss):
    labels, logits = case((1, 3, 4, 1))
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = loss(labels, variable)
    gradient = tape.gradient(value, variable).numpy()
    for place in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[place] = 1e-2
        numeric = (loss(labels, logits + step) - loss(labels, logits - step)) / 2e-2
        assert gradient[place] == pytest.approx(float(numeric), abs=2e-3)


@pytest.mark.parametrize("loss", [balanced_cross_entropy, lovasz_hinge])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_images_of_one_kind_stay_finite(loss, value):
    labels = np.full((2, 5, 5, 1), value, np.float32)
    logits = tf.Variable(case((2, 5, 5, 1))[1])
    with tf.GradientTape() as tape:
        total = loss(labels, logits)
    assert np.isfinite(float(total))
    assert np.isfinite(tape.gradient(total, logits)).all()


def test_background_alone_costs_its_largest_error():
    logits = np.array([-3.0, 0.5, -0.2, -1.0], np.float32).reshape(1, 2, 2, 1)
    assert float(lovasz_hinge(np.zeros_like(logits), logits)) == pytest.approx(1.5)


@pytest.mark.parametrize("loss", [balanced_cross_entropy, lovasz_hinge])
def test_a_clip_is_a_batch_of_its_frames_and_types_do_not_matter(loss):
    labels, logits = case((6, 4, 5, 1))
    flat = float(loss(labels, logits))
    clips = [a.reshape(2, 3, 4, 5, 1) for a in (labels, logits)]
    assert float(loss(*clips)) == pytest.approx(flat, rel=1e-6)
    small = loss(tf.constant(labels), tf.cast(logits, tf.bfloat16))
    assert small.dtype == tf.float32
    assert float(small) == pytest.approx(flat, rel=2e-2)


def test_a_reduction_reaches_the_losses_that_have_a_choice(monkeypatch):
    def of_one_s_own(labels, logits, reduction="sum"):
        return {"sum": 12.0, "image_mean": 3.0}[reduction]

    monkeypatch.setitem(losses._REGISTERED, "own", of_one_s_own)
    for reduction, value in (("sum", 12.0), ("image_mean", 3.0)):
        found = losses.with_reduction("own", reduction)
        assert found(None, None) == value
        assert losses.is_sum(found) == (reduction == "sum")
        assert not losses.takes_share(found)
    balanced = losses.with_reduction("balanced_cross_entropy", "image_mean")
    assert losses.takes_share(balanced) and not losses.is_sum(balanced)
    lovasz = losses.with_reduction("lovasz_hinge", "sum")
    assert lovasz is losses.lovasz_hinge and not losses.is_sum(lovasz)
