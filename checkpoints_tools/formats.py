"""Telling the formats of weight files apart, by content."""

import os
import pathlib

from checkpoints_tools import torch_files
from checkpoints_tools.array_files import NpzFile, PickledNpyFile
from checkpoints_tools.graph_files import FrozenGraph
from checkpoints_tools.keras_files import H5File, KerasFile, is_h5
from checkpoints_tools.safetensors_files import SafetensorsFile
from checkpoints_tools.tf_checkpoints import TFCheckpoint, is_checkpoint
from checkpoints_tools.weight_files import WeightFile
from osmn_recurrent.archives import open_archive
from osmn_recurrent.errors import InputError

KNOWN = (
    "TensorFlow checkpoints, Keras .h5, .weights.h5 and .keras files, .npz, "
    ".safetensors and pickled .npy files, frozen graphs (.pb), state dicts of torch "
    "before version 1.6"
)


def open_weights(path: str | os.PathLike, allow_pickle: bool = False) -> WeightFile:
    """Opens a file of weights without reading the values.

    Args:
        path: a file, or the prefix of a TensorFlow checkpoint.
        allow_pickle: permission to read a pickled `.npy` file.

    Returns:
        `WeightFile`.

    Raises:
        InputError: a missing, damaged or unknown file, or one that is refused
            (pickle without permission, a zip bomb, Python code in it).
    """
    if is_checkpoint(path):
        return TFCheckpoint(path)
    path = pathlib.Path(path)
    if path.is_dir():
        raise InputError(
            f"{path} is a folder; give a file, or a TensorFlow checkpoint's prefix "
            "such as models/osmn.ckpt-50000."
        )
    if not path.is_file():
        raise InputError(
            f"{path}: no such file, and no {path.name}.index beside it; give a file "
            "of weights or the prefix of a TensorFlow checkpoint, such as "
            "models/osmn.ckpt-50000."
        )
    with path.open("rb") as stream:
        start = stream.read(16)
    if is_h5(path):
        return H5File(path)
    if start.startswith(b"PK\x03\x04"):
        return _open_zip(path)
    if start.startswith(b"\x93NUMPY"):
        return PickledNpyFile(path, allow_pickle)
    if start[8:9] == b"{":
        return SafetensorsFile(path)
    if start.startswith(torch_files.START):
        return torch_files.TorchFile(path)
    if path.suffix == ".pb":
        return FrozenGraph(path)
    _refuse_pickle(path, start)
    raise InputError(f"{path} is of no known kind or cut short; {KNOWN} can be read.")


def _open_zip(path):
    with open_archive(path) as archive:
        names = archive.namelist()
    if "model.weights.h5" in names:
        return KerasFile(path)
    if any(name.endswith("data.pkl") for name in names):
        _refuse_pickle(path, b"\x80")
    return NpzFile(path)


def _refuse_pickle(path, start):
    if start.startswith(b"\x80"):
        raise InputError(
            f"{path} is a pickle, as PyTorch writes it, which can run any code when "
            "it is read; save the state dict as .safetensors or .npz where it was "
            "made."
        )
