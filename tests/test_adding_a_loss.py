"""The example of docs/adding_a_loss.md, as it stands there."""

import importlib
import pathlib
import re
import sys

import keras
import numpy as np
import pytest

from osmn_recurrent import losses
from osmn_recurrent.errors import InputError
from osmn_recurrent.training import steps
from osmn_recurrent.training.settings import TrainSettings

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "adding_a_loss.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def dice(tmp_path, monkeypatch):
    """The page's module."""
    (tmp_path / "dice.py").write_text(BLOCKS[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(losses, "_REGISTERED", dict(losses._REGISTERED))
    monkeypatch.delitem(sys.modules, "dice", raising=False)
    return importlib.import_module("dice")


def test_the_page_runs_and_the_trainer_knows_the_loss(dice):
    given = {}
    exec(BLOCKS[1], given)
    settings, model = given["settings"], given["model"]
    settings.check()
    assert not settings.summed and settings.decay == 0.0
    labels = np.zeros((2, 4, 4, 1), np.float32)
    labels[:, :2] = 1
    logits = 20.0 * (2.0 * labels - 1.0)
    loss = steps.make_loss(settings)
    assert float(loss(labels, logits, None)) == pytest.approx(0.0, abs=1e-6)
    # Nothing found of 8 pixels: 1 - 1 / 9 (or, all alike, 1 - 1 / 17).
    assert float(loss(labels, -20.0 + 0 * logits, None)) == pytest.approx(8 / 9)
    assert isinstance(model.loss, dice.DiceLoss)
    settings = TrainSettings(loss="summed")
    losses.register("summed", dice.DiceLoss(reduction="sum"))
    assert settings.summed


def test_unknown_and_repeated_names():
    with pytest.raises(InputError, match="no loss is called dise; there are balanced"):
        TrainSettings(loss="dise").check()
    with pytest.raises(ValueError, match="a loss called lovasz_hinge already"):
        losses.register("lovasz_hinge", keras.losses.BinaryCrossentropy())
    assert losses.names()[:2] == ("balanced_cross_entropy", "lovasz_hinge")


@pytest.mark.parametrize("time", [(), (3,)])
@pytest.mark.parametrize(
    ("kind", "reduction", "function", "options"),
    [
        ("BalancedCrossEntropy", "sum", losses.balanced_cross_entropy, ("sum",)),
        (
            "BalancedCrossEntropy",
            "sum_over_batch_size",
            losses.balanced_cross_entropy,
            ("image_mean",),
        ),
        ("LovaszHinge", "sum_over_batch_size", losses.lovasz_hinge, ()),
    ],
)
def test_classes_are_the_functions(time, kind, reduction, function, options):
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(2, *time, 5, 6, 1)) < 0.3).astype(np.float32)
    logits = rng.normal(size=labels.shape).astype(np.float32)
    loss = getattr(losses, kind)(reduction)
    expected = float(function(labels, logits, *options))
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-5)
    twin = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(twin(labels, logits)) == pytest.approx(expected, rel=1e-5)
    # Weights are those of samples.
    first = float(loss(labels, logits, sample_weight=np.array([1.0, 0.0])))
    assert first < expected or reduction == "sum_over_batch_size"
    with pytest.raises(ValueError, match="reduction must be"):
        losses.BalancedCrossEntropy("mean")
