"""Keras' files: `.weights.h5` and `.keras` of Keras 3, `.h5` of its elders."""

import json
import re

import h5py

from checkpoints_tools.weight_files import TensorInfo, WeightFile, reason
from osmn_recurrent.archives import open_archive
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.stored_weights import WEIGHTS_MEMBER, datasets_of

LEAVES = {
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "modulated_conv_lstm2d": ("kernel", "recurrent_kernel", "bias"),
}
"""Keras 3 numbers a layer's variables; these are their names by the layer's
class. All other layers here have ("kernel", "bias")."""

STATISTICS = ("moving_mean", "moving_square", "seen")
"""Of `ChannelwiseModulator`: its last variables, since Keras counts the trainable ones
first."""

OLD_LEAF = re.compile(r"(?:^|_)(kernel|bias|W|b)(?:_\d+)?(?::\d+)?$")
"""How Keras 1 and 2 name variables: `kernel:0`, `block1_conv1_W_1:0`."""


class H5File(WeightFile):
    """An HDF5 file of Keras.

    Names are those of the layers, without the model's: "conv1/conv1_1/kernel"
    for a layer conv1_1 in a layer conv1.

    Args:
        path: the file as the user named it.
        stream: what to read instead of `path`, for a file in an archive.
        settings: see `WeightFile`.

    Raises:
        InputError: a damaged file, no weights in it, or links out of it.
    """

    format = "Keras weights (HDF5)"

    def __init__(self, path, stream=None, settings=None):
        try:
            self._file = h5py.File(stream or path, "r")
            self._datasets = dict(_datasets(self._file, path))
        except InputError:
            raise
        except Exception as error:  # h5py raises many kinds
            raise InputError(
                f"{path} cannot be read as HDF5 ({reason(error)}); it is damaged or "
                "truncated, copy it again."
            ) from None
        if not self._datasets:
            raise InputError(f"{path} holds no weights that Keras wrote.")
        super().__init__(
            path,
            [path],
            {n: TensorInfo(d.shape, d.dtype) for n, d in self._datasets.items()},
            settings,
        )

    def _read(self, name):
        return self._datasets[name][()]


class KerasFile(H5File):
    """A `.keras` archive. Its settings are read as text; nothing is built.

    Raises:
        InputError: also where it holds Python code (a Lambda layer).
    """

    format = "Keras model (.keras)"

    def __init__(self, path):
        self._archive = open_archive(path)
        try:
            config = json.loads(self._archive.read("config.json"))
            stream = self._archive.open(WEIGHTS_MEMBER)
        except Exception as error:  # zipfile, zlib and json raise many kinds
            raise InputError(
                f"{path} cannot be read as a .keras file ({reason(error)}); it is "
                "damaged or of another type, copy it again."
            ) from None
        if _holds_code(config):
            raise InputError(
                f"{path} holds Python code (a Lambda layer), which would run when "
                "the model is built; only networks made of data are read."
            )
        super().__init__(path, stream, config)


def _holds_code(config):
    """Whether a Keras configuration has marshalled Python code in it."""
    if isinstance(config, dict):
        if config.get("class_name") in ("Lambda", "__lambda__"):
            return True
        config = list(config.values())
    return isinstance(config, list) and any(_holds_code(value) for value in config)


def _datasets(file, path):
    """(name, dataset) of the weights of any version of Keras."""
    root = file["model_weights"] if "model_weights" in file else file
    for place, dataset in datasets_of(root, path):
        if re.fullmatch(r"\d+", place.rpartition("/")[2]):
            yield _new_name(root, place), dataset
        else:
            yield _old_name(place), dataset


def _new_name(root, place):
    """Keras 3: layers/<class>/.../vars/<number>, names kept as attributes."""
    *parts, _, number = place.split("/")
    names = []
    for depth in range(1, len(parts) + 1):
        own = root["/".join(parts[:depth])].get("vars")
        if own is not None and "name" in own.attrs:
            names.append(own.attrs["name"])
    kind = re.sub(r"_\d+$", "", parts[-1]) if parts else ""
    leaves = LEAVES.get(kind, ("kernel", "bias"))
    if kind == "channelwise_modulator":
        leaves = _channelwise_leaves(root["/".join(parts)]["vars"])
    leaf = leaves[int(number)] if int(number) < len(leaves) else number
    return "/".join([*names, leaf])


def _channelwise_leaves(own):
    """Names of a channelwise modulator's variables, from their number and shapes."""
    trained = [own[str(k)].shape for k in range(len(own) - len(STATISTICS))]
    names = ["scale", "bias"]
    if len(trained) > 2 and len(trained[2]) == 1:  # ReConvNet's
        names += ["scale_convlstm", "bias_convlstm"]
    names += ["mixing_in", "mixing_out"][: len(trained) - len(names)]
    return (*names, *STATISTICS)


def _old_name(place):
    """Keras 1 and 2: <layer>/<layer>/kernel:0 or <layer>/<layer>_W_1:0."""
    *parts, last = place.split("/")
    found = OLD_LEAF.search(last)
    leaf = last.removesuffix(":0")
    if found:
        leaf = {"W": "kernel", "b": "bias"}.get(found[1], found[1])
    layers = [p for i, p in enumerate(parts) if i == 0 or p != parts[i - 1]]
    return "/".join([*layers, leaf])


def is_h5(path):
    """Whether a file begins as HDF5 does."""
    with path.open("rb") as stream:
        return stream.read(8) == bytes.fromhex("894844460d0a1a0a")
