"""VGG16's layers in the files of other programs: the one place that knows them.

Layers are called as in the release: conv1_1 ... conv5_3, fc6, fc7, and
OSVOS' side outputs conv2_2_16 ... upscore-fuse. Every kind of file has names
of its own, and some have other layouts:

- slim, OSVOS: convolutions (h, w, in, out), fc6 and fc7 too;
- Keras, `.npy`: fc6 (7*7*512, 4096) and fc7 (4096, 4096), rows in the order
  height, width, channel;
- torchvision: (out, in, h, w), fc6 (4096, 512*7*7), columns in the order
  channel, height, width, fc7 (out, in).
"""

import re

import numpy as np

from osmn_recurrent.backbones.vgg16 import CONVS_PER_BLOCK

CONVS = tuple(
    f"conv{block}_{i + 1}"
    for block, count in enumerate(CONVS_PER_BLOCK, 1)
    for i in range(count)
)
DENSE = ("fc6", "fc7")
SIDES = ("conv2_2_16", "conv3_3_16", "conv4_3_16", "conv5_3_16", "upscore-fuse")

_OPTIMISER = r"global_step|.*/(Adam|Adam_1|Momentum)|(\w+/)*beta[12]_power"
_TORCHVISION = {
    **dict(zip(("0", "2", "5", "7", "10", "12", "14"), CONVS)),
    **dict(zip(("17", "19", "21", "24", "26", "28"), CONVS[7:])),
}
"""Numbers of torchvision's convolutions in `features`; the others are ReLU and
pooling."""

KINDS = {
    "slim VGG16": (
        r"vgg_16/(?:conv\d/)?(conv\d_\d|fc[67])/(weights|biases)",
        rf"vgg_16/(fc8/.*|mean_rgb)|{_OPTIMISER}",
    ),
    "OSVOS": (
        r"osvos/(?:conv\d/)?(conv\d_\d(?:_16)?|upscore-fuse)/(weights|biases)",
        rf"osvos/(score-dsn_\d(-up)?|score-multi\d-up)/.*|{_OPTIMISER}",
    ),
    "Keras VGG16": (
        r"(?:.*/)?(block\d_conv\d|fc[12])/(kernel|bias)",
        r"(?:.*/)?predictions/.*",
    ),
    "torchvision VGG16": (
        r"(features\.\d+|classifier\.[03])\.(weight|bias)",
        r"classifier\.6\..*",
    ),
    "Caffe's VGG16": (
        r"(conv\d_\d(?:_16)?|fc[67]|new-score-weighting)[/_]"
        r"(weights|biases|kernel|bias|w|b|W)",
        r"(fc8|score-dsn_\d)[/_].*",
    ),
}
"""By kind: the names of what is used (layer, leaf) and of what is left out."""


def recognise(names):
    """Which kind of VGG16 a file holds.

    Args:
        names: of the file's tensors.

    Returns:
        `(kind, used, left_out)`: key of `KINDS`, `{name in the file: (layer,
        "weights" or "biases")}` and a list of names; None for another file.
    """
    names = list(names)
    for kind, (wanted, other) in KINDS.items():
        found = {name: re.fullmatch(wanted, name) for name in names}
        if any(found.values()):
            used = {
                name: (_layer(match[1]), "biases" if match[2][0] == "b" else "weights")
                for name, match in found.items()
                if match and _layer(match[1])
            }
            return kind, used, [n for n in names if re.fullmatch(other, n)]
    return None


def _layer(text):
    """The release's name of a layer, or None for one that VGG16 has not."""
    text = {
        "fc1": "fc6",
        "fc2": "fc7",
        "classifier.0": "fc6",
        "classifier.3": "fc7",
        "new-score-weighting": "upscore-fuse",
    }.get(text, text)
    text = re.sub(r"^block(\d)_conv(\d)$", r"conv\1_\2", text)
    if text.startswith("features."):
        text = _TORCHVISION.get(text.removeprefix("features."))
    return text if text in (*CONVS, *DENSE, *SIDES) else None


def to_network(kind, layer, array):
    """A tensor in the networks' layout, (h, w, in, out) or (out,).

    Args:
        kind: key of `KINDS`.
        layer: "conv1_1" ... "fc7".
        array: as it is in the file.

    Returns:
        A view of it; an array of an unexpected shape stays as it is.
    """
    torch = kind == "torchvision VGG16"
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0) if torch else array
    if array.ndim != 2 or layer not in DENSE:
        return array
    rows, columns = array.shape[::-1] if torch else array.shape
    side = 7 if layer == "fc6" else 1
    if rows % side**2:
        return array
    if torch:
        array = array.reshape(columns, rows // side**2, side, side)
        return array.transpose(2, 3, 1, 0)
    return array.reshape(side, side, rows // side**2, columns)


def shape_in_network(kind, layer, shape):
    """Shape that `to_network` would give, without any values."""
    # A broadcast scalar takes no memory, and its views none either.
    return to_network(kind, layer, np.broadcast_to(np.float32(0), shape)).shape
