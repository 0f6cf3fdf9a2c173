"""MobileNet: TensorFlow 1's resizing and pooling, batch norm, what it exports as."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_networks import random_inputs, randomise

from checkpoints_tools import export_osmn_checkpoint
from osmn_recurrent import backbones
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import build_model
from osmn_recurrent.models.decoders import make_decoder
from osmn_recurrent.models.enlargement import resize_as_tf1
from osmn_recurrent.models.modulation import SpatialModulator
from osmn_recurrent.training.steps import decays


@pytest.mark.parametrize(
    "sizes", [((3, 5), (24, 40)), ((4, 7), (31, 9)), ((1, 2),) * 2]
)
def test_resizing_is_tensorflow_1s(sizes):
    given, wanted = sizes
    x = np.random.default_rng(0).normal(size=(2, *given, 3)).astype(np.float32)
    expected = tf.compat.v1.image.resize_bilinear(x, wanted)
    np.testing.assert_allclose(resize_as_tf1(x, wanted), expected, atol=1e-5)


def test_the_heat_map_is_pooled_as_released_at_multiples_of_32():
    modulator = SpatialModulator("mobilenet_compact", (2, 3, 4, 5))
    heat = np.random.default_rng(0).uniform(size=(1, 64, 96, 1)).astype(np.float32)
    found = modulator.pooled(heat)
    x = tf.nn.avg_pool2d(heat, 4, 4, "VALID")
    for number in (2, 3, 4, 5):
        np.testing.assert_allclose(found[number], x, atol=1e-6)
        x = tf.nn.avg_pool2d(x, 2, 2, "VALID")
    sizes = [m.shape[1:3] for m in modulator.pooled(heat[:, :45, :70]).values()]
    assert sizes == [(12, 18), (6, 9), (3, 5), (2, 3)]  # those of the trunk's maps


def test_fusing_before_enlarging_is_the_releases_order():
    trunk = backbones.find("mobilenet_compact")
    decoder = make_decoder(trunk, "release")
    decoder.build()
    rng = np.random.default_rng(0)
    for variable in decoder.weights:
        variable.assign(rng.normal(size=variable.shape))
    features = {
        n: rng.normal(size=(1, 64 // 2**n, 96 // 2**n, trunk.level(n).channels))
        for n in trunk.sides
    }
    features = {n: x.astype(np.float32) for n, x in features.items()}
    resize = tf.compat.v1.image.resize_bilinear
    sides = [
        resize(layer(features[n]), (32, 48))
        for n, layer in zip(trunk.sides, decoder.sides, strict=True)
    ]
    score = tf.nn.conv2d(tf.concat(sides, -1), decoder.score.kernel, 1, "VALID")
    expected = resize(score + decoder.score.bias, (64, 96))
    found = decoder(features, size=(64, 96))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_statistics_move_in_training_alone():
    model = randomise(build_model("reconvnet", "mobilenet_compact"))
    inputs = random_inputs(2, (64, 64), length=2)
    statistics = {
        v.path: v
        for v in model.non_trainable_variables
        if "moving" in v.path and "modulator_sp" not in v.path
    }
    assert len(statistics) == 2 * 2 * 27
    before = {path: v.numpy() for path, v in statistics.items()}
    model(inputs)
    assert all((statistics[p].numpy() == v).all() for p, v in before.items())
    model.modulator_sp.freeze_statistics = True  # theirs alone, as released
    model.run(inputs, training=True)
    assert all((statistics[p].numpy() != v).any() for p, v in before.items())


def test_what_decays():
    model = build_model("osmn", "mobilenet_compact")
    paths = [v.path for v in model.trainable_variables if decays(v)]
    assert len(paths) == 42  # as the release's graph has regularisers
    assert not any("depthwise" in path for path in paths)


def test_the_published_size():
    model = build_model("osmn", "mobilenet")
    assert model.gamma_layout()[-1][2] == 1920
    count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert round(count / 1e4) == 1273


def test_exact_alignment_moves_maps_to_where_they_stand():
    """An edge in the image comes out at its place, not 31 pixels before it."""
    trunk = backbones.find("mobilenet_compact")
    size, found = (64, 256), {}
    for alignment in ("release", "exact"):
        decoder = make_decoder(trunk, alignment)
        decoder.build()
        for variable in decoder.weights:
            variable.assign(np.zeros(variable.shape))
        index = trunk.sides.index(5)
        kernel = np.zeros(decoder.sides[index].kernel.shape)
        kernel[1, 1] = 1.0
        decoder.sides[index].kernel.assign(kernel)
        decoder.score.kernel.assign(np.ones(decoder.score.kernel.shape))
        features = {
            n: np.zeros((1, 64 // 2**n, 256 // 2**n, trunk.level(n).channels), "f4")
            for n in trunk.sides
        }
        # Value i of stride 32 sees about pixels 32 i to 32 i + 62.
        features[5][:, :, 4:] = 1.0
        line = np.asarray(decoder(features, size=size))[0, 32, :, 0]
        rise = np.diff(line)
        found[alignment] = (rise * (np.arange(255) + 1)).sum() / rise.sum()
    assert found["exact"] - found["release"] == pytest.approx(31, abs=1)


def test_networks_that_the_release_lacks_are_not_exported(tmp_path):
    for options in (
        {"backbone": "efficientnet_lite0"},
        {"visual_modulator": "channelwise"},
    ):
        model = build_model("osmn", **{"backbone": "mobilenet_compact", **options})
        with pytest.raises(InputError, match="the OSMN release has no osmn"):
            export_osmn_checkpoint(model, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_saved_network_is_the_same(tmp_path):
    model = randomise(build_model("reconvnet", "mobilenet_compact"))
    inputs = random_inputs(1, (45, 70), length=2)
    model.save(tmp_path / "m.keras")
    twin = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(twin(inputs), model(inputs))
