"""Exported functions, loaded again, against the network and the guides."""

import sys

import numpy as np
import pytest

from osmn_recurrent import guides
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import network_export

KINDS = [
    "saved_model",
    "litert",
    pytest.param("onnx", marks=pytest.mark.needs("tf2onnx", "onnxruntime")),
]
SIZE = (48, 64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_whole_loop_from_files(network, scene, tmp_path, kind, name):
    """Frame 1 of the scene by the exported functions alone, two objects."""
    model = network(name)
    frames, ids = scene[0][:, : SIZE[0], : SIZE[1]], scene[1][0, : SIZE[0], : SIZE[1]]
    own = [ids == i for i in (1, 5)]
    paths = network_export.export(model, tmp_path, kind, 2, *SIZE)
    assert set(paths) == {"adapt", "heat_map", "step"}
    loaded = {f: network_export.load(path, kind, f) for f, path in paths.items()}

    def run(function, **given):
        if kind == "litert":
            return loaded[function](**given)
        return loaded[function](given)

    visual_guides = np.stack([guides.visual_guide(frames[0], mask) for mask in own])
    modulation = run("adapt", visual_guide=visual_guides)["modulation"]
    assert np.ptp(modulation, axis=0).max() > 0.1  # two objects, two answers
    heat = run("heat_map", mask=np.stack(own).astype(np.uint8))["guide"]
    expected = np.stack([guides.spatial_guide(mask) for mask in own])
    np.testing.assert_allclose(heat, expected, atol=1e-5)
    image = guides.network_image(frames[1])[None]
    state = model.initial_state(2, *SIZE)
    flat = [np.array(value) for pair in state for value in pair]
    given = {f"state_{k}": value for k, value in enumerate(flat)}
    found = run("step", image=image, guide=heat, modulation=modulation, **given)
    logits, state = model.step(
        model.encode(image), expected, model.adapt(visual_guides), state
    )
    scale = np.abs(logits).max()
    np.testing.assert_allclose(found["logits"], logits, atol=1e-4 * scale)
    assert np.ptp(logits) > 0.1
    flat = [value for pair in state for value in pair]
    for k, value in enumerate(flat):
        np.testing.assert_allclose(found[f"new_state_{k}"], value, atol=1e-4)
    assert set(found) == {"logits", *(f"new_state_{k}" for k in range(len(flat)))}


@pytest.mark.parametrize("name", ["osvos", "masktrack_m"])
def test_networks_without_some_functions(network, tmp_path, name):
    model = network(name)
    paths = network_export.export(model, tmp_path, "saved_model", 1, *SIZE)
    wanted = {"osvos": {"step"}, "masktrack_m": {"adapt", "heat_map", "step"}}
    assert set(paths) == wanted[name]
    differences = network_export.check(model, paths, "saved_model", 1, *SIZE)
    assert max(differences.values()) < 1e-5


@pytest.mark.slow
def test_saved_model_takes_any_size_and_number(network, tmp_path):
    model = network("osmn")
    paths = network_export.export(model, tmp_path, "saved_model", 1, *SIZE)
    for objects, size in ((1, (48, 64)), (3, (33, 50))):
        network_export.check(model, paths, "saved_model", objects, *size)


@pytest.mark.slow
def test_another_network_is_noticed(network, tmp_path):
    """The check can fail: files of one network, compared with another."""
    paths = network_export.export(network("osmn"), tmp_path, "saved_model", 1, *SIZE)
    other = network("osmn", alignment="exact")
    other.seg.decoder.fusion.bias.assign_add([1.0])
    with pytest.raises(RuntimeError, match="step differs from the Keras model"):
        network_export.check(other, paths, "saved_model", 1, *SIZE)


def test_missing_packages_are_named(network, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)  # as if not installed
    with pytest.raises(InputError, match=r"osmn_recurrent\[export\]"):
        network_export.export(network("osmn"), tmp_path, "onnx", 1, *SIZE)
    assert not list(tmp_path.glob("*.onnx"))
