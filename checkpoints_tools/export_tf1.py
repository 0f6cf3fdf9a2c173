"""Our weights as a checkpoint that the OSMN release restores."""

import os

import numpy as np

from checkpoints_tools.release_names import (
    fixed_kernels,
    is_of_the_release,
    release_variables,
)
from checkpoints_tools.tf_checkpoints import write_checkpoint
from osmn_recurrent import files
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.segmentation_model import SegmentationModel


def export_osmn_checkpoint(
    model: SegmentationModel,
    path: str | os.PathLike,
    global_step: int = 0,
    overwrite: bool = False,
) -> str:
    """Writes a TF1 V2-format checkpoint with the release's names.

    Holds every variable that the released graph restores: weights, the fixed
    bilinear kernels and `global_step`.

    Args:
        model: a built OSMN, OSVOS or MaskTrack network (any of its variants).
        path: checkpoint prefix; `<path>.index` and
            `<path>.data-00000-of-00001` are written.
        global_step: int, number of training steps to record.
        overwrite: replace a checkpoint of that name.

    Returns:
        `path`, as str.

    Raises:
        InputError: the network has variables that the release does not know
            (ReConvNet) or a trunk or modulator of another kind, or the checkpoint
            exists.
    """
    named, own = release_variables(model)
    if own:
        raise InputError(
            f"{model.name} has {len(own)} variables that the OSMN release does not "
            f"have ({next(iter(own))}, ...), so it cannot be exported; save it as "
            ".weights.h5 or .keras."
        )
    if not is_of_the_release(model):
        raise InputError(
            f"the OSMN release has no {model.name} on {model.backbone.name} with this "
            "visual modulator, so it cannot be exported; save it as .weights.h5 or "
            ".keras, or write .safetensors."
        )
    files.refuse_to_overwrite(f"{path}.index", overwrite)
    tensors = {name: variable.value for name, variable in named.items()}
    tensors |= fixed_kernels(model)
    tensors["global_step"] = np.int32(global_step)  # the release restores no other type
    write_checkpoint(path, tensors)
    return str(path)
