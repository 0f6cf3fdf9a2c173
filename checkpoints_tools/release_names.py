"""The OSMN release's variable names and ours: the one place that knows both.

Release names are those of the TF1 graph without ":0", for example
`osmn/seg/conv3/conv3_1/weights`. Ours are Keras variable paths without the
model's own name, for example `seg/conv3/conv3_1/kernel`. Shapes are the same,
so arrays go over untransposed.
"""

import re

import numpy as np

from osmn_recurrent.backbones.mobilenet import MobileNet
from osmn_recurrent.backbones.vgg16 import VGG16
from osmn_recurrent.models import building
from osmn_recurrent.models.decoders import AtrousPyramidDecoder, HypercolumnDecoder
from osmn_recurrent.models.enlargement import bilinear_kernel

SCOPE = "osmn"
"""Scope of all variables of the release."""

PARTS = ("seg", "modulator", "modulator_sp")
"""The networks' parts, in the release and here."""

OPTIMIZER = re.compile(r"/Adam(_1)?$|^(\w+/)*beta[12]_power(_\d+)?$|^global_step$")
"""Adam's moments and bias corrections, and the step counter."""

FIXED = re.compile(r"/score-(multi[2-5]-)?up/weights$")
"""The bilinear kernels, never trained and rebuilt when the release loads."""

RECURRENT = re.compile(r"^convlstm\d|/fc8_convlstm/")
"""Our variables that OSMN does not have: ReConvNet's ConvLSTMs and gammas."""


_MOBILENET = (
    (r"^(seg|modulator)/level\d/(?=Conv2d_)", r"\1/"),
    (r"^modulator/(?=Conv2d_1c_1x1/)", "modulator/Logits/"),
    (r"^modulator/(?=Conv2d_out_)", ""),
    (r"^seg/(?=conv\d+_16/|score/)", ""),
)
"""Where the release's MobileNet has its parts, by our names."""


def release_name(path):
    """The release's name of one of our variables.

    Args:
        path: Keras path without the model's name.

    Returns:
        str, or None for ReConvNet's own variables.
    """
    if RECURRENT.search(path):
        return None
    path = path.replace("/decoder/", "/", 1).replace("_BatchNorm/", "/BatchNorm/")
    for ours, theirs in _MOBILENET:
        path = re.sub(ours, theirs, path)
    scope, _, leaf = path.rpartition("/")
    if not scope.endswith("BatchNorm"):
        leaf = {"kernel": "weights", "bias": "biases"}.get(leaf, leaf)
    if scope.endswith("_depthwise"):
        leaf = f"depthwise_{leaf}"
    return f"{SCOPE}/{scope}/{leaf}"


def is_of_the_release(model):
    """Whether the release has a graph like a network.

    Args:
        model: a built `SegmentationModel`.

    Returns:
        False for trunks and modulators that it does not have.
    """
    trunk = model.backbone
    visual = getattr(model, "visual_modulator", "release")
    added = getattr(model, "modulator_options", None)
    return isinstance(trunk, VGG16 | MobileNet) and visual == "release" and not added


def name_of(path):
    """The release's name of one of our variables; any other name stays.

    Args:
        path: Keras path without the model's name, or another program's name.
    """
    if path.split("/", 1)[0] not in PARTS:
        return path
    return release_name(path) or path


def release_variables(model):
    """Our variables by their release name.

    Args:
        model: a built `SegmentationModel`.

    Returns:
        `(named, own)`: dict of release name to Keras variable, and one of
        our path to variable for those that the release does not have.
    """
    named, own = {}, {}
    for path, variable in building.named_weights(model).items():
        name = release_name(path)
        if name is None:
            own[path] = variable
        else:
            named[name] = variable
    return named, own


def fixed_kernels(model):
    """The bilinear kernels that the release keeps as variables.

    Args:
        model: a `SegmentationModel`.

    Returns:
        Dict of release name to float32 array (2s, 2s, C, C), the identity
        over the channels.
    """
    trunk = model.backbone
    if isinstance(model.seg.decoder, AtrousPyramidDecoder):
        scales, channels = {"score-up": 8}, 1
    elif isinstance(model.seg.decoder, HypercolumnDecoder):
        channels = trunk.width.side
        scales = {
            f"score-multi{number}-up": trunk.level(number).stride
            for number in trunk.sides
        }
    else:
        return {}
    eye = np.eye(channels, dtype=np.float32)
    return {
        f"{SCOPE}/seg/{name}/weights": bilinear_kernel(stride)[:, :, None, None] * eye
        for name, stride in scales.items()
    }


def is_left_out(name):
    """Whether a checkpoint's variable is known and not a weight of ours."""
    return bool(OPTIMIZER.search(name) or FIXED.search(name))
