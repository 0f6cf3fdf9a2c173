"""What a training shows: CSV rows, TensorBoard's events and pictures."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.models import building
from osmn_recurrent.training.callbacks import (
    CsvLog,
    MeanLoss,
    SpreadWarning,
    SpreadWatch,
    TensorBoardLog,
)


def sample(frames=None):
    """A red frame, a guide of 0.5, the upper half as ground truth."""
    time = () if frames is None else (frames,)
    image = np.zeros((*time, 16, 24, 3), np.float32)
    image[...] = np.array([0, 0, 255]) - np.array(MEAN_BGR)
    label = np.zeros((*time, 16, 24, 1), np.uint8)
    label[..., :8, :, :] = 1
    guide = np.full((*time, 16, 24, 1), 0.5, np.float32)
    return image, np.zeros((224, 224, 3), np.float32), guide, label


def row(mean, seconds):
    """Logs of a step that makes a row."""
    return {"loss": 9.0, "mean_loss": mean, "learning_rate": 1e-3, "seconds": seconds}


def validated(**more):
    """Logs of a validation."""
    figures = {"loss": 1.0, "J": 0.5, "F": 0.25, "J&F": 0.375} | more
    return {f"val_{name}": value for name, value in figures.items()}


@pytest.mark.parametrize(("name", "frames"), [("osmn", None), ("reconvnet", 2)])
def test_a_strip_shows_frame_guide_ground_truth_and_prediction(tmp_path, name, frames):
    keras.utils.set_random_seed(0)
    model = building.build_model(name, "vgg16_compact")
    log = TensorBoardLog(tmp_path, model, [sample(frames)])
    strip = log.strip(sample(frames)).astype(int)
    assert strip.shape == (16, 96, 3)
    assert (strip[:, :24] == [255, 0, 0]).all()
    assert (np.abs(strip[:, 24:48] - 127.5) <= 0.5).all()
    assert (strip[:8, 48:72] == 255).all() and (strip[8:, 48:72] == 0).all()
    image, visual, guide, _ = sample(frames)
    inputs = {"image": image, "visual_guide": visual, "spatial_guide": guide}
    logits = model({k: tf.constant(v[None]) for k, v in inputs.items()}).numpy()[0]
    expected = 255 / (1 + np.exp(-(logits if frames is None else logits[-1])))
    assert np.abs(strip[:, 72:, :1] - expected).max() <= 0.51


def test_events_hold_scalars_and_pictures(tmp_path):
    model = building.build_model("osvos", "vgg16_compact")
    log = TensorBoardLog(tmp_path, model, [sample(), sample()])
    log.on_train_batch_end(98, {"loss": 3.0})
    log.on_train_batch_end(99, row(2.5, 7.0))
    log.on_epoch_end(0, {"loss": 3.0, **validated()})
    log.on_train_end()
    found = {}
    for path in tmp_path.iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[value.tag] = tf.make_ndarray(value.tensor), event.step
    assert found["training/loss"] == (2.5, 100)
    assert found["validation/J"] == (0.5, 100)
    width, height, png = found["sample 1"][0][:3]
    assert (int(width), int(height)) == (96, 16)
    assert tf.io.decode_png(png).shape == (16, 96, 3)


def test_a_continuation_drops_rows_behind_its_step(tmp_path):
    log = CsvLog(tmp_path)
    log.set_params({"first_step": 0})
    log.on_train_begin()
    for step in (100, 200, 300):
        log.on_train_batch_end(step - 1, row(step / 3, 1.0))
    log.set_params({"first_step": 200})
    log.on_train_begin()
    log.on_train_batch_end(299, row(7.0, 2.0))
    lines = (tmp_path / "loss.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "100", "200", "300"]
    assert lines[-1].split(",")[1] == "7"


def test_the_spread_is_a_column_and_rows_of_before_are_filled_up(tmp_path):
    path = tmp_path / "validation.csv"
    path.write_text("step,loss,J,F,J&F\n100,1,0.5,0.25,0.375\n")
    log = CsvLog(tmp_path)
    log.set_params({"first_step": 100})
    log.on_train_begin()
    log.on_train_batch_end(199, {"loss": 9.0})
    log.on_epoch_end(1, validated())  # a network without visual modulator
    log.on_train_batch_end(299, {"loss": 9.0})
    log.on_epoch_end(2, validated(spread=0.0625, **{"dead/conv5": 1.0}))
    assert path.read_text().splitlines() == [
        "step,loss,J,F,J&F,spread",
        "100,1,0.5,0.25,0.375,",
        "200,1,0.5,0.25,0.375,",
        "300,1,0.5,0.25,0.375,0.0625",
    ]


@pytest.mark.parametrize(
    ("spreads", "warned_at"),
    [([0.2, 0.05, 0.01], None), ([0.05, 0.0099, 1e-7], 2), ([float("nan")], None)],
)
def test_a_dead_modulator_is_told_once(spreads, warned_at):
    watch = SpreadWatch()
    watch.on_epoch_end(0, {"val_J": 0.5})  # nothing was measured
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step, spread in enumerate(spreads, 1):
            watch.on_train_batch_end(step - 1, {"loss": 1.0})
            watch.on_epoch_end(step - 1, {"val_J": 0.5, "val_spread": spread})
    assert [w.category for w in caught] == [SpreadWarning] * (warned_at is not None)
    if warned_at:
        assert f"after step {warned_at} " in str(caught[0].message)


def test_mean_loss_leaves_out_what_is_no_number():
    mean = MeanLoss()
    for loss in (1.0, float("nan"), 3.0):
        mean.add(loss)
    assert mean.take() == 2.0
    assert mean.take() == 0.0
