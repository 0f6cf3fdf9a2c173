"""What Keras' weight files hold, looked at before anything is read."""

import pathlib

import h5py

from osmn_recurrent import archives, names
from osmn_recurrent.errors import InputError

WEIGHTS_MEMBER = "model.weights.h5"
"""The weights in a `.keras` archive."""


def datasets_of(group, path, prefix=""):
    """The arrays in an HDF5 file, without an optimiser's.

    Args:
        group: `h5py.File` or group.
        path: the file, for errors.
        prefix: of the names.

    Yields:
        `(name, h5py.Dataset)`.

    Raises:
        InputError: something in it lies in another file or place.
    """
    for key in group:
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink | h5py.SoftLink):
            raise InputError(
                f"{path}: {prefix}{key} is a link to another place ({link.path}); "
                "give a file that holds its weights itself."
            )
        item = group[key]
        if isinstance(item, h5py.Group):
            if key not in ("optimizer", "optimizer_weights"):
                yield from datasets_of(item, path, f"{prefix}{key}/")
        elif item.external or item.is_virtual:
            raise InputError(
                f"{path}: {prefix}{key} keeps its values in another file; give a "
                "file that holds its weights itself."
            )
        else:
            yield f"{prefix}{key}", item


def check_file(path):
    """Refuses a `.keras` or `.weights.h5` file that would fill the memory.

    Args:
        path: the file.

    Returns:
        `{name: number of values}` of the arrays in it.

    Raises:
        InputError: an archive or array that grows too much, members or links
            that lead out of the file.
    """
    path = pathlib.Path(path)
    if path.suffix != ".keras":
        with h5py.File(path, "r") as file:
            return _sizes(file, path)
    with archives.open_archive(path) as archive:
        for member in archive.namelist():
            names.inside("", member, path)
        with archive.open(WEIGHTS_MEMBER) as stream, h5py.File(stream, "r") as file:
            return _sizes(file, path)


def _sizes(file, path):
    found = dict(datasets_of(file, path))
    archives.refuse_expansion(path, sum(each.nbytes for each in found.values()))
    return {name: each.size for name, each in found.items()}


def refuse_left_over(model, path, variables):
    """Refuses a file of weights that holds more than a network takes.

    Keras loads what it looks for and says nothing of the rest, so that another
    network's file may pass.

    Args:
        model: a built network.
        path: the file, for the error.
        variables: the network's variables that files hold.

    Raises:
        InputError: it holds other arrays too.
    """
    found = check_file(path)
    if len(found) <= len(variables):
        return
    parts = sorted({_part(name) for name in found})
    raise InputError(
        f"{path} holds {len(found)} arrays (parts {', '.join(parts)}), but "
        f"{model.name} ({model.backbone.name}) takes only {len(variables)}, so it is "
        "another network's; choose the model, backbone and options that it was saved "
        "from."
    )


def _part(name):
    """The outermost layer that an array belongs to."""
    parts = name.split("/")
    return parts[1] if parts[0] == "layers" and len(parts) > 1 else parts[0]
