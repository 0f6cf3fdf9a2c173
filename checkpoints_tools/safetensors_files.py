"""Safetensors: our weights with their settings, and other people's VGG16."""

import os
import pathlib

import numpy as np

from checkpoints_tools.weight_files import TensorInfo, WeightFile, reason
from osmn_recurrent import files, provenance, text_files
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import named_weights
from osmn_recurrent.models.segmentation_model import SegmentationModel

TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "U8": "uint8",
    "BOOL": "bool",
}


def _package():
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise InputError(
            "safetensors files need the package safetensors; install it with "
            'pip install "osmn_recurrent[safetensors]".'
        ) from None
    return safetensors


class SafetensorsFile(WeightFile):
    """A `.safetensors` file.

    Raises:
        InputError: a damaged file, or numbers of an unusual type.
    """

    format = "safetensors"

    def __init__(self, path):
        path = pathlib.Path(path)
        try:
            self._file = _package().safe_open(path, framework="numpy")
            tensors = {}
            for name in self._file.keys():
                part = self._file.get_slice(name)
                tensors[name] = TensorInfo(
                    tuple(part.get_shape()), np.dtype(TYPES[part.get_dtype()])
                )
        except InputError:
            raise
        except KeyError as error:
            raise InputError(
                f"{path}: {name} has the type {error.args[0]}, expected float16, "
                "float32 or float64; convert the file first."
            ) from None
        except Exception as error:  # the package raises its own kind
            raise InputError(
                f"{path} cannot be read as safetensors ({reason(error)}); it is "
                "damaged or truncated, copy it again."
            ) from None
        beside = path.with_suffix(".json")
        settings = None
        if beside.is_file():
            try:
                settings = dict(text_files.read_json(beside, "settings of a network"))
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{beside} holds no settings in JSON ({reason(error)}); remove it "
                    "or export the weights again."
                ) from None
        super().__init__(path, [path], tensors, settings)

    def _read(self, name):
        return self._file.get_tensor(name)


def export_safetensors(
    model: SegmentationModel, path: str | os.PathLike, overwrite: bool = False
) -> str:
    """Writes a network's weights as `.safetensors`, its settings beside it.

    Tensors have the names of the network's variables without the model's own
    ("seg/conv1/conv1_1/kernel"), kernels are (h, w, in, out). `<path>` with
    the ending .json names the class, its settings and the versions.

    Args:
        model: a built `SegmentationModel`, of any kind.
        path: file that ends in .safetensors.
        overwrite: replace files of that name.

    Returns:
        `path`, as str.

    Raises:
        InputError: another ending, or the file exists.
    """
    path = pathlib.Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"{path} must end in .safetensors.")
    settings = path.with_suffix(".json")
    for file in (path, settings):
        files.refuse_to_overwrite(file, overwrite)
    package = _package()
    tensors = {
        path: np.ascontiguousarray(variable.numpy())
        for path, variable in named_weights(model).items()
    }
    with files.replace_when_done(path) as temporary:
        package.numpy.save_file(tensors, temporary)
    files.write_json(
        settings,
        {
            "class_name": type(model).__name__,
            "config": model.get_config(),
            "layout": "kernels (h, w, in, out); images BGR minus (104, 117, 123)",
            "versions": provenance.versions(),
        },
    )
    return str(path)
