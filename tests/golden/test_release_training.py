"""Five training steps of the released graph, followed by ours."""

import gc
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from recipe import batch, variables_of, weight

from checkpoints_tools.release_names import release_variables
from osmn_recurrent.models.building import build_model
from osmn_recurrent.training import distribution, optimizers, steps
from osmn_recurrent.training.settings import TrainSettings

CASES = {
    "train_osmn_64x96_seed7": ("osmn", {}, {"freeze_batch_norm": False}),
    "train_osmn_fixbn_64x96_seed7": ("osmn", {}, {}),
    "train_osmn_finetune_75x101_seed11": ("osmn", {}, {"freeze_batch_norm": False}),
    "train_osvosm_64x96_seed7": (
        "osvos_m",
        {},
        {"trainable": "/modulator/|upscore-fuse"},
    ),
    "train_masktrackm_65x97_seed7": ("masktrack_m", {}, {"trainable": "/modulator/"}),
    "train_lite_96x160_seed7": (
        "osmn",
        {"backbone": "mobilenet"},
        {
            "freeze_batch_norm": False,
            "learning_rate": 1e-5,
            "recurrent_learning_rate": 1e-5,
            "weight_decay": 4e-5,
        },
    ),
}
GRAPHS = {
    "lite_96x160_seed7": "osmn_lite_64x96_seed7",
    "osvosm_64x96_seed7": "osmn_nospatial_64x96_seed7",
    "osmn_fixbn_64x96_seed7": "osmn_64x96_seed7",
    "osmn_finetune_75x101_seed11": "osmn_75x101_seed11",
}


def projected(name, values):
    """`(2-norm, sum of values times fixed random ones)`."""
    rs = np.random.RandomState(zlib.crc32(name.encode()))
    values = values.astype(np.float64)
    return np.linalg.norm(values), float(
        (values * rs.standard_normal(values.shape)).sum()
    )


def without_dropout(model):
    """The traces were made without."""
    for layer in (model.modulator, model.seg.decoder):
        for name in ("dropout", "dropout6", "dropout7"):
            if hasattr(layer, name):
                getattr(layer, name).rate = 0.0


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_our_steps_are_the_releases(case, golden):
    trace = np.load(golden / f"{case}.npz")
    height, width, seed, count, _ = (int(v) for v in trace["case"])
    graph = case.removeprefix("train_")
    shapes = variables_of(golden, GRAPHS.get(graph, graph))
    network, options, changes = CASES[case]
    model = build_model(network, **options)
    without_dropout(model)
    named, _ = release_variables(model)
    start = {name: weight(name, shapes[name], seed, training=True) for name in named}
    for name, variable in named.items():
        variable.assign(start[name])
    rates = {"learning_rate": 1e-6, "recurrent_learning_rate": 1e-6}
    settings = TrainSettings(**{**rates, "batch_size": count, **changes})
    strategy = distribution.make_strategy("one")
    steps.prepare(model, settings, 1)
    optimizer = optimizers.make_optimizer(settings)
    trained = steps.trained_variables(model, settings)
    optimizer.build(trained)
    step = steps.TrainStep(model, optimizer, settings, strategy)
    names = {id(variable): name for name, variable in named.items()}
    moving = {names[id(v)]: v for v in trained}
    assert set(moving) == set(trace["trainable"])
    losses = []
    for number in range(1, 6):
        given, label = batch(height, width, seed, number, count)
        given = {key: tf.constant(value) for key, value in given.items()}
        losses.append(step((given, tf.constant(label)), number - 1))
        if number in (1, 5):
            compare(trace, number, moving, named, start, optimizer, trained, names)
    expected = trace["main_loss"]
    assert losses[0] == pytest.approx(expected[0], rel=1e-5)
    np.testing.assert_allclose(losses, expected, rtol=5e-4)
    for name in trace["statistics"]:
        wanted = trace[f"statistic:{name.replace('/', '|')}"]
        found = np.asarray(named[name])
        assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max(), name
    del model, step, optimizer
    keras.utils.clear_session()
    gc.collect()


def compare(trace, number, moving, named, start, optimizer, trained, names):
    """Adam's first moments and the movement of all variables."""
    norms, sides = {1: (1e-3, 1e-3), 5: (1e-2, 0.1)}[number]
    order = list(trace["trainable"]) + list(trace["statistics"])
    momenta = dict(
        zip([names[id(v)] for v in trained], optimizer._momentums, strict=True)
    )
    for index, name in enumerate(trace["trainable"]):
        norm, side = projected(name, np.asarray(momenta[name]))
        wanted = float(trace[f"adam_m_norm_{number}"][index])
        assert norm == pytest.approx(wanted, rel=norms, abs=1e-12), name
        other = float(trace[f"adam_m_projection_{number}"][index])
        assert abs(side - other) <= sides * wanted + 1e-12, name
    limit, share = {1: (1e-3, 2e-2), 5: (1e-2, 0.1)}[number]
    for index, name in enumerate(order):
        if name.endswith("_depthwise/BatchNorm/beta"):
            continue  # gradients are rounding noise, see README.md
        moved = np.asarray(named[name], np.float64) - start[name]
        norm, side = projected(name, moved)
        wanted = float(trace[f"delta_norm_{number}"][index])
        assert norm == pytest.approx(wanted, rel=limit, abs=1e-12), (number, name)
        other = float(trace[f"delta_projection_{number}"][index])
        assert abs(side - other) <= share * wanted + 1e-12, (number, name)
