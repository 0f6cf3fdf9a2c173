"""Keras weights in half precision: the weights that come with the package."""

import pathlib
import tempfile

import h5py
import numpy as np

from osmn_recurrent import files
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import weights_of


def export_half(model, path, overwrite=False):
    """Writes a `.weights.h5` file whose float32 variables are float16.

    `build_model` reads it as any other; the network computes in its own type.

    Args:
        model: a built `SegmentationModel`.
        path: the `.weights.h5` file to write.
        overwrite: replace it if it is there.

    Raises:
        InputError: a value that float16 cannot hold (beyond 65504, or none).
    """
    path = pathlib.Path(path)
    files.refuse_to_overwrite(path, overwrite)
    widest = np.finfo(np.float16).max
    for variable in weights_of(model):
        if not (np.abs(variable.numpy()) <= widest).all():
            raise InputError(
                f"{variable.path} holds values beyond {widest:.0f}, which float16 "
                "cannot hold; keep the weights in float32."
            )
    with (
        tempfile.TemporaryDirectory() as folder,
        files.replace_when_done(path) as temporary,
    ):
        whole = pathlib.Path(folder) / "whole.weights.h5"
        model.save_weights(whole)
        with h5py.File(whole) as source, h5py.File(temporary, "w") as target:
            _copy(source, target)


def _copy(source, target):
    """Copies a group with its attributes, float32 as float16."""
    for key, value in source.attrs.items():
        target.attrs[key] = value
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name))
            continue
        values = item[()]
        if values.dtype == np.float32:
            values = values.astype(np.float16)
        # Times are not kept, so that the same weights make the same file.
        stored = target.create_dataset(name, data=values, track_times=False)
        for key, value in item.attrs.items():
            stored.attrs[key] = value
