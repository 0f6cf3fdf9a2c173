"""MobileNet v1's layers in the files of other programs: the one place for them.

Layers are called as in slim and the release: Conv2d_0, Conv2d_1_depthwise,
Conv2d_1_pointwise ... Kernels have the same layout everywhere.
"""

import re

from osmn_recurrent.backbones.mobilenet import LAST_OF_LEVELS

LAYERS = (
    "Conv2d_0",
    *(
        f"Conv2d_{number}_{kind}"
        for number in range(1, LAST_OF_LEVELS[-1] + 1)
        for kind in ("depthwise", "pointwise")
    ),
)
NORM = ("gamma", "beta", "moving_mean", "moving_variance")

_SLIM = re.compile(
    r"MobilenetV1/(Conv2d_\d+(?:_\w+wise)?)/"
    r"(?:BatchNorm/)?(weights|depthwise_weights|gamma|beta|moving_mean|moving_variance)"
)
_KERAS = re.compile(
    r"(?:.*/)?conv(?:_(dw|pw)_(\d+)|1)(?:_bn)?/"
    r"(kernel|depthwise_kernel|gamma|beta|moving_mean|moving_variance)"
)
CLASSIFIERS = {
    "MobilenetV1/Logits/Conv2d_1c_1x1/weights": "kernel",
    "MobilenetV1/Logits/Conv2d_1c_1x1/biases": "bias",
    "conv_preds/kernel": "kernel",
    "conv_preds/bias": "bias",
}
"""ImageNet's classes; slim has one more before them."""


def recognise(names):
    """Which tensors of a file are MobileNet's.

    Args:
        names: of the file's tensors.

    Returns:
        `({(layer, leaf): name}, {leaf of the classifier: name})`, leaf "kernel",
        "gamma" ...; empty where there is none.
    """
    used, classifier = {}, {}
    for name in names:
        short = name.split("/", 1)[-1] if name.endswith("/conv_preds") else name
        if short in CLASSIFIERS:
            classifier[CLASSIFIERS[short]] = name
        elif found := _SLIM.fullmatch(name):
            used[found[1], _leaf(found[2])] = name
        elif found := _KERAS.fullmatch(name):
            kind = {"dw": "_depthwise", "pw": "_pointwise", None: ""}[found[1]]
            used[f"Conv2d_{found[2] or 0}{kind}", _leaf(found[3])] = name
    return {key: name for key, name in used.items() if key[0] in LAYERS}, classifier


def _leaf(name):
    return "kernel" if name.endswith(("weights", "kernel")) else name


def path_of(layer, leaf):
    """Our path of a layer's variable, within a part of a network.

    Args:
        layer: of `LAYERS`.
        leaf: "kernel" or of `NORM`.
    """
    number = int(layer.split("_")[1])
    level = next(n for n, last in enumerate(LAST_OF_LEVELS, 1) if number <= last)
    return f"level{level}/{layer}{'' if leaf == 'kernel' else '_BatchNorm'}/{leaf}"
