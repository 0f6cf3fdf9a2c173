"""Presets in folders, files and on servers."""

import functools
import hashlib
import http.server
import json
import threading

import keras
import numpy as np
import pytest

import osmn_recurrent as osr
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import building, presets, saved


@keras.saving.register_keras_serializable(package="test_saved")
class Narrow(osr.OSMN):
    """A subclass from outside the package."""


@pytest.fixture(scope="module")
def network():
    """A small network; `Narrow` is an OSMN by another name."""
    keras.utils.set_random_seed(0)
    model = Narrow("vgg16_compact", use_visual_modulator=False)
    model.build()
    return model


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Folder that a local server hands out, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *message):
            pass

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setattr(saved, "HUGGING_FACE", address)
        monkeypatch.setenv(presets.FOLDER_VARIABLE, str(tmp_path / "kept"))
        yield folder, address
        running.shutdown()


def same(model, other):
    pairs = zip(building.weights_of(model), building.weights_of(other), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert type(model) is type(other) and model.get_config() == other.get_config()


def test_folders_and_files_of_subclasses(network, tmp_path):
    network.save_to_preset(tmp_path / "preset", working_size=96)
    assert {p.name for p in (tmp_path / "preset").iterdir()} == {
        "config.json",
        "model.weights.h5",
    }
    same(osr.OSMN.from_preset(tmp_path / "preset"), network)
    segmenter = osr.VideoSegmenter.from_preset(tmp_path / "preset")
    assert segmenter.working_size == 96
    network.save(tmp_path / "n.keras")
    same(osr.SegmentationModel.from_preset(tmp_path / "n.keras"), network)
    same(osr.load_model(tmp_path / "n.keras"), network)
    for source in ("preset", "n.keras"):
        with pytest.raises(InputError, match="holds a Narrow, expected .* a OSVOS"):
            osr.OSVOS.from_preset(tmp_path / source)


def test_damaged_folders_are_refused(network, tmp_path):
    network.save_to_preset(tmp_path)
    weights, config = tmp_path / "model.weights.h5", tmp_path / "config.json"
    whole, text = weights.read_bytes(), config.read_text()
    weights.write_bytes(whole[:-1] + b"x")
    with pytest.raises(InputError, match="has not the SHA-256 that .*config.json"):
        osr.OSMN.from_preset(tmp_path)
    weights.unlink()
    with pytest.raises(InputError, match=r"model.weights.h5 is missing"):
        osr.OSMN.from_preset(tmp_path)
    weights.write_bytes(whole)
    for wrong in ("{", "[]", text.replace("vgg16_compact", "vgg19"), "{}"):
        config.write_text(wrong)
        with pytest.raises(InputError, match="config.json does not describe"):
            osr.OSMN.from_preset(tmp_path)
    config.write_text(json.dumps({"class_name": "Dense", "config": {}}))
    with pytest.raises(InputError, match="holds a Dense, expected one of"):
        osr.OSMN.from_preset(tmp_path)


def test_published_presets_by_class():
    model = osr.OSMN.from_preset("osmn-compact")
    same(model, osr.build_model("osmn", "vgg16_compact", weights="osmn-compact"))
    with pytest.raises(InputError, match="osmn-compact is a OSMN, expected a OSVOS"):
        osr.OSVOS.from_preset("osmn-compact")
    with pytest.raises(InputError, match="osmn-compakt is neither a preset .* nor a"):
        osr.OSMN.from_preset("osmn-compakt")
    assert osr.presets()["osmn-compact"].working_size == 160
    assert set(osr.presets()) == set(presets.PRESETS)


def test_addresses_need_their_digest(network, server):
    folder, address = server
    network.save(folder / "net.keras")
    digest = hashlib.sha256((folder / "net.keras").read_bytes()).hexdigest()
    same(osr.OSMN.from_preset(f"{address}/net.keras#sha256={digest}"), network)
    with pytest.raises(InputError, match="cannot be downloaded .*net.keras|corrupted"):
        osr.OSMN.from_preset(f"{address}/net.keras#sha256={'0' * 64}")
    for source in ("net.keras", "net.keras#sha256=12", f"net.h5#sha256={digest}"):
        with pytest.raises(InputError, match="expected the address of a .keras file"):
            osr.OSMN.from_preset(f"{address}/{source}")
    with pytest.raises(InputError, match="other.keras cannot be downloaded"):
        osr.OSMN.from_preset(f"{address}/other.keras#sha256={digest}")
    (folder / "net.keras").unlink()  # it is kept
    same(osr.OSMN.from_preset(f"{address}/net.keras#sha256={digest}"), network)


def test_hugging_face_repositories(network, server):
    folder, _ = server
    place = folder / "me" / "net" / "resolve"
    network.save_to_preset(place / "main")
    network.save_to_preset(place / "v1")
    same(osr.OSMN.from_preset("hf://me/net"), network)
    kept = presets.folder() / "downloads"
    assert len(list(kept.glob("*/config.json"))) == 1
    same(osr.OSMN.from_preset("hf://me/net@v1"), network)
    (place / "main" / "model.weights.h5").write_bytes(b"other")
    config = json.loads((place / "main" / "config.json").read_text())
    config["weights_sha256"] = "0" * 64
    (place / "main" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="model.weights.h5 cannot be downloaded"):
        osr.OSMN.from_preset("hf://me/net")
    (place / "main" / "config.json").write_text("<html>")
    with pytest.raises(InputError, match="does not describe a network of this package"):
        osr.OSMN.from_preset("hf://me/net")
    with pytest.raises(InputError, match="expected hf://USER/REPOSITORY"):
        osr.OSMN.from_preset("hf://net")
