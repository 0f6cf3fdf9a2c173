"""Online adaptation: its targets by brute force, and its loop."""

import dataclasses

import numpy as np
import pytest

from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
from osmn_recurrent.models import building
from osmn_recurrent.training.adaptation import (
    AdaptationSettings,
    AdaptingSegmenter,
    adaptation_targets,
)
from osmn_recurrent.training.first_frame import FirstFrameTransforms
from osmn_recurrent.training.online import FinetuneSettings


def test_parameters_are_those_of_onavos():
    assert dataclasses.astuple(AdaptationSettings()) == (
        *(15, 5, 1e-5, 0.97, 220.0, 0.05, 15),
    )


def test_targets_by_brute_force():
    rng = np.random.default_rng(0)
    mask = np.zeros((20, 30), bool)
    mask[5:12, 4:13] = True
    posteriors = rng.uniform(0.9, 1.0, mask.shape)
    settings = AdaptationSettings(
        distance_negative_threshold=6.0, adaptation_erosion_size=3
    )
    inside = [(y, x) for y in range(6, 11) for x in range(5, 12)]
    expected = np.full(mask.shape, 255)
    for y in range(20):
        for x in range(30):
            if posteriors[y, x] > 0.97:
                expected[y, x] = 1
            if min(np.hypot(y - a, x - b) for a, b in inside) > 6.0:
                expected[y, x] = 0
    found = adaptation_targets(mask, posteriors, settings)
    assert np.array_equal(found, expected)
    assert set(np.unique(found)) == {0, 1, 255}
    wide = dataclasses.replace(settings, adaptation_erosion_size=15)
    assert adaptation_targets(mask, posteriors, wide) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_the_loop(name):
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 255, (3, 48, 64, 3), dtype=np.uint8)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:40, 20:50] = 4
    model = building.build_model(name, "vgg16_compact")
    model.seg.decoder.fusion.bias.assign([4.0])  # everything is sure foreground
    before = [v.numpy() for v in model.variables]
    adaptation = AdaptationSettings(
        n_adaptation_steps=2,
        adaptation_interval=2,
        adaptation_learning_rate=0.05,
        distance_negative_threshold=3.0,
        adaptation_erosion_size=5,
    )
    finetuning = FinetuneSettings(
        reduction="image_mean",
        trainable="upscore-fuse/bias",
        transforms=FirstFrameTransforms(
            scales=(1.0,), clip_length=2 if name == "reconvnet" else None
        ),
    )
    segmenter = AdaptingSegmenter({4: model}, adaptation, finetuning)
    found = list(segmenter.segment(frames, mask))
    assert [ids.shape for ids in found] == [mask.shape] * 3
    for variable, value in zip(model.variables, before, strict=True):
        assert np.array_equal(variable.numpy(), value)
    # Far background was taught: the only moving part, the bias, fell.
    segmenter.start(frames[0], mask)
    segmenter.step(frames[1])
    tuned = segmenter._learners[4].tuner.model.seg.decoder.fusion.bias
    assert float(tuned[0]) < 4.0
    # Without updates it is the plain loop.
    idle = dataclasses.replace(adaptation, n_adaptation_steps=0)
    idle_masks = AdaptingSegmenter({4: model}, idle, finetuning).segment(frames, mask)
    plain = ObjectwiseSegmenter({4: model}).segment(frames, mask)
    assert all(np.array_equal(a, b) for a, b in zip(idle_masks, plain, strict=True))


@pytest.mark.slow
def test_a_lost_object_teaches_by_the_first_frame_alone():
    """It is absent from every later frame, and from the mask before."""
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 255, (3, 48, 64, 3), dtype=np.uint8)
    mask = np.zeros((48, 64), np.uint8)
    mask[20:24, 20:24] = 4  # the erosion leaves nothing of it
    model = building.build_model("osmn", "vgg16_compact")
    model.seg.decoder.fusion.bias.assign([-4.0])
    segmenter = AdaptingSegmenter(
        {4: model},
        AdaptationSettings(n_adaptation_steps=2, adaptation_interval=2),
        FinetuneSettings(transforms=FirstFrameTransforms(scales=(1.0,))),
    )
    segmenter.start(frames[0], mask)
    for frame in frames[1:]:
        assert not segmenter.step(frame).any()
    learner = segmenter._learners[4]
    assert learner.negatives is None
    assert int(learner.tuner.optimizer.iterations) == 2  # one of two per frame
