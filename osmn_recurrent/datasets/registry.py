"""All data sets by name: the one place that tells them apart.

Another data set is a `Dataset` that is registered; docs/adding_a_data_set.md
shows how. A package that is installed beside this one brings its own by naming a
module that registers them as an entry point of the group
`osmn_recurrent.datasets`.
"""

import dataclasses
from collections.abc import Callable

from osmn_recurrent import names as file_names
from osmn_recurrent import plugins
from osmn_recurrent.datasets import davis, youtube_objects, youtube_vos
from osmn_recurrent.datasets.ground_truth import EVERY_FRAME, Protocol
from osmn_recurrent.errors import InputError

PLUGINS = "osmn_recurrent.datasets"
"""Group of entry points, each a module that registers data sets."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A kind of data set.

    Attributes:
        name: for --dataset.
        clips: function `(data_dir, split, resolution, first_mask_only)` to a
            list of `Clip`; with `first_mask_only` without the masks that a
            method must not see.
        sequences: function `(data_dir, split, resolution)` to a list of
            `ground_truth.Sequence`.
        protocol: the rules that results are scored by.
        server_layout: what stands before SEQUENCE/FRAME.png in the zip file
            that the benchmark's server takes; None if there is no server.
        sparse_masks: only some frames of a training clip have a mask.
    """

    name: str
    clips: Callable
    sequences: Callable
    protocol: Protocol = EVERY_FRAME
    server_layout: str | None = None
    sparse_masks: bool = False


IMAGE_SETS = {"coco": "train2017"}
"""Sets of single images, for training alone, and the split that is the default."""

_KNOWN = {}


def register(dataset):
    """Makes a data set known by its name.

    Args:
        dataset: `Dataset`.

    Returns:
        It.

    Raises:
        ValueError: another one has its name.
    """
    if _KNOWN.setdefault(dataset.name, dataset) is not dataset:
        raise ValueError(f"there is a data set called {dataset.name} already")
    return dataset


def names():
    """Names of all data sets, tuple of str."""
    plugins.load(PLUGINS)
    return tuple(_KNOWN)


def find(name):
    """The `Dataset` of a name.

    Raises:
        InputError: there is none.
    """
    if name not in _KNOWN:
        plugins.load(PLUGINS)
    if name not in _KNOWN:
        raise InputError(f"no dataset is called {name}; there are {', '.join(_KNOWN)}.")
    return _KNOWN[name]


def clips(name, data_dir, split, resolution="480p", first_mask_only=True):
    """The clips of a set.

    Args:
        name: of the data set.
        data_dir: its folder.
        split: name of a list of sequences.
        resolution: folder under JPEGImages and Annotations, or FRAMES:MASKS, two of
            them; DAVIS' layout only.
        first_mask_only: with the masks alone that a method starts from; False
            for training.

    Returns:
        list of `Clip`.

    Raises:
        InputError: no such data set, or something of it is missing.
    """
    dataset = find(name)
    file_names.single(split, "--split")
    return dataset.clips(data_dir, split, resolution, first_mask_only)


def sequences(name, data_dir, split, resolution="480p"):
    """What a result folder of a set must hold, for `evaluate_folder`.

    Args:
        name: of the data set.
        data_dir: its folder.
        split: name of a list of sequences.
        resolution: see `clips`.

    Returns:
        list of `Sequence`, by the data set's protocol.

    Raises:
        InputError: no such data set, or something of it is missing.
    """
    dataset = find(name)
    file_names.single(split, "--split")
    return [
        dataclasses.replace(each, protocol=dataset.protocol)
        for each in dataset.sequences(data_dir, split, resolution)
    ]


def _davis(year):
    return Dataset(
        f"davis{year}",
        lambda data_dir, split, resolution, first: davis.davis_clips(
            data_dir, year, split, resolution, first
        ),
        lambda data_dir, split, resolution: davis.davis_sequences(
            data_dir, year, split, resolution
        ),
        # The first frame is given, and the last is left out by tradition.
        Protocol(skip=(1, 1), binary=year == 2016),
        server_layout="",
    )


def _youtube_objects(name, labelled):
    return Dataset(
        name,
        # It has a mask at every tenth frame; no network here trains on it.
        lambda data_dir, split, resolution, first: (
            youtube_objects.youtube_objects_clips(data_dir, split, labelled, labelled)
        ),
        lambda data_dir, split, resolution: youtube_objects.youtube_objects_sequences(
            data_dir, split, labelled
        ),
        Protocol(skip=(1, 0), binary=True, by_category=True),
        sparse_masks=True,
    )


def _youtube_vos(name, listed):
    return Dataset(
        name,
        lambda data_dir, split, resolution, first: youtube_vos.youtube_vos_clips(
            data_dir, split, first, listed
        ),
        lambda data_dir, split, resolution: youtube_vos.youtube_vos_sequences(
            data_dir, split
        ),
        server_layout="Annotations/",
        sparse_masks=True,
    )


register(_davis(2016))
register(_davis(2017))
register(_youtube_objects("youtube_objects", labelled=False))
# The OSMN release's: the first shot of each video, from labelled frame to labelled
# frame, of which its published figures presumably are.
register(_youtube_objects("youtube_objects_labelled", labelled=True))
register(_youtube_vos("youtube_vos", listed=False))
# The OSMN release's merge: an object in the frames that meta.json lists for it.
register(_youtube_vos("youtube_vos_listed", listed=True))

BUILT_IN = tuple(_KNOWN)
"""Names of those that come with this package."""
