"""Trunks of the networks; nothing outside of this room counts their blocks.

A backbone is one file that makes `Backbone` objects, and a line here.
"""

import importlib

_MODULES = {
    "vgg16": "vgg16",
    "vgg16_compact": "vgg16",
    "deeplab": "deeplab",
    "deeplab_compact": "deeplab",
    "deeplab_masktrack": "deeplab",
    "deeplab_masktrack_compact": "deeplab",
    "mobilenet": "mobilenet",
    "mobilenet_compact": "mobilenet",
    "efficientnet_lite0": "efficientnet_lite",
    "efficientnet_lite1": "efficientnet_lite",
    "efficientnet_lite2": "efficientnet_lite",
}

NAMES = tuple(_MODULES)
"""Names of the backbones, here so that programs can list them without Keras."""

_REGISTERED = {}


def register(backbone):
    """Makes a backbone known by its name, for `build_model(..., backbone=NAME)`.

    Args:
        backbone: `Backbone`.

    Returns:
        The backbone.
    """
    _REGISTERED[backbone.name] = backbone
    return backbone


def find(name):
    """The `Backbone` called `name`.

    Args:
        name: one of `NAMES`, or of what `register` was given.

    Raises:
        ValueError: there is none.
    """
    if name not in _REGISTERED and name in _MODULES:
        importlib.import_module(f"{__name__}.{_MODULES[name]}")
    if name not in _REGISTERED:
        known = sorted({*NAMES, *_REGISTERED})
        raise ValueError(f"backbone must be one of {known}. Received: {name!r}")
    return _REGISTERED[name]
