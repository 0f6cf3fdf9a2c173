"""Loads released OSMN checkpoints (TF1) into our networks, and our safetensors."""

import os

from checkpoints_tools.formats import open_weights
from checkpoints_tools.loading import ImportReport, Portion, load_offers, offers_of
from checkpoints_tools.release_names import (
    RECURRENT,
    is_left_out,
    name_of,
    release_variables,
)
from checkpoints_tools.safetensors_files import SafetensorsFile
from checkpoints_tools.tf_checkpoints import TFCheckpoint
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.segmentation_model import SegmentationModel


def load_osmn_checkpoint(
    model: SegmentationModel,
    path: str | os.PathLike,
    strict: bool = True,
    allow_missing: str | None = None,
    portion: Portion | None = None,
) -> ImportReport:
    """Loads a released OSMN checkpoint into a network.

    The network must have the checkpoint's variant (`mod_early_conv`,
    modulators); ReConvNet takes OSMN's checkpoints and keeps its ConvLSTMs
    and their gammas as they are. Either everything is loaded or the network
    stays unchanged.

    Args:
        model: a built `SegmentationModel`.
        path: checkpoint prefix (as `models/osmn.ckpt-50000`) or the
            name of one of its files; or a `.safetensors` file that
            `export_safetensors` wrote.
        strict: True refuses variables that are missing, left over or shaped
            otherwise. False loads what fits and reports the rest.
        allow_missing: regular expression, searched in release names:
            variables that may be missing, left over, shaped otherwise or not
            finite; they are not loaded.
        portion: `loading.Portion` of the network to fill; None: all of it.

    Returns:
        `ImportReport`; its names are the release's, ReConvNet's own parts
        have our paths.

    Raises:
        InputError: files that are missing or damaged; non-finite values;
            with `strict`, any variable that does not fit, each one named.
    """
    source = open_weights(path)
    if not isinstance(source, TFCheckpoint | SafetensorsFile):
        raise InputError(
            f"{path} is of the format {source.format}, expected a TensorFlow "
            "checkpoint or .safetensors; build_model reads .weights.h5 and .keras "
            "files itself, and checkpoints_tools.import_vgg16 reads VGG16's."
        )
    targets, own = release_variables(model)
    recurrent = any(RECURRENT.search(name) for name in source.tensors)
    if recurrent:  # Only our own files have such parts.
        targets |= own
    left_out = [name for name in source.tensors if is_left_out(name)]
    ours = isinstance(source, SafetensorsFile)
    return load_offers(
        model,
        source,
        offers_of(source, left_out, name_of if ours else str),
        targets,
        left_out=left_out,
        fresh=() if recurrent else own,
        strict=strict,
        allow_missing=allow_missing,
        portion=portion,
    )
