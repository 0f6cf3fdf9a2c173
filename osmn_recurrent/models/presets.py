"""Building a network by name."""

import json
import pathlib
import zipfile

from osmn_recurrent.errors import InputError
from osmn_recurrent.models.masktrack import MaskTrack, MaskTrackM
from osmn_recurrent.models.osmn import OSMN
from osmn_recurrent.models.osvos import OSVOS, OSVOSM
from osmn_recurrent.models.reconvnet import ReConvNet

MODELS = {
    "osmn": OSMN,
    "reconvnet": ReConvNet,
    "osvos": OSVOS,
    "osvos_m": OSVOSM,
    "masktrack": MaskTrack,
    "masktrack_m": MaskTrackM,
}


def build_model(name, size="full", weights=None, **options):
    """Makes a network with its variables.

    Args:
        name: "osmn", "reconvnet", "osvos", "osvos_m", "masktrack" or
            "masktrack_m".
        size: "full" (the papers' widths) or "compact" (trains on a laptop).
        weights: a Keras `.weights.h5` or `.keras` file of the same network,
            or None for new weights. Other formats go through
            `checkpoints_tools`.
        **options: of the network's class, such as `mod_early_conv`,
            `use_visual_modulator`, `use_spatial_modulator`, `alignment`
            (`OSMN`), `coupling` (`ReConvNet`), `aligned_size` (`MaskTrack`),
            and `dtype`, a Keras policy such as "mixed_bfloat16".

    Returns:
        A built `SegmentationModel`.

    Raises:
        ValueError: unknown name or size.
        InputError: weights that are missing, damaged or of another network.
    """
    if name not in MODELS:
        raise ValueError(f"name must be one of {sorted(MODELS)}. Received: {name!r}")
    model = MODELS[name](size=size, **options)
    model.build()
    if weights is not None:
        load_weights(model, weights)
    return model


def with_dtype(model, dtype):
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


def load_weights(model, path):
    """Loads a `.weights.h5` or `.keras` file, all of it or nothing.

    Args:
        model: a built `SegmentationModel`.
        path: the file.

    Raises:
        InputError: missing or damaged file, another format, or weights of
            another network; `model` keeps its weights.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(
            f"{path}: no such weights file; give a .weights.h5 or .keras file "
            "(TensorFlow 1 checkpoints go through "
            "python -m checkpoints_tools.import_osmn)."
        )
    if not path.name.endswith((".weights.h5", ".keras")):
        raise InputError(
            f"{path} is neither a .weights.h5 nor a .keras file; convert a "
            "TensorFlow 1 checkpoint with python -m "
            "checkpoints_tools.import_osmn first."
        )
    kept = [variable.numpy() for variable in model.variables]
    try:
        if path.suffix == ".keras":
            _check_saved_class(model, path)
        model.load_weights(path)
    except InputError:
        raise
    except Exception as error:  # h5py and Keras raise many kinds
        for variable, value in zip(model.variables, kept, strict=True):
            variable.assign(value)
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{path} does not hold the weights of {model.name} "
            f"(size {model.size}): {reason} Give the file of this model, or "
            "choose the model and size that the file was saved from."
        ) from None


def _check_saved_class(model, path):
    with zipfile.ZipFile(path) as archive:
        saved = json.loads(archive.read("config.json"))["class_name"]
    if saved != type(model).__name__:
        raise InputError(
            f"{path} holds a {saved}, not a {type(model).__name__}; choose "
            "the model that it was saved from."
        )

