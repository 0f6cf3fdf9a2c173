"""NumPy's files: `.npz`, and pickled `.npy` where the user allows it."""

import pickle

import numpy as np
from numpy.lib import format as npy

from checkpoints_tools.weight_files import TensorInfo, WeightFile, reason
from osmn_recurrent.archives import open_archive
from osmn_recurrent.errors import InputError

MOST_HEADER = 10_000
"""Length of an array's header in bytes; real ones have about 100."""


class NpzFile(WeightFile):
    """A `.npz` archive of arrays; pickled objects in it are refused."""

    format = "NumPy archive (.npz)"

    def __init__(self, path):
        self._archive = open_archive(path)
        tensors = {}
        for entry in self._archive.infolist():
            name = entry.filename.removesuffix(".npy")
            try:
                with self._archive.open(entry) as stream:
                    tensors[name] = _header(stream, entry)
            except InputError:
                raise
            except Exception as error:  # zlib, zipfile and numpy raise many kinds
                raise InputError(
                    f"{path}: {name} cannot be read as an array ({reason(error)}); "
                    "the file is damaged or no archive of arrays."
                ) from None
            if tensors[name].dtype.hasobject:
                raise InputError(
                    f"{path}: {name} holds pickled Python objects, which could run "
                    "any code when read; save it as plain arrays (numpy.savez)."
                )
        super().__init__(path, [path], tensors)

    def _read(self, name):
        with self._archive.open(f"{name}.npy") as stream:
            return npy.read_array(stream, allow_pickle=False)


def _header(stream, entry):
    """`TensorInfo` of an array whose data is as long as its header says."""
    shape, dtype = _read_header(stream)
    info = TensorInfo(shape, dtype)
    if not dtype.hasobject and stream.tell() + info.bytes != entry.file_size:
        raise ValueError(
            f"its header says {info.bytes} bytes, the archive "
            f"{entry.file_size - stream.tell()}"
        )
    return info


def _read_header(stream):
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream, max_header_size=MOST_HEADER)
    return tuple(shape), dtype


class PickledNpyFile(WeightFile):
    """A `.npy` file with a pickled dict of arrays (VGG16 in Caffe's circles).

    Three forms are known: `{"conv1_1": {"weights": W, "biases": b}}`,
    `{"conv1_1": [W, b]}` and `{"conv1_1_w": W, "conv1_1_b": b}`. Names become
    "conv1_1/weights" and "conv1_1/biases".

    Args:
        path: the file.
        allow_pickle: must be True. Even then only arrays and plain containers
            are unpickled, no other objects.

    Raises:
        InputError: no permission, or a file of another kind.
    """

    format = "pickled NumPy file (.npy)"

    def __init__(self, path, allow_pickle):
        if not allow_pickle:
            raise InputError(
                f"{path} is a pickled .npy file, which can run any code when it is "
                "read; give --allow_pickle if you trust its source."
            )
        try:
            with path.open("rb") as stream:
                _, dtype = _read_header(stream)
                if not dtype.hasobject:
                    raise ValueError("it holds one plain array, not a dict of arrays")
                content = _Unpickler(stream, encoding="latin1").load()
            self._arrays = dict(_flattened(content))
        except Exception as error:  # pickle raises many kinds
            raise InputError(
                f"{path} cannot be read as a pickled dict of arrays "
                f"({reason(error)}); use another file."
            ) from None
        super().__init__(
            path,
            [path],
            {n: TensorInfo(a.shape, a.dtype) for n, a in self._arrays.items()},
        )

    def _read(self, name):
        return self._arrays[name]


class _Unpickler(pickle.Unpickler):
    """Knows what a dict of arrays is made of and nothing else."""

    def find_class(self, module, name):
        module = module.replace("numpy._core", "numpy.core")
        if (module, name) in {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it wants to use {module}.{name}")


def _flattened(content):
    content = np.asarray(content, dtype=object).item()
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a dict")
    for layer, values in content.items():
        if isinstance(values, dict):
            pairs = [(f"{layer}/{leaf}", value) for leaf, value in values.items()]
        elif isinstance(values, list | tuple):
            pairs = zip((f"{layer}/weights", f"{layer}/biases"), values, strict=True)
        else:
            layer, _, leaf = str(layer).rpartition("_")
            pairs = [(f"{layer}/{ {'w': 'weights', 'b': 'biases'}[leaf] }", values)]
        for name, value in pairs:
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise ValueError(f"{name} is no array of numbers")
            yield name, array
