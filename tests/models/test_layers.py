"""Layers against other implementations and closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent.models.decoders import HypercolumnDecoder, upsample
from osmn_recurrent.models.modulation import SpatialModulator
from osmn_recurrent.models.recurrent import GatewiseOrthogonal, ModulatedConvLSTM2D


def cell_with_weights(channels, filters, seed=0, **options):
    """A built layer with random kernels."""
    cell = ModulatedConvLSTM2D(filters, **options)
    cell.build((None, None, None, channels))
    rng = np.random.default_rng(seed)
    cell.set_weights([0.3 * rng.normal(size=w.shape) for w in cell.get_weights()])
    return cell, rng


def test_with_gamma_one_it_is_keras_convlstm2d():
    cell, rng = cell_with_weights(5, 4)
    x = rng.normal(size=(2, 6, 9, 7, 5)).astype(np.float32)
    theirs = keras.layers.ConvLSTM2D(
        4, 3, padding="same", return_sequences=True, return_state=True
    )
    theirs.build(x.shape)
    theirs.set_weights(cell.get_weights())
    expected, hidden, memory = theirs(x)
    output, (h, c) = cell(x, np.ones((2, 4), np.float32))
    assert np.abs(output - expected).max() < 1e-5
    assert np.abs(h - hidden).max() < 1e-5
    assert np.abs(c - memory).max() < 1e-5


def numpy_cell(x, gamma, weights, modulate):
    """The equations of the docstring, one pixel and one kernel tap at a time."""
    kernel, recurrent, bias = (w.astype(np.float64) for w in weights)
    frames, height, width, _ = x.shape
    filters = bias.size // 4

    def convolve(a, k):
        padded = np.pad(a, [[1, 1], [1, 1], [0, 0]])
        out = np.zeros((height, width, k.shape[-1]))
        for i in range(3):
            for j in range(3):
                out += padded[i : i + height, j : j + width] @ k[i, j]
        return out

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    h = c = np.zeros((height, width, filters))
    outputs = []
    for t in range(frames):
        z = convolve(x[t], kernel) + convolve(h, recurrent) + bias
        i, f, g, o = np.split(z, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(gamma * h)
        if modulate == "state":
            h = outputs[-1]
    return np.stack(outputs)


@pytest.mark.parametrize("modulate", ["output", "state"])
def test_equations_with_gammas_at_two_sizes(modulate):
    cell, rng = cell_with_weights(3, 2, modulate=modulate)
    for size in ((5, 4), (3, 7)):  # built once, any size
        x = rng.normal(size=(1, 3, *size, 3))
        gamma = rng.normal(size=(1, 2))
        output, _ = cell(x.astype(np.float32), gamma.astype(np.float32))
        expected = numpy_cell(x[0], gamma[0], cell.get_weights(), modulate)
        np.testing.assert_allclose(output[0], expected, atol=1e-5)


def test_layer_normalization_is_that_of_keras_on_each_gate():
    # The equations with keras.layers.LayerNormalization, step by step.
    cell, rng = cell_with_weights(3, 4, normalization="layer")
    names = [w.name for w in cell.weights]
    weights = dict(zip(names, cell.get_weights(), strict=True))
    norm = keras.layers.LayerNormalization(epsilon=1e-5, center=False, scale=False)

    def each_gate(z, scale):
        gates = [norm(gate) for gate in np.split(z, 4, axis=-1)]
        return np.concatenate(gates, axis=-1) * weights[scale]

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    def convolve(a, kernel):
        return keras.ops.conv(a, weights[kernel], padding="same").numpy()

    x = rng.normal(size=(1, 3, 5, 6, 3)).astype(np.float32)
    h = c = np.zeros((1, 5, 6, 4), np.float32)
    expected = []
    for t in range(3):
        z = each_gate(convolve(x[:, t], "kernel"), "input_scale") + weights["bias"]
        z = z + each_gate(convolve(h, "recurrent_kernel"), "recurrent_scale")
        i, f, g, o = np.split(z, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        seen = norm(c) * weights["cell_scale"] + weights["cell_centre"]
        h = sigmoid(o) * np.tanh(seen)
        expected.append(h)
    output, _ = cell(x)
    np.testing.assert_allclose(output, np.stack(expected, axis=1), atol=1e-5)


def test_a_state_resumes_where_it_was():
    cell, rng = cell_with_weights(3, 2)
    x = rng.normal(size=(1, 4, 5, 6, 3)).astype(np.float32)
    whole, last = cell(x)
    _, state = cell(x[:, :2])
    rest, end = cell(x[:, 2:], state=state)
    np.testing.assert_allclose(rest, whole[:, 2:], atol=1e-6)
    np.testing.assert_allclose(end[1], last[1], atol=1e-6)


def test_initial_values_are_those_the_paper_names():
    cell = ModulatedConvLSTM2D(
        8, kernel_initializer=keras.initializers.RandomNormal(stddev=0.001)
    )
    cell.build((None, None, None, 16))
    kernel, recurrent, bias = cell.get_weights()
    assert kernel.std() == pytest.approx(0.001, rel=0.05)
    for gate in np.split(recurrent, 4, axis=-1):
        columns = gate.reshape(-1, 8)
        np.testing.assert_allclose(columns.T @ columns, np.eye(8), atol=1e-5)
    assert bias.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16


def test_the_gates_orthogonal_kernels_differ_and_repeat_with_a_seed():
    first, second = (GatewiseOrthogonal(seed=4)((3, 3, 4, 16)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    gates = np.split(np.asarray(first), 4, axis=-1)
    assert np.abs(gates[0] - gates[1]).max() > 0.01


@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_mixed_precision_keeps_the_memory_in_float32(normalization):
    cell, rng = cell_with_weights(
        3, 2, dtype="mixed_bfloat16", normalization=normalization
    )
    x = rng.normal(size=(1, 2, 5, 6, 3)).astype(np.float32)
    output, (hidden, memory) = cell(x)
    assert output.dtype == hidden.dtype == tf.bfloat16
    assert memory.dtype == tf.float32


def released_decoder(decoder, features, size):
    """The release's order: enlarge 16 channels, crop, concatenate, fuse."""
    enlarged = []
    for number, feature in features.items():
        side = decoder.sides[decoder.numbers.index(number)](feature)
        stride = 2 ** (number - 1)
        line = 1 - np.abs(np.arange(2 * stride) - (stride - 0.5)) / stride
        kernel = np.outer(line, line)[:, :, None, None] * np.eye(16)
        _, height, width, _ = side.shape
        full = ((height + 1) * stride, (width + 1) * stride)
        up = tf.nn.conv2d_transpose(
            side, kernel.astype(np.float32), (1, *full, 16), stride, "VALID"
        )
        top, left = (full[0] - size[0]) // 2, (full[1] - size[1]) // 2
        enlarged.append(up[:, top : top + size[0], left : left + size[1]])
    stacked = tf.concat(enlarged, -1)
    fusion = decoder.fusion
    return tf.nn.conv2d(stacked, fusion.kernel.value, 1, "VALID") + fusion.bias.value


def test_fusing_first_gives_the_releases_logits():
    decoder, size = HypercolumnDecoder("vgg16"), (61, 85)
    decoder.build()
    rng = np.random.default_rng(0)
    decoder.set_weights([rng.normal(size=w.shape) for w in decoder.get_weights()])
    features, height, width = {}, *size
    for number in decoder.numbers:
        height, width = -(-height // 2), -(-width // 2)
        channels = decoder.trunk.level(number).channels
        x = rng.normal(size=(1, height, width, channels)) / np.sqrt(9 * channels)
        features[number] = tf.constant(x, tf.float32)
    ours = decoder(features, size=size)
    theirs = released_decoder(decoder, features, size)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def centre_of_enlarged_pixel(length, stride, alignment):
    """Where the middle of coarse pixel 10 comes to lie, along one axis."""
    coarse = -(-length // stride)
    score = np.zeros((1, coarse, coarse, 1), np.float32)
    score[0, 10, 10] = 1
    line = np.asarray(upsample(score, stride, (length, length), alignment))[0, :, :, 0]
    line = line.sum(axis=0)
    return (line * np.arange(length)).sum() / line.sum()


@pytest.mark.parametrize(
    ("stride", "shift"), [(2, 0.0), (4, -1.0), (8, -1.0), (16, -5.0)]
)
def test_alignment_at_854_pixels(stride, shift):
    # A coarse pixel stands for `stride` pixels; their middle is at:
    middle = 10 * stride + (stride - 1) / 2
    assert centre_of_enlarged_pixel(854, stride, "exact") == pytest.approx(middle)
    released = centre_of_enlarged_pixel(854, stride, "release")
    assert released - middle == pytest.approx(shift, abs=1e-4)
    assert centre_of_enlarged_pixel(400, stride, "release") == pytest.approx(middle)


@pytest.mark.parametrize("frozen", [True, False])
def test_spatial_modulator_is_convolution_normalisation_relu(frozen):
    """By the layers' own arithmetic; the parts are folded where they can be."""
    layer = SpatialModulator("vgg16_compact", (3, 4))
    layer.build()
    layer.freeze_statistics = frozen
    rng = np.random.default_rng(5)
    for norm in layer.norms:
        for variable in norm.variables:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    guide = rng.uniform(size=(2, 33, 42, 1)).astype(np.float32)
    statistics = [
        (n.moving_mean.numpy(), n.moving_variance.numpy()) for n in layer.norms
    ]
    found = layer(guide, training=True)
    moved = [
        not np.array_equal(norm.moving_mean, mean)
        for norm, (mean, _) in zip(layer.norms, statistics, strict=True)
    ]
    assert moved == [not frozen] * 2
    for k, number in enumerate((3, 4)):
        stride = 2 ** (number - 1)
        pooled = tf.nn.avg_pool2d(guide, 2, 2, "SAME")
        for _ in range(number - 2):
            pooled = tf.nn.avg_pool2d(pooled, 2, 2, "SAME")
        assert pooled.shape[1:3] == (-(-33 // stride), -(-42 // stride))
        maps = pooled.numpy() * layer.convs[k].kernel.numpy()[0, 0]
        mean, variance = statistics[k]
        if not frozen:
            mean, variance = maps.mean((0, 1, 2)), maps.var((0, 1, 2))
        norm = layer.norms[k]
        maps = (maps - mean) / np.sqrt(variance + 0.001) * norm.gamma + norm.beta
        expected = np.maximum(maps, 0)
        own = np.concatenate([np.asarray(part) for part in found[number]], axis=-1)
        assert len(found[number]) == 3
        np.testing.assert_allclose(own, expected, atol=2e-4)
