"""Convolutions in slices give what whole ones give."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from osmn_recurrent.backbones import cpu_convolutions
from osmn_recurrent.models import building


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((3, 3, 64, 64), 1),
        ((3, 3, 256, 256), 2),
        ((3, 3, 512, 512), 8),
        ((3, 3, 512, 2048), 32),
        ((3, 3, 512, 513), 1),
    ],
)
def test_slices_fit_the_cache(shape, count):
    assert cpu_convolutions.slices_of(shape) == 1  # off
    with cpu_convolutions.sliced_convolutions():
        assert cpu_convolutions.slices_of(shape) == count
        with cpu_convolutions.sliced_convolutions(False):
            assert cpu_convolutions.slices_of(shape) == 1
    assert cpu_convolutions.slices_of(shape) == 1


@pytest.mark.parametrize("dilation", [1, 2])
def test_slices_give_the_whole_convolution(dilation, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 11, 6)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 6, 8)).astype(np.float32)
    bias = rng.normal(size=8).astype(np.float32)
    whole = tf.nn.relu(
        tf.nn.conv2d(x, kernel, 1, "SAME", dilations=dilation) + bias
    ).numpy()
    monkeypatch.setattr(cpu_convolutions, "SLICE_BYTES", kernel.nbytes // 4)
    with cpu_convolutions.sliced_convolutions():
        assert cpu_convolutions.slices_of(kernel.shape) == 4
        parts = cpu_convolutions.conv(x, kernel, bias, dilation, ops.relu)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["osmn", "reconvnet", "masktrack"])
def test_a_network_in_slices_gives_the_same(name, monkeypatch):
    keras.utils.set_random_seed(0)
    model = building.build_model(name, "vgg16_compact")
    rng = np.random.default_rng(1)
    image = rng.normal(0, 50, (1, 48, 64, 3)).astype(np.float32)
    guide = rng.uniform(size=(2, 48, 64, 1)).astype(np.float32)
    visual_guide = rng.normal(0, 50, (2, 224, 224, 3)).astype(np.float32)
    modulation = model.adapt(visual_guide) if model.use_visual_modulator else ()

    def run():
        state = model.initial_state(2, 48, 64)
        return model.step(model.encode(image), guide, modulation, state)

    whole = run()
    monkeypatch.setattr(cpu_convolutions, "SLICE_BYTES", 20_000)
    made, conv = [], cpu_convolutions.conv

    def counted(x, kernel, *rest, **more):
        made.append(cpu_convolutions.slices_of(kernel.shape))
        return conv(x, kernel, *rest, **more)

    monkeypatch.setattr(cpu_convolutions, "conv", counted)
    with cpu_convolutions.sliced_convolutions():
        parts = run()
    assert max(made) >= 8
    for one, other in zip(tf.nest.flatten(whole), tf.nest.flatten(parts), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
