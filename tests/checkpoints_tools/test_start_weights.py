"""Start weights from several sources."""

import numpy as np
import pytest
from safetensors.numpy import save_file
from vgg16_files import layers, register_narrow, slim_tensors

from checkpoints_tools import export_osmn_checkpoint
from checkpoints_tools.formats import open_weights
from checkpoints_tools.start_weights import Source, load_sources
from checkpoints_tools.tf_checkpoints import write_checkpoint
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import build_model, weights_of


@pytest.fixture
def make(monkeypatch):
    """Makes networks with VGG16's structure and few channels."""
    register_narrow(monkeypatch)
    return lambda name, **options: build_model(name, "narrow", **options)


def values(model):
    """`{path: array}`."""
    return {v.path.split("/", 1)[1]: v.numpy() for v in weights_of(model)}


def start(model, *texts, **options):
    return load_sources(model, [Source.parse(str(text)) for text in texts], **options)


@pytest.fixture
def vgg16(tmp_path):
    """Prefix of a checkpoint like slim's vgg_16.ckpt."""
    write_checkpoint(tmp_path / "vgg_16.ckpt", slim_tensors(layers()))
    return tmp_path / "vgg_16.ckpt"


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
@pytest.mark.parametrize("name", ["masktrack", "osvos"])
def test_a_trained_base_and_vgg16_in_the_modulator(name, ending, make, vgg16, tmp_path):
    base, model = make(name), make(f"{name}_m")
    path = tmp_path / f"base{ending}"
    (base.save if ending == ".keras" else base.save_weights)(path)
    new = values(model)
    reports = start(model, path, f"{vgg16}:^modulator/")
    found, given = values(model), layers()
    for variable, value in values(base).items():
        np.testing.assert_array_equal(found[variable], value)
    np.testing.assert_array_equal(
        found["modulator/conv3/conv3_2/kernel"], given["conv3_2"][0]
    )
    np.testing.assert_array_equal(found["modulator/fc6/kernel"], given["fc6"][0])
    filled = {name for report in reports for name in report.loaded}
    left = set(found) - filled
    assert left == {"modulator/fc8/kernel", "modulator/fc8/bias"}
    for variable in left:
        np.testing.assert_array_equal(found[variable], new[variable])


def test_masktracks_first_layer(make, vgg16):
    given = layers()["conv1_1"]
    model = make("masktrack")
    start(model, vgg16)
    kernel = values(model)["seg/conv1/conv1_1/kernel"]
    assert kernel.shape[2] == 4
    assert 0.0005 < kernel.std() < 0.002  # N(0, 0.001), 144 values
    np.testing.assert_array_equal(values(model)["seg/conv1/conv1_1/bias"], given[1])
    start(model, vgg16, first_layer="copy")
    kernel = values(model)["seg/conv1/conv1_1/kernel"]
    np.testing.assert_array_equal(kernel[:, :, 1:], given[0])
    assert not kernel[:, :, 0].any()
    other = make("osmn")  # three channels: both are VGG16's
    start(other, vgg16, first_layer="copy")
    np.testing.assert_array_equal(values(other)["seg/conv1/conv1_1/kernel"], given[0])


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_a_released_checkpoint_by_its_prefix(name, make, tmp_path):
    osmn, model = make("osmn"), make(name)
    export_osmn_checkpoint(osmn, tmp_path / "osmn.ckpt-7", global_step=7)
    for text in (f"{tmp_path}/osmn.ckpt-7", f"{tmp_path}/osmn.ckpt-7.index"):
        (report,) = start(model, text)
        assert len(report.loaded) == len(weights_of(osmn))
    found = values(model)
    for path, value in values(osmn).items():
        np.testing.assert_array_equal(found[path], value)


def test_parts_of_a_released_checkpoint(make, tmp_path):
    osmn, model = make("osmn"), make("osvos_m")
    export_osmn_checkpoint(osmn, tmp_path / "osmn.ckpt-7", global_step=7)
    start(model, f"{tmp_path}/osmn.ckpt-7:^seg/")
    for variable, value in zip(model.seg.weights, osmn.seg.weights, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_preset_and_imagenet_are_sources():
    model = build_model("reconvnet", "vgg16_compact")
    osmn = build_model("osmn", "vgg16_compact", weights="osmn-compact")
    (report,) = start(model, "osmn-compact")
    assert len(report.loaded) == len(weights_of(osmn))
    found = values(model)
    for path, value in values(osmn).items():
        np.testing.assert_array_equal(found[path], value)
    assert Source.parse("imagenet:^seg/") == Source("imagenet", "^seg/")
    with pytest.raises(InputError, match="vgg16_compact.*ImageNet"):
        start(model, "imagenet")


def test_colons_in_paths_and_patterns(make, tmp_path):
    folder = tmp_path / "run:3"
    folder.mkdir()
    path = folder / "a:b.weights.h5"
    make("osmn").save_weights(path)
    assert Source.parse(str(path)) == Source(str(path))
    wanted = Source(str(path), "^(?:seg|modulator)/")
    assert Source.parse(f"{path}:^(?:seg|modulator)/") == wanted


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["{base}", "{vgg16}"], "both fill seg/conv1/conv1_1/bias and 24 more"),
        (["{base}", "{base}:^seg/"], "base.keras and .*base.keras both fill"),
        (["{base}:^lion/"], "gives masktrack_m .* nothing"),
        (["{vgg16}:^seg/decoder/"], "gives masktrack_m .* nothing"),
        (["{base}:(seg"], "is no regular expression"),
        (["{none}"], "there is no .*none.keras; expected"),
        (["{none}:^seg/"], "there is no .*none.keras; expected"),
        (["osmn-compacts"], "there is no osmn-compacts; expected"),
        (["{torch}"], "holds no network of this package"),
        (["{text}"], "is of no known kind"),
        (["{osmn}"], "left over: modulator_sp.*:\\^seg/"),
    ],
)
def test_bad_sources_are_one_sentence(texts, message, make, vgg16, tmp_path):
    places = {
        "base": tmp_path / "base.keras",
        "osmn": tmp_path / "osmn.keras",
        "vgg16": vgg16,
        "none": tmp_path / "none.keras",
        "torch": tmp_path / "other.safetensors",
        "text": tmp_path / "notes.txt",
    }
    make("masktrack").save(places["base"])
    make("osmn").save(places["osmn"])
    save_file({"lion": np.ones(3, np.float32)}, places["torch"])
    places["text"].write_text("nothing of weights")
    with pytest.raises(InputError, match=message) as caught:
        start(make("masktrack_m"), *(text.format(**places) for text in texts))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "backbone", "options"),
    [
        ("masktrack_m", "vgg16_compact", {}),
        ("osmn", "efficientnet_lite0", {}),
        ("reconvnet", "efficientnet_lite0", {"modulator_options": {"mixing": 2}}),
    ],
)
def test_names_in_our_files_are_our_paths(name, backbone, options, tmp_path):
    """What sources rest on."""
    model = build_model(name, backbone, **options)
    path = tmp_path / "any.weights.h5"
    model.save_weights(path)
    shapes = open_weights(path).shapes()
    assert shapes == {path: value.shape for path, value in values(model).items()}
