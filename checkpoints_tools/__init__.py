"""Weights of other programs and formats, in and out.

The public names are loaded when they are first used.
"""

import importlib

_MODULES = {
    "export_osmn_checkpoint": "export_tf1",
    "load_osmn_checkpoint": "import_osmn",
}

__all__ = sorted(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)


def __dir__():
    return __all__
