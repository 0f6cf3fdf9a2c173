"""Loads VGG16 of other programs as start weights of our networks.

Reads slim's vgg_16.ckpt, Keras' VGG16 (.h5, .weights.h5, .keras; with and
without top), torchvision's state dict saved as .npz or .safetensors, OSVOS'
checkpoints (TF1) and, with `allow_pickle`, VGG16 in .npy. The ImageNet
classes (fc8) are left out; all that is not VGG16 keeps its new values.

The networks read BGR minus (104, 117, 123). So do Keras' and Caffe's VGG16
and OSVOS; slim's read RGB minus its mean, and the OSMN release fed it BGR all
the same: `swap_rgb` corrects that. torchvision's read RGB divided by about 57;
with `swap_rgb` its features have the right colours and another scale.
"""

import functools
import os
from collections.abc import Iterable

import keras
import numpy as np

from checkpoints_tools.formats import open_weights
from checkpoints_tools.loading import ImportReport, Offer, Portion, load_offers
from checkpoints_tools.vgg16_names import (
    DENSE,
    KINDS,
    SIDES,
    recognise,
    shape_in_network,
    to_network,
)
from checkpoints_tools.weight_files import array_of
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import named_weights
from osmn_recurrent.models.segmentation_model import SegmentationModel

PARTS = ("seg", "modulator")

FIRST_LAYERS = ("normal", "copy")
"""What becomes of conv1_1 where the mask is a channel more; see `load_vgg16`."""

NEW_KERNELS = 0.001
"""Standard deviation of the kernels that the release's files do not fill."""


def load_vgg16(
    model: SegmentationModel,
    path: str | os.PathLike,
    into: Iterable[str] = PARTS,
    swap_rgb: bool = False,
    allow_pickle: bool = False,
    allow_missing: str | None = None,
    first_layer: str = "normal",
    portion: Portion | None = None,
) -> ImportReport:
    """Loads VGG16 (or OSVOS) into a network.

    Into "seg" go conv1 to conv5, from OSVOS' files the side outputs and
    `upscore-fuse` too; into "modulator" conv1 to conv5, fc6 and fc7. fc1 of
    Keras and classifier.0 of torchvision become the 7x7 convolution fc6.
    Either everything is loaded or the network stays unchanged.

    Args:
        model: a built `SegmentationModel`.
        path: slim's `vgg_16.ckpt` (format V1 or V2), Keras' VGG16 in any of
            its formats, torchvision's state dict as `.npz` or
            `.safetensors`, OSVOS' TF1 checkpoint, or a pickled `.npy`.
        into: parts, of "seg" and "modulator".
        swap_rgb: reverse the input channels of conv1_1.
        allow_pickle: permission to read a pickled `.npy` file.
        allow_missing: regular expression, searched in our paths (such as
            "modulator/fc6/kernel"), or in the file's names for what is left
            over there: these may fail to fit and are not loaded.
        first_layer: of a network that reads the mask as a channel more
            (MaskTrack), VGG16's conv1_1 does not fit the kernel: "normal" draws it
            from N(0, 0.001), as the release does with every kernel that its file
            lacks (both papers' figures); "copy" puts VGG16's into the image's
            channels and zeros into the mask's, so that the trunk sees what it knows.
        portion: `loading.Portion` of the network to fill; None: all of it.

    Returns:
        `ImportReport`; its names are our paths.

    Raises:
        InputError: missing, damaged or other files, parts that the network
            lacks, and any variable that does not fit, each one named.
    """
    source = open_weights(path, allow_pickle)
    recognised = recognise(source.tensors)
    if recognised is None:
        raise InputError(
            f"{path} ({source.format}) holds no VGG16: of its {len(source.tensors)} "
            f"tensors none is called as in {', '.join(KINDS)}; give such a file, or "
            "see what it holds with osmn inspect."
        )
    kind, used, left_out = recognised
    with_sides = any(layer in SIDES for layer, _ in used.values())
    own = named_weights(model)
    targets = {}
    for part in into:
        targets |= _targets(model, own, part, with_sides)
    offers, unasked = _offers(source, kind, used, into, swap_rgb)
    known = {*used, *left_out}
    drawn = _widen_first_layer(offers, targets, first_layer)
    for name, info in source.tensors.items():
        if name not in known:
            offers[name] = Offer(name, info.shape, info.dtype, None)
    report = load_offers(
        model,
        source,
        offers,
        targets,
        left_out=[*left_out, *unasked],
        fresh=[name for name in own if name not in targets],
        allow_missing=allow_missing,
        portion=portion,
        hint=f"It was read as {kind} for {' and '.join(into)}; choose the parts with "
        "--into, and let --allow_missing=PATTERN name what may stay as it is.",
    )
    for name in drawn:
        if portion is None or portion.leaves_open(name):
            values = keras.initializers.RandomNormal(0.0, NEW_KERNELS)(own[name].shape)
            own[name].assign(values)
    return report


def _widen_first_layer(offers, targets, first_layer):
    """Fits conv1_1 to networks that read the mask as a channel more.

    Returns:
        Paths of the kernels that are to be drawn anew; they leave `offers` and
        `targets`.
    """
    if first_layer not in FIRST_LAYERS:
        raise ValueError(
            f"first_layer must be one of {FIRST_LAYERS}. Received: {first_layer!r}"
        )
    drawn = []
    for name in [name for name in offers if name.endswith("conv1_1/kernel")]:
        offer = offers[name]
        wanted = tuple(targets[name].shape) if name in targets else offer.shape
        if len(offer.shape) != 4 or wanted[2] <= offer.shape[2]:
            continue
        if first_layer == "normal":
            del offers[name], targets[name]
            drawn.append(name)
        else:
            more = wanted[2] - offer.shape[2]
            shape = (*offer.shape[:2], wanted[2], offer.shape[3])
            read = functools.partial(_padded, offer.read, more)
            offers[name] = Offer(offer.name, shape, offer.dtype, read)
    return drawn


def _padded(read, more):
    """A kernel with zeros for the channels before the image's."""
    return np.pad(array_of(read()), [(0, 0), (0, 0), (more, 0), (0, 0)])


def _targets(model, own, part, with_sides):
    """`{our path: variable}` of what VGG16 gives a part of the network."""
    if part not in PARTS or getattr(model, part, None) is None:
        raise InputError(
            f"into={part}: {model.name} has no such part for VGG16; it has "
            f"{', '.join(p for p in PARTS if getattr(model, p, None) is not None)}."
        )
    layers = [f"{part}/conv"]
    if part == "modulator":
        layers += [f"{part}/{name}/" for name in DENSE]
    elif with_sides:
        layers += [f"{part}/decoder/{name}/" for name in SIDES]
    return {name: v for name, v in own.items() if name.startswith(tuple(layers))}


def _offers(source, kind, used, into, swap_rgb):
    """`{our path: Offer}`, and the file's names that no part asks for."""
    offers, unasked = {}, []
    for name, (layer, leaf) in used.items():
        parts = [part for part in into if _belongs(layer, part)]
        if not parts:
            unasked.append(name)
        info = source.tensors[name]
        read = functools.partial(_read, source, name, kind, layer, swap_rgb)
        offer = Offer(name, shape_in_network(kind, layer, info.shape), info.dtype, read)
        own = {_path(part, layer, leaf): offer for part in parts}
        for twice in offers.keys() & own.keys():
            raise InputError(
                f"{source.path} has both {offers[twice].name} and {name} for {twice}; "
                "give a file with one VGG16."
            )
        offers |= own
    return offers, unasked


def _belongs(layer, part):
    if layer in DENSE:
        return part == "modulator"
    return layer not in SIDES or part == "seg"


def _path(part, layer, leaf):
    leaf = {"weights": "kernel", "biases": "bias"}[leaf]
    if layer in SIDES:
        return f"{part}/decoder/{layer}/{leaf}"
    if layer in DENSE:
        return f"{part}/{layer}/{leaf}"
    return f"{part}/{layer[:5]}/{layer}/{leaf}"


def _read(source, name, kind, layer, swap_rgb):
    array = to_network(kind, layer, array_of(source.read(name)))
    if swap_rgb and layer == "conv1_1" and array.ndim == 4:
        array = array[:, :, ::-1]
    return array
