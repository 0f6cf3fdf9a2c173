"""Reading every format, and refusing what is damaged or dangerous."""

import pickle
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from checkpoints_tools import (
    export_osmn_checkpoint,
    export_safetensors,
    load_osmn_checkpoint,
    open_weights,
)
from checkpoints_tools.inspect_checkpoint import weight_shapes
from checkpoints_tools.release_names import name_of
from checkpoints_tools.tf_checkpoints import write_checkpoint
from checkpoints_tools.weight_files import array_of
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import build_model, weights_of


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A compact ReConvNet and OSMN in each format: `{name: (path, model)}`."""
    folder = tmp_path_factory.mktemp("formats")
    found = {}
    for name in ("osmn", "reconvnet"):
        rng = np.random.default_rng(4)
        model = build_model(name, "vgg16_compact")
        for variable in weights_of(model):
            variable.assign(rng.normal(size=variable.shape))
        model.save(folder / f"{name}.keras")
        model.save_weights(folder / f"{name}.weights.h5")
        export_safetensors(model, folder / f"{name}.safetensors")
        endings = ["keras", "weights.h5", "safetensors"]
        if name == "osmn":
            export_osmn_checkpoint(model, folder / "osmn.ckpt-1")
            endings.append("ckpt-1")
        for ending in endings:
            found[f"{name}.{ending}"] = folder / f"{name}.{ending}", model
    return found


FILES = [
    *(f"{n}.{e}" for n in ("osmn", "reconvnet") for e in ("keras", "weights.h5")),
    "osmn.safetensors",
    "reconvnet.safetensors",
    "osmn.ckpt-1",
]


@pytest.mark.parametrize("name", FILES)
def test_names_and_values_of_each_format(written, name):
    path, model = written[name]
    source = open_weights(path)
    own = {name_of(v.path.split("/", 1)[1]): v for v in weights_of(model)}
    assert weight_shapes(source) == {n: tuple(v.shape) for n, v in own.items()}
    for stored in source.tensors:
        if name_of(stored) in own:
            np.testing.assert_array_equal(
                array_of(source.read(stored)), own[name_of(stored)].numpy()
            )
    assert all(re.fullmatch("[0-9a-f]{64}", h) for h in source.hashes().values())


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_safetensors_in_again_bit_for_bit(written, name):
    path, model = written[f"{name}.safetensors"]
    twin = build_model(name, "vgg16_compact")
    report = load_osmn_checkpoint(twin, path)
    assert not report.faults()
    assert not report.fresh
    for a, b in zip(weights_of(model), weights_of(twin), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    with pytest.raises(InputError, match="exists already"):
        export_safetensors(model, path)


def test_osmn_safetensors_into_reconvnet(written):
    path, model = written["osmn.safetensors"]
    target = build_model("reconvnet", "vgg16_compact")
    report = load_osmn_checkpoint(target, path)
    assert len(report.fresh) == 11
    own = {v.path.split("/", 1)[1]: v for v in weights_of(target)}
    for variable in weights_of(model):
        np.testing.assert_array_equal(
            own[variable.path.split("/", 1)[1]].numpy(), variable.numpy()
        )


def test_reconvnet_does_not_go_into_osmn(written):
    with pytest.raises(InputError, match="left over: convlstm3/kernel is"):
        load_osmn_checkpoint(
            build_model("osmn", "vgg16_compact"), written["reconvnet.safetensors"][0]
        )


def cut(path, share=0.5):
    """Cuts a file to a share of its length."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def cut_npz(folder):
    np.savez(folder / "a.npz", a=np.arange(1000.0))
    cut(folder / "a.npz")
    return folder / "a.npz"


def flipped_npz(folder):
    np.savez(folder / "a.npz", a=np.arange(1000.0))
    data = bytearray((folder / "a.npz").read_bytes())
    data[2000] ^= 255
    (folder / "a.npz").write_bytes(data)
    return folder / "a.npz"


def bomb(folder):
    """200 MB of zeros in 200 kB."""
    with zipfile.ZipFile(
        folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9
    ) as archive:
        with archive.open("a.npy", "w") as stream:
            header = {"descr": "<f4", "fortran_order": False, "shape": (50_000_000,)}
            np.lib.format.write_array_header_1_0(stream, header)
            for _ in range(50):
                stream.write(bytes(4_000_000))
    return folder / "bomb.npz"


def object_npz(folder):
    np.savez(folder / "o.npz", a=np.array([{}], dtype=object), allow_pickle=True)
    return folder / "o.npz"


def pickled_npy(folder):
    np.save(folder / "p.npy", {"conv1_1": [np.ones(1)]}, allow_pickle=True)
    return folder / "p.npy"


def torch_file(folder):
    with zipfile.ZipFile(folder / "vgg16.pth", "w") as archive:
        archive.writestr("vgg16/data.pkl", b"\x80\x02}q\x00.")
    return folder / "vgg16.pth"


def bare_pickle(folder):
    (folder / "w.pkl").write_bytes(pickle.dumps({}))
    return folder / "w.pkl"


def lambda_keras(folder):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x)])
    model.save(folder / "l.keras")
    return folder / "l.keras"


def cut_h5(folder):
    with h5py.File(folder / "a.h5", "w") as file:
        file["layer/kernel:0"] = np.arange(10_000.0)
    cut(folder / "a.h5")
    return folder / "a.h5"


def linked_h5(folder):
    with h5py.File(folder / "a.h5", "w") as file:
        file["layer/kernel:0"] = h5py.ExternalLink("/etc/hostname", "/x")
    return folder / "a.h5"


def cut_safetensors(folder):
    save_file({"a": np.arange(1000.0)}, folder / "a.safetensors")
    cut(folder / "a.safetensors")
    return folder / "a.safetensors"


def broken_settings(folder):
    save_file({"a": np.arange(3.0)}, folder / "a.safetensors")
    (folder / "a.json").write_text('{"class_name": ')
    return folder / "a.safetensors"


def cut_v2(folder, number):
    """Half of one of a checkpoint's files."""
    write_checkpoint(folder / "c", {"a": np.arange(1000.0)})
    cut(sorted(folder.glob("c.*"))[number])
    return folder / "c"


def two_shards(folder):
    write_checkpoint(folder / "c", {"a": np.arange(1000.0)})
    (folder / "c.data-00000-of-00001").rename(folder / "c.data-00000-of-00002")
    return folder / "c"


def text(folder):
    (folder / "notes.txt").write_text("conv1_1 and so on")
    return folder / "notes.txt"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (cut_npz, "cannot be read as a ZIP archive"),
        (bomb, "unpacks to 200000.*made to fill the memory"),
        (object_npz, "a holds pickled Python objects"),
        (pickled_npy, "is a pickled .npy file.*--allow_pickle"),
        (torch_file, "is a pickle, as PyTorch writes it"),
        (bare_pickle, "is a pickle, as PyTorch writes it"),
        (lambda_keras, r"holds Python code \(a Lambda layer\)"),
        (cut_h5, "cannot be read as HDF5"),
        (linked_h5, "is a link to another place"),
        (cut_safetensors, "cannot be read as safetensors"),
        (broken_settings, "a.json holds no settings in JSON"),
        (lambda f: cut_v2(f, 1), "cannot be read as a checkpoint index"),
        (lambda f: cut_v2(f, 0), "4000 bytes, expected at least 8000.*truncated"),
        (two_shards, "c.data-00001-of-00002 is not; copy"),
        (text, "is of no known kind"),
        (lambda f: f, "is a folder"),
        (lambda f: f / "no.ckpt-1", "no such file, and no no.ckpt-1.index"),
    ],
)
def test_damage_and_danger_are_refused_with_the_reason(make, message, tmp_path):
    with pytest.raises(InputError, match=message):
        open_weights(make(tmp_path))


def test_values_that_changed_on_the_disk_are_noticed(tmp_path):
    source = open_weights(flipped_npz(tmp_path))
    with pytest.raises(InputError, match="a cannot be read .*damaged or truncated"):
        source.read("a")


class Command:
    """Runs a program when it is unpickled."""

    def __reduce__(self):
        import os

        return os.system, ("touch pickle_ran",)


def test_with_permission_only_arrays_are_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("p.npy", {"conv1_1": [np.ones(1), Command()]}, allow_pickle=True)
    with pytest.raises(InputError, match="it wants to use posix.system"):
        open_weights("p.npy", allow_pickle=True)
    assert not (tmp_path / "pickle_ran").exists()


@pytest.mark.parametrize(
    "make", [cut_npz, bomb, lambda_keras, cut_safetensors, text, torch_file]
)
def test_nothing_is_loaded_from_such_a_file(make, tmp_path):
    model = build_model("osvos", "vgg16_compact")
    before = [v.numpy() for v in weights_of(model)]
    with pytest.raises(InputError):
        load_osmn_checkpoint(model, make(tmp_path))
    for variable, value in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
