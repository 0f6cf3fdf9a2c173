"""What every network answers, whole or frame by frame, on any backend."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_networks import random_inputs, randomise

from osmn_recurrent import backbones
from osmn_recurrent.models import NAMES
from osmn_recurrent.models.building import (
    MODELS,
    build_model,
    transfer_weights,
    weights_of,
    with_dtype,
)

SIZE = (45, 70)  # no multiples of 16


@pytest.fixture(params=sorted(MODELS))
def network(request):
    """Each compact network in turn."""
    return randomise(build_model(request.param, "vgg16_compact"))


def step_through(model, inputs, clip):
    """Logits (T, H, W, 1) of one clip of the batch, frame by frame."""
    image, guide = inputs["image"][clip], inputs["spatial_guide"][clip]
    modulation = model.adapt(inputs["visual_guide"][clip : clip + 1])
    state = model.initial_state(1, *image.shape[1:3])
    logits = []
    for t in range(len(image)):
        frame = model.encode(image[t : t + 1])
        given = guide[t : t + 1] if model.guide.is_used else ()
        each, state = model.step(frame, given, modulation, state)
        logits.append(each[0])
    return np.stack(logits)


def test_names_and_sizes_are_those_that_programs_list():
    assert all(backbones.find(name).name == name for name in backbones.NAMES)
    for name in NAMES:
        assert build_model(name, "vgg16_compact").name == name


def test_a_clip_whole_and_frame_by_frame(network):
    inputs = random_inputs(2, SIZE, length=4)
    whole = np.asarray(network(inputs))
    assert whole.shape == (2, 4, *SIZE, 1)
    assert whole.dtype == np.float32
    for clip in range(2):  # a batch of two is two of one
        frames = step_through(network, inputs, clip)
        assert np.abs(whole[clip] - frames).max() < 1e-4
    assert whole.std() > 0.01


@pytest.mark.parametrize(
    "options",
    [
        {"coupling": "residual"},
        {"modulate": "state"},
        {"modulate": "none"},
        {"hidden_channels": 8},
        {"hidden_channels": 96},  # the channels of block 4 alone
        {"recurrent_levels": (5,)},
        {"normalization": "layer", "first_state": "mask"},
        {"kernel_size": 5, "recurrent_levels": (3, 4)},
        {"mod_early_conv": True},
        {"use_visual_modulator": False},
        {"use_spatial_modulator": False},
        {"alignment": "exact"},
    ],
)
def test_reconvnets_options_whole_and_frame_by_frame(options):
    model = randomise(build_model("reconvnet", "vgg16_compact", **options))
    inputs = random_inputs(1, SIZE, length=4)
    whole = np.asarray(model(inputs))[0]
    assert np.abs(whole - step_through(model, inputs, 0)).max() < 1e-4
    twin = type(model).from_config(model.get_config())
    assert twin.get_config() == model.get_config()


def test_the_state_matters():
    model = randomise(build_model("reconvnet", "vgg16_compact"))
    inputs = random_inputs(1, SIZE, length=3)
    inputs["image"][:] = inputs["image"][:, :1]
    inputs["spatial_guide"][:] = inputs["spatial_guide"][:, :1]
    logits = np.asarray(model(inputs))[0]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_the_first_mask_starts_the_memory_once():
    model = randomise(
        build_model(
            "reconvnet", "vgg16_compact", first_state="mask", recurrent_levels=(5,)
        )
    )
    inputs = random_inputs(2, SIZE)
    frame, guide = model.encode(inputs["image"]), inputs["spatial_guide"]
    modulation = model.adapt(inputs["visual_guide"])

    def run(*steps):
        state = model.initial_state(2, *SIZE)
        for mask in steps:
            if mask is None:
                logits, state = model.step(frame, guide, modulation, state)
            else:
                state = model.memorize(frame, mask, state)
        return np.asarray(logits), state

    mask, other = np.zeros((2, 2, *SIZE, 1), np.float32)
    mask[:, :20, :20], other[:, 20:] = 1.0, 1.0
    zeros, given = run(None)[0], run(mask, None)[0]
    assert np.abs(given - zeros).max() > 1e-3
    assert np.abs(given - run(other, None)[0]).max() > 1e-3
    # Masks behind the first one, and behind a step, are not taken.
    np.testing.assert_array_equal(run(mask, other, None)[0], given)
    twice, _ = run(mask, None, None)
    np.testing.assert_array_equal(run(mask, None, other, None)[0], twice)


def test_one_frame_serves_all_objects(network):
    inputs = random_inputs(3, SIZE)
    image = inputs["image"][:1]
    modulation = network.adapt(inputs["visual_guide"])
    guide = inputs["spatial_guide"] if network.guide.is_used else ()
    state = network.initial_state(3, *SIZE)
    together, _ = network.step(network.encode(image), guide, modulation, state)
    for k in range(3):
        alone = network(
            {name: v[k : k + 1] for name, v in inputs.items()} | {"image": image}
        )
        shared = together[k : k + 1] if len(together) == 3 else together
        np.testing.assert_allclose(shared, alone, atol=1e-4)


def test_residual_coupling_without_output_is_osmn():
    osmn = randomise(build_model("osmn", "vgg16_compact"))
    model = randomise(build_model("reconvnet", "vgg16_compact", coupling="residual"), 3)
    transfer_weights(model, osmn)
    for variable in model.modulator.fc8_convlstm.variables:
        variable.assign(np.zeros(variable.shape))  # gammas 0: no output
    inputs = random_inputs(2, SIZE, length=3)
    np.testing.assert_array_equal(model(inputs), osmn(inputs))


def test_osmn_in_reconvnet_changes_nothing_else():
    osmn = randomise(build_model("osmn", "vgg16_compact"))
    model = randomise(build_model("reconvnet", "vgg16_compact"), 3)
    before = {v.path.split("/", 1)[1]: v.numpy() for v in weights_of(model)}
    fresh = transfer_weights(model, osmn)
    given = {v.path.split("/", 1)[1]: v.numpy() for v in weights_of(osmn)}
    for variable in weights_of(model):
        path = variable.path.split("/", 1)[1]
        expected = before[path] if path in fresh else given[path]
        np.testing.assert_array_equal(variable, expected)
    assert {path.split("/")[0] for path in fresh} == {
        "convlstm3",
        "convlstm4",
        "convlstm5",
        "modulator",
    }
    assert sum("fc8_convlstm" in path for path in fresh) == 2


def test_what_does_not_fit_is_not_taken_over():
    small, large = (build_model("osmn", "vgg16_compact") for _ in range(2))
    other = build_model("osmn", "vgg16_compact", mod_early_conv=True)
    before = [v.numpy() for v in small.variables]
    with pytest.raises(ValueError, match="osmn does not fit into osmn"):
        transfer_weights(small, other)
    for variable, value in zip(small.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    with pytest.raises(ValueError, match="no variable of osmn matches '\\^lion/'"):
        transfer_weights(large, small, "^lion/")
    assert transfer_weights(large, small) == []


def test_osvos_is_osmns_segmentation_part():
    osmn, osvos = (
        build_model("osmn", "vgg16_compact"),
        build_model("osvos", "vgg16_compact"),
    )
    randomise(osmn)
    for layer in (osmn.modulator.fc8,):
        layer.kernel.assign(np.zeros(layer.kernel.shape))  # gammas 1
        layer.bias.assign(np.ones(layer.bias.shape))
    for norm in osmn.modulator_sp.norms:
        norm.gamma.assign(np.zeros(norm.gamma.shape))  # betas 0
        norm.beta.assign(np.zeros(norm.beta.shape))
    assert transfer_weights(osvos, osmn, "^seg/") == []
    inputs = random_inputs(1, SIZE)
    np.testing.assert_array_equal(osvos(inputs), osmn(inputs))


@pytest.mark.parametrize(
    ("size", "aligned", "top", "left"),
    [
        (SIZE, (49, 73), 2, 1),
        # The release's for DAVIS: 854x480 in the middle of 865x481.
        ((480, 854), (481, 865), 0, 5),
    ],
)
def test_masktracks_padding_is_cropped_once(size, aligned, top, left):
    """As the release: from the enlarged map of the padded image to the image."""
    plain = randomise(build_model("masktrack", "vgg16_compact"))
    padded = build_model("masktrack", "vgg16_compact", aligned_size=aligned)
    transfer_weights(padded, plain)
    inputs = random_inputs(1, size)
    bottom, right = aligned[0] - size[0] - top, aligned[1] - size[1] - left
    x = np.concatenate([inputs["spatial_guide"], inputs["image"]], axis=-1)
    x = np.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]])
    x = plain.backbone.network_input(x)
    for block in plain.seg.blocks:
        x = block(x)
    score = np.asarray(plain.seg.decoder.side(x, 5))[0, :, :, 0]
    # Bilinear enlargement by 8 without any crop, one axis after the other.
    for _ in range(2):
        large = np.zeros(((len(score) + 1) * 8, score.shape[1]))
        for row, values in enumerate(score):
            falloff = 1 - np.abs(np.arange(16) - 7.5) / 8
            large[row * 8 : row * 8 + 16] += falloff[:, None] * values
        score = large.T
    down, aside = ((a - b) // 2 for a, b in zip(score.shape, size, strict=True))
    expected = score[down : down + size[0], aside : aside + size[1]]
    np.testing.assert_allclose(
        np.asarray(padded(inputs))[0, ..., 0], expected, atol=1e-4
    )
    assert not np.allclose(padded(inputs), plain(inputs), atol=1e-3)


def test_masktracks_padding_refuses_larger_images():
    padded = build_model("masktrack", "vgg16_compact", aligned_size=(49, 73))
    with pytest.raises(ValueError, match="aligned_size must not be smaller"):
        padded(random_inputs(1, (60, 60)))


def test_full_width_has_the_papers_parameters():
    model = build_model("osvos")
    vgg16 = 14_714_688  # the published count of VGG16's convolutions
    sides = 9 * 16 * (128 + 256 + 512 + 512) + 4 * 16
    count = sum(int(np.prod(v.shape)) for v in weights_of(model))
    assert count == vgg16 + sides + 65
    assert model.seg.blocks[4].filters == 512


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("osmn", {}, 3840),
        ("osmn", {"mod_early_conv": True}, 4224),
        ("reconvnet", {}, 5120),
        ("reconvnet", {"modulate": "none"}, 3840),
        ("masktrack_m", {}, 3840),
    ],
)
def test_full_width_has_the_papers_gammas(name, options, count):
    layout = MODELS[name](**options).gamma_layout()  # nothing is allocated
    assert layout[-1][2] == count
    assert [start for _, start, _ in layout] == [0, *(end for *_, end in layout[:-1])]


def test_precisions_give_float32_logits_close_to_float32():
    model = randomise(build_model("reconvnet", "vgg16_compact"))
    inputs = random_inputs(1, SIZE, length=2)
    exact = np.asarray(model(inputs))
    for policy, most in (("mixed_bfloat16", 0.2), ("mixed_float16", 0.03)):
        twin = with_dtype(model, policy)
        logits = twin(inputs)
        assert logits.dtype == tf.float32
        assert all(v.dtype == "float32" for v in weights_of(twin))
        error = np.abs(np.asarray(logits) - exact).mean() / exact.std()
        assert 0 < error < most, policy


def test_one_trace_for_all_sizes_and_numbers_of_objects():
    model = randomise(build_model("reconvnet", "vgg16_compact"))
    traces = []

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, None, None, 3)),
            tf.TensorSpec((None, None, None, 1)),
            tf.TensorSpec((None, None)),
        ]
    )
    def run(image, guide, modulation):
        traces.append(1)
        shape = tf.shape(guide)
        state = model.initial_state(shape[0], shape[1], shape[2])
        return model.step(model.encode(image), guide, modulation, state)[0]

    for objects, size in ((1, (45, 70)), (3, (64, 50))):
        inputs = random_inputs(objects, size)
        image, modulation = inputs["image"][:1], model.adapt(inputs["visual_guide"])
        state = model.initial_state(objects, *size)
        guide = inputs["spatial_guide"]
        expected, _ = model.step(model.encode(image), guide, modulation, state)
        np.testing.assert_allclose(run(image, guide, modulation), expected, atol=2e-4)
    assert len(traces) == 1


def test_every_trainable_variable_has_a_gradient():
    model = randomise(build_model("reconvnet", "vgg16_compact"))
    inputs = random_inputs(1, (64, 64), length=3)
    with tf.GradientTape() as tape:
        loss = keras.ops.sum(model(inputs, training=True) ** 2)
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [v.value for v in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert float(tf.norm(gradient)) > 0, variable.path


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_files_give_the_same_network(network, tmp_path, ending):
    path = tmp_path / f"weights{ending}"
    inputs = random_inputs(1, SIZE)
    expected = np.asarray(network(inputs))
    name = {v: k for k, v in MODELS.items()}[type(network)]
    if ending == ".keras":
        network.save(path)
        loaded = keras.saving.load_model(path)
        assert loaded.get_config() == network.get_config()
        np.testing.assert_array_equal(loaded(inputs), expected)
    else:
        network.save_weights(path)
    loaded = build_model(name, "vgg16_compact", weights=path)
    np.testing.assert_array_equal(loaded(inputs), expected)


JAX_PROGRAM = """
import json, sys
import numpy as np
folder = sys.argv[1]
from osmn_recurrent.models.building import build_model
from keras import backend, ops
assert backend.backend() == "jax"
inputs = dict(np.load(f"{folder}/inputs.npz"))
outputs = {}
for name in json.loads(sys.argv[2]):
    network, backbone = name.split("-")
    model = build_model(network, backbone, weights=f"{folder}/{name}.weights.h5")
    outputs[name] = ops.convert_to_numpy(model(inputs))
np.savez(f"{folder}/outputs.npz", **outputs)
"""


# OSVOS is OSMN's segmentation part, and the "_m" networks are made of the same parts.
JAX_CASES = [f"{name}-vgg16_compact" for name in ("osmn", "reconvnet", "masktrack")]
OTHER_JAX_CASES = [
    *(f"{name}-vgg16_compact" for name in ("osvos", "osvos_m", "masktrack_m")),
    *(
        f"{name}-{backbone}"
        for backbone in ("deeplab_compact", "mobilenet_compact", "efficientnet_lite0")
        for name in ("osmn", "reconvnet")
    ),
]


@pytest.mark.needs("jax")
@pytest.mark.parametrize(
    "cases",
    [JAX_CASES, pytest.param(OTHER_JAX_CASES, marks=pytest.mark.slow)],
    ids=["vgg16", "others"],
)
def test_jax_gives_what_tensorflow_gives(cases, tmp_path):
    inputs = random_inputs(1, SIZE, length=2)
    np.savez(tmp_path / "inputs.npz", **inputs)
    expected = {}
    for name in cases:
        model = randomise(build_model(*name.split("-")))
        model.save_weights(tmp_path / f"{name}.weights.h5")
        expected[name] = np.asarray(model(inputs))
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run(
        [sys.executable, "-c", JAX_PROGRAM, str(tmp_path), json.dumps(cases)],
        check=True,
        env=environment,
    )
    outputs = np.load(tmp_path / "outputs.npz")
    for name in cases:
        scale = max(1.0, np.abs(expected[name]).max())
        assert np.abs(outputs[name] - expected[name]).max() < 1e-3 * scale, name


def test_the_summary_shows_shapes(network):
    lines = []
    network.summary(print_fn=lambda text, line_break=False: lines.append(text))
    text = "\n".join(lines)
    assert "(None, None, None, 1)" in text.replace("\n", "") and "?" not in text
    if network.use_visual_modulator:
        assert f"(None, {network.gamma_layout()[-1][2]})" in text
