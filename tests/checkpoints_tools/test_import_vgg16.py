"""VGG16 of other programs: layouts, strictness, and Keras' own features."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file
from vgg16_files import layers, register_narrow, slim_tensors

from checkpoints_tools import load_vgg16
from checkpoints_tools.tf_checkpoints import write_checkpoint
from checkpoints_tools.vgg16_names import CONVS, SIDES
from osmn_recurrent import programs
from osmn_recurrent.backbones.backbone import max_pool
from osmn_recurrent.backbones.vgg16 import CONVS_PER_BLOCK
from osmn_recurrent.cli import convert_vgg16
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import building
from osmn_recurrent.models.building import weights_of
from osmn_recurrent.models.osmn import OSMN


@pytest.fixture
def narrow(monkeypatch):
    """Makes OSMN with VGG16's structure (7x7 fc6) and few channels."""
    register_narrow(monkeypatch)

    def make(**options):
        model = OSMN("narrow", **options)
        model.build()
        return model

    return make


def torch_tensors(given):
    """As torchvision's state dict: PyTorch's layouts, CHW before classifier.0."""
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    names = dict(zip(CONVS, (f"features.{n}" for n in numbers), strict=True))
    names |= {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
    found = {}
    for layer, (kernel, bias) in given.items():
        weight = np.moveaxis(kernel, (3, 2), (0, 1))
        if "fc" in layer:
            weight = weight.reshape(len(weight), -1)
        found[f"{names[layer]}.weight"] = np.ascontiguousarray(weight)
        found[f"{names[layer]}.bias"] = bias
    return found


def flat(kernel):
    """fc6 and fc7 as matrices, rows in the order height, width, channel."""
    return kernel.reshape(-1, kernel.shape[3]) if kernel.shape[0] != 3 else kernel


def write_keras(path, given, top=True):
    """Saves Keras' own VGG16 structure with these weights, by Keras."""
    model = keras.Sequential([keras.Input((224, 224, 3))])
    for layer, (kernel, _) in given.items():
        name = re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", layer)
        name = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}.get(name, name)
        if "conv" in layer:
            model.add(
                keras.layers.Conv2D(kernel.shape[3], 3, padding="same", name=name)
            )
            if layer in ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"):
                model.add(keras.layers.MaxPooling2D(2))
        elif top:
            if layer == "fc6":
                model.add(keras.layers.Flatten())
            model.add(keras.layers.Dense(kernel.shape[3], name=name))
    arrays = [a for k, b in given.values() for a in (flat(k), b)]
    model.set_weights(arrays[: len(model.get_weights())])
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)


def write_elder_keras(path, given):
    """The published file's layout: Keras 1 names, no configuration."""
    import h5py

    with h5py.File(path, "w") as file:
        for layer, (kernel, bias) in given.items():
            name = re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", layer)
            name = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}.get(name, name)
            file[f"{name}/{name}_W_1:0"] = flat(kernel)
            file[f"{name}/{name}_b_1:0"] = bias
        file.create_group("flatten")


def write_v1(path, tensors):
    """A checkpoint of TensorFlow's first format, a single file."""
    with tf.compat.v1.Graph().as_default(), tf.compat.v1.Session() as session:
        named = [tf.compat.v1.get_variable("x/" + n, initializer=t)
                 for n, t in tensors.items()]  # fmt: skip
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(
            dict(zip(tensors, named, strict=True)),
            write_version=tf.compat.v1.train.SaverDef.V1,
        )
        saver.save(session, str(path), write_meta_graph=False)


def write_npy(path, given):
    """VGG16 as a pickled dict, in the form of its first publication."""
    content = {layer: [flat(kernel), bias] for layer, (kernel, bias) in given.items()}
    np.save(path, content, allow_pickle=True)


WRITERS = {
    "vgg_16.ckpt": lambda p, g: write_checkpoint(p, slim_tensors(g)),
    "v1.ckpt": lambda p, g: write_v1(p, slim_tensors(g)),
    "new.h5": write_keras,
    "new.weights.h5": write_keras,
    "new.keras": write_keras,
    "elder.h5": write_elder_keras,
    "torch.npz": lambda p, g: np.savez(p, **torch_tensors(g)),
    "torch.safetensors": lambda p, g: save_file(torch_tensors(g), p),
    "vgg16.npy": write_npy,
}


def loaded(model, part):
    """`{layer: (kernel, bias)}` of a part's VGG16."""
    found = {}
    for variable in weights_of(model):
        path = variable.path.split("/", 1)[1]
        match = re.fullmatch(rf"{part}/(?:conv\d/)?(conv\d_\d|fc[67])/(\w+)", path)
        if match:
            found.setdefault(match[1], {})[match[2]] = variable.numpy()
    return {layer: (a["kernel"], a["bias"]) for layer, a in found.items()}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_weights(name, narrow, tmp_path):
    given = layers()
    WRITERS[name](tmp_path / name, given)
    model = narrow()
    report = load_vgg16(model, tmp_path / name, allow_pickle=name.endswith(".npy"))
    assert not report.faults()
    assert len(report.loaded) == 2 * (13 + 15)
    for part, count in (("seg", 13), ("modulator", 15)):
        found = loaded(model, part)
        assert len(found) == count
        for layer, (kernel, bias) in found.items():
            np.testing.assert_array_equal(kernel, given[layer][0], err_msg=layer)
            np.testing.assert_array_equal(bias, given[layer][1], err_msg=layer)
    assert "modulator/fc8/kernel" in report.fresh
    assert "modulator_sp/conv3/kernel" in report.fresh


def test_swapped_colours_and_one_part(narrow, tmp_path):
    given = layers()
    write_keras(tmp_path / "notop.h5", given, top=False)
    model = narrow()
    before = loaded(model, "modulator")
    load_vgg16(model, tmp_path / "notop.h5", into=("seg",), swap_rgb=True)
    found = loaded(model, "seg")
    np.testing.assert_array_equal(
        found["conv1_1"][0], given["conv1_1"][0][:, :, [2, 1, 0]]
    )
    np.testing.assert_array_equal(found["conv1_2"][0], given["conv1_2"][0])
    for layer, (kernel, _) in loaded(model, "modulator").items():
        np.testing.assert_array_equal(kernel, before[layer][0])


def test_without_top_the_modulator_misses_its_dense_layers(narrow, tmp_path):
    given = layers()
    write_keras(tmp_path / "notop.h5", given, top=False)
    model = narrow()
    before = loaded(model, "modulator")
    message = (
        r"missing: modulator/fc6/kernel is not in the file, \(7, 7, 8, 11\) in the "
        r"network.*--allow_missing"
    )
    with pytest.raises(InputError, match=message):
        load_vgg16(model, tmp_path / "notop.h5")
    np.testing.assert_array_equal(
        loaded(model, "modulator")["conv1_1"][0], before["conv1_1"][0]
    )
    report = load_vgg16(
        model, tmp_path / "notop.h5", allow_missing="^modulator/fc[67]/"
    )
    assert len(report.allowed) == 4
    found = loaded(model, "modulator")
    np.testing.assert_array_equal(found["conv1_1"][0], given["conv1_1"][0])
    np.testing.assert_array_equal(found["fc6"][0], before["fc6"][0])


def test_osvos_fills_the_segmentation_network(narrow, tmp_path):
    rng = np.random.default_rng(1)
    given = {k: v for k, v in layers().items() if "conv" in k}
    tensors = {
        f"osvos/{layer[:5]}/{layer}/{leaf}": array
        for layer, arrays in given.items()
        for leaf, array in zip(("weights", "biases"), arrays, strict=True)
    }
    for layer, before in zip(SIDES, (5, 6, 7, 8, 64), strict=True):
        last = layer == "upscore-fuse"
        shape = (1, 1, 64, 1) if last else (3, 3, before, 16)
        tensors[f"osvos/{layer}/weights"] = rng.normal(size=shape).astype(np.float32)
        tensors[f"osvos/{layer}/biases"] = np.ones(shape[3], np.float32)
    for number in (2, 3, 4, 5):
        side = 2**number
        for name, channels in (("dsn_", 1), ("multi", 16)):
            shape = (side, side, channels, channels)
            tensors[f"osvos/score-{name}{number}-up/weights"] = np.ones(
                shape, np.float32
            )
        tensors[f"osvos/score-dsn_{number}/weights"] = np.ones((1, 1, 16, 1))
        tensors[f"osvos/score-dsn_{number}/biases"] = np.ones(1)
    tensors["osvos/conv1/conv1_1/weights/Momentum"] = np.ones(3)
    tensors["global_step"] = np.int64(50_000)
    write_checkpoint(tmp_path / "OSVOS_parent.ckpt-50000", tensors)
    model = narrow(use_visual_modulator=False, use_spatial_modulator=False)
    report = load_vgg16(model, tmp_path / "OSVOS_parent.ckpt-50000", into=("seg",))
    assert not report.fresh
    assert len(report.loaded) == len(weights_of(model)) == 36
    for variable in weights_of(model):
        *_, layer, leaf = variable.path.split("/")
        scope = layer if layer in SIDES else f"{layer[:5]}/{layer}"
        name = {"kernel": "weights", "bias": "biases"}[leaf]
        np.testing.assert_array_equal(
            variable.numpy(), tensors[f"osvos/{scope}/{name}"], err_msg=variable.path
        )
    with pytest.raises(InputError, match="into=modulator: osmn has no such part"):
        load_vgg16(model, tmp_path / "OSVOS_parent.ckpt-50000")


def rename(t):
    t["features.0.weights"] = t.pop("features.0.weight")


def reshape(t):
    t["classifier.0.weight"] = np.zeros((11, 100), np.float32)


def remove(t):
    del t["features.28.bias"]


def add(t):
    t["features.1.weight"] = np.zeros((2, 3), np.float32)


def spoil(t):
    t["features.2.bias"][1] = np.inf


def retype(t):
    t["features.2.bias"] = np.arange(4)


@pytest.mark.parametrize(
    ("change", "messages", "pattern"),
    [
        (
            rename,
            [
                "missing: seg/conv1/conv1_1/kernel is not in the file, (3, 3, 3, 4) in",
                "left over: features.0.weights is (4, 3, 3, 3) in the file",
            ],
            "conv1_1/kernel|features.0",
        ),
        (
            reshape,
            [
                "modulator/fc6/kernel is (11, 100) in the file (as "
                "classifier.0.weight), (7, 7, 8, 11) in the network"
            ],
            "fc6/kernel",
        ),
        (remove, ["missing: seg/conv5/conv5_3/bias is not in the file, (8,)"], "5_3/b"),
        (add, ["left over: features.1.weight is (2, 3) in the file"], "features.1.w"),
        (
            spoil,
            ["not finite: seg/conv1/conv1_2/bias is (4,) in the file (as features.2"],
            "conv1_2/bias",
        ),
        (retype, ["seg/conv1/conv1_2/bias is int64 in the file"], "conv1_2/bias"),
    ],
)
def test_each_fault_is_named_and_only_its_pattern_lets_it_pass(
    change, messages, pattern, narrow, tmp_path
):
    tensors = torch_tensors(layers())
    change(tensors)
    np.savez(tmp_path / "v.npz", **tensors)
    model = narrow()
    before = [v.numpy() for v in weights_of(model)]
    for wrong in (None, "conv3_3"):
        with pytest.raises(InputError) as caught:
            load_vgg16(model, tmp_path / "v.npz", allow_missing=wrong)
        for message in messages:
            assert message in str(caught.value)
    for variable, value in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    report = load_vgg16(model, tmp_path / "v.npz", allow_missing=pattern)
    assert report.faults(allowed=True)


def test_compact_networks_and_masktrack_do_not_take_it_silently(narrow, tmp_path):
    write_keras(tmp_path / "v.h5", layers())
    with pytest.raises(InputError, match="shape differs: seg/conv1/conv1_1/kernel"):
        load_vgg16(building.build_model("osmn", "vgg16_compact"), tmp_path / "v.h5")
    with pytest.raises(InputError, match=r"conv1_1/bias is \(4,\) .*, \(16,\) in"):
        load_vgg16(
            building.build_model("masktrack", "vgg16_compact"),
            tmp_path / "v.h5",
            ("seg",),
        )


def test_a_file_without_vgg16(narrow, tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="holds no VGG16: of its 1 tensors"):
        load_vgg16(narrow(), tmp_path / "other.npz")


def run_program(arguments):
    """Exit code of the import program."""
    for name in convert_vgg16.FLAGS:
        convert_vgg16.FLAGS[name].unparse()
    return programs.call(convert_vgg16.main, convert_vgg16.FLAGS, ["p", *arguments])


def test_the_program_explains_what_it_refuses(tmp_path, capsys):
    write_npy(tmp_path / "v.npy", layers())
    out = f"--out={tmp_path}/o.keras"
    assert run_program([f"--checkpoint={tmp_path}/v.npy", out]) == 2
    assert "give --allow_pickle if you trust" in capsys.readouterr().err
    assert (
        run_program(
            [
                f"--checkpoint={tmp_path}/v.npy",
                out,
                "--allow_pickle",
                "--backbone=vgg16_compact",
            ]
        )
        == 2
    )
    assert "shape differs: seg/conv1/conv1_1/kernel" in capsys.readouterr().err
    assert not list(tmp_path.glob("*o.keras*"))


def test_the_program_writes_start_weights_and_a_report(narrow, tmp_path, monkeypatch):
    """Also: the settings in Keras' own file do not count as the network's."""
    given = layers()
    write_keras(tmp_path / "v.keras", given)
    monkeypatch.setattr(building, "build_model", lambda *_, **__: narrow())
    out = tmp_path / "start.keras"
    arguments = [f"--checkpoint={tmp_path}/v.keras", f"--out={out}", "--swap_rgb"]
    assert run_program(arguments) == 0
    model = building.load_model(out)
    for part in ("seg", "modulator"):
        found = loaded(model, part)
        np.testing.assert_array_equal(
            found["conv1_1"][0], given["conv1_1"][0][:, :, ::-1]
        )
        np.testing.assert_array_equal(found["conv5_3"][0], given["conv5_3"][0])
    report = json.loads((tmp_path / "start.keras.import.json").read_text())
    assert report["loaded"]["modulator/fc6/kernel"] == [7, 7, 8, 11]
    assert "modulator_sp/conv3/kernel" in report["unchanged"]
    assert len(report["left_out"]) == 2


def keras_features(model, image):
    """Outputs of each block's last convolution, by Keras' network."""
    ends = [f"block{b}_conv{n}" for b, n in enumerate(CONVS_PER_BLOCK, 1)]
    outputs = [model.get_layer(name).output for name in ends]
    return keras.Model(model.inputs[0], outputs)(image)


@pytest.mark.parametrize(
    ("top", "name"),
    [
        (False, "vgg16_notop.h5"),
        (False, "vgg16_notop.weights.h5"),
        pytest.param(True, "vgg16.h5", marks=pytest.mark.slow),
    ],
)
def test_features_are_those_of_keras_applications(top, name, tmp_path):
    """Full width. With top (138 million weights) fc6 and fc7 are compared too."""
    keras.utils.set_random_seed(3)
    reference = keras.applications.VGG16(weights=None, include_top=top)
    for variable in reference.variables:
        if variable.name == "bias":
            variable.assign(np.random.default_rng(1).normal(0, 0.05, variable.shape))
    path = tmp_path / name
    (reference.save_weights if "weights" in name else reference.save)(path)
    image = np.random.default_rng(0).uniform(-110, 140, (1, 224, 224, 3))
    image = image.astype(np.float32) / 70
    model = OSMN(use_spatial_modulator=False, use_visual_modulator=top)
    model.build()
    load_vgg16(model, path, into=("seg", "modulator") if top else ("seg",))
    x = image
    for block, expected in zip(
        model.seg.blocks, keras_features(reference, image), strict=True
    ):
        x = block(x)
        np.testing.assert_allclose(x, expected, atol=1e-4, rtol=0)
    if top:
        expected = keras.Model(
            reference.inputs[0],
            [reference.get_layer(n).output for n in ("fc1", "fc2")],
        )(image)
        y = image
        for block in model.modulator.blocks:
            y = block(y)
        y = max_pool(y)
        for layer, value in zip(
            (model.modulator.fc6, model.modulator.fc7), expected, strict=True
        ):
            y = layer(y)
            np.testing.assert_allclose(y[:, 0, 0], value, atol=1e-4, rtol=0)
