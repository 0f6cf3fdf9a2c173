"""Weights of other programs and formats, in and out.

The public names are loaded when they are first used.
"""

import importlib

_MODULES = {
    "export_osmn_checkpoint": "export_tf1",
    "export_safetensors": "safetensors_files",
    "load_osmn_checkpoint": "import_osmn",
    "load_vgg16": "import_vgg16",
    "open_weights": "formats",
}

__all__ = sorted(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)


def __dir__():
    return __all__
