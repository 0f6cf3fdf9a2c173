"""Files of weights that are too large, lead elsewhere, or are another network's."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

from osmn_recurrent.errors import InputError
from osmn_recurrent.models import building


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """`{network: file of weights}`, compact."""
    folder, found = tmp_path_factory.mktemp("saved"), {}
    for name in ("osmn", "reconvnet", "osvos", "masktrack"):
        found[name] = folder / f"{name}.weights.h5"
        building.build_model(name, "vgg16_compact").save_weights(found[name])
    building.build_model("osmn", "vgg16_compact").save(folder / "osmn.keras")
    found["keras"] = folder / "osmn.keras"
    return found


@pytest.mark.parametrize(
    ("file", "network"),
    [("osmn", "osvos"), ("reconvnet", "osmn"), ("reconvnet", "osvos")],
)
def test_a_larger_networks_file_is_refused(saved, file, network):
    model = building.build_model(network, "vgg16_compact")
    before = building.weights_digest(model)
    with pytest.raises(InputError, match="so it is another network's; choose"):
        building.load_weights(model, saved[file])
    assert building.weights_digest(model) == before
    for name in ("osmn", "reconvnet", "osvos", "masktrack"):
        own = building.build_model(name, "vgg16_compact", weights=saved[name])
        assert own.name


def rewritten(source, target, **members):
    """Copies an archive; `members` replaces or adds some (dots as __)."""
    members = {k.replace("__", "."): v for k, v in members.items()}
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if name not in members:
                new.writestr(name, old.read(name))
        for name, content in members.items():
            with new.open(zipfile.ZipInfo(name), "w", force_zip64=True) as stream:
                for part in content:
                    stream.write(part)
    return target


def test_a_keras_file_with_too_much_text_is_refused(saved, tmp_path):
    text = (b" " * 2**20 for _ in range(80))
    path = rewritten(saved["keras"], tmp_path / "a.keras", config__json=text)
    for load in (
        building.load_model,
        lambda path: building.load_weights(
            building.build_model("osmn", "vgg16_compact"), path
        ),
    ):
        with pytest.raises(InputError, match="config.json has 83,886,080 bytes, more"):
            load(path)


def h5_bytes(**arrays):
    """An HDF5 file of arrays that take no room, by shape."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, shape in arrays.items():
            file.create_dataset(f"layers/{name}/vars/0", shape, chunks=True)
    return content.getvalue()


def test_arrays_that_would_fill_the_memory_are_refused(saved, tmp_path):
    content = h5_bytes(big=(1000, 1000, 1000))
    (tmp_path / "a.weights.h5").write_bytes(content)
    rewritten(saved["keras"], tmp_path / "a.keras", model__weights__h5=[content])
    model = building.build_model("osmn", "vgg16_compact")
    for load in (
        lambda: building.load_weights(model, tmp_path / "a.weights.h5"),
        lambda: building.load_weights(model, tmp_path / "a.keras"),
        lambda: building.load_model(tmp_path / "a.keras"),
    ):
        with pytest.raises(InputError, match="unpacks to 4000000000, as a file does"):
            load()


def test_links_out_of_a_file_are_refused(saved, tmp_path):
    path = tmp_path / "a.weights.h5"
    path.write_bytes(saved["osmn"].read_bytes())
    with h5py.File(path, "a") as file:
        file["layers/other"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(InputError, match="layers/other is a link to another place"):
        building.build_model("osmn", "vgg16_compact", weights=path)
    rewritten(saved["keras"], tmp_path / "b.keras", **{"../x__json": [b"{}"]})
    with pytest.raises(InputError, match="names '../x.json', which leads out"):
        building.load_model(tmp_path / "b.keras")


def test_whole_files_are_read(saved):
    model = building.load_model(saved["keras"])
    assert type(model).__name__ == "OSMN"
    building.load_weights(model, saved["keras"])
    assert np.isfinite(building.weights_of(model)[0].numpy()).all()
    with zipfile.ZipFile(saved["keras"]) as archive:
        assert json.loads(archive.read("config.json"))["class_name"] == "OSMN"
