"""Validation against the loop that users run."""

import dataclasses

import keras
import numpy as np
import pytest

from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.metrics.davis_scores import evaluate_masks
from osmn_recurrent.models import building
from osmn_recurrent.training import distribution
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.settings import TrainSettings
from osmn_recurrent.training.validation import Validation


@pytest.mark.parametrize("size", [None, (24, 32)])
def test_validation_is_propagation_at_its_size(size, tmp_path):
    write_moving_shapes(tmp_path, train=1, val=1, frames=5, size=(48, 64))
    (clip,) = davis_clips(tmp_path, 2017, "val")
    keras.utils.set_random_seed(3)
    model = building.build_model("osmn", "vgg16_compact")
    settings = TrainSettings(
        samples=SampleSettings(size=(48, 64), scales=(1.0,)),
        reduction="image_mean",
    )
    settings = dataclasses.replace(settings, validate_at=size)
    strategy = distribution.make_strategy("one")
    figures = Validation(model, [clip], settings, strategy)()
    segmenter = VideoSegmenter(model, working_size=size)
    ground_truth = [clip.mask(t) for t in range(len(clip))]
    predicted = list(segmenter.segment(clip.frames(), ground_truth[0]))
    scores = evaluate_masks(ground_truth, predicted).values()
    for name in "JF":
        expected = np.mean([each.summary()[f"{name}-Mean"] for each in scores])
        assert figures[name] == pytest.approx(expected)
    assert ("spread" in figures) == (clip.mask(0).max() > 1)  # of one: none
    if size is None:
        return
    plain = dataclasses.replace(settings, validate_at=None)
    assert Validation(model, [clip], plain, strategy)()["J"] != figures["J"]
