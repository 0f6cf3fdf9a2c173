"""The clips of a data set that is called by its name."""

from osmn_recurrent.datasets import davis, youtube_objects, youtube_vos

DATASETS = ("davis2016", "davis2017", "youtube_objects", "youtube_vos")
"""Layouts and rules that are known; DAVIS' fit anything laid out like it."""


def list_clips(dataset, data_dir, split, resolution="480p"):
    """The clips of a set, with the masks that a method starts from.

    Args:
        dataset: one of `DATASETS`.
        data_dir: folder of the data set.
        split: name of a list of sequences.
        resolution: folder under JPEGImages and Annotations; DAVIS only.

    Returns:
        list of `Clip`.

    Raises:
        InputError: something of the data set is missing.
    """
    if dataset == "youtube_objects":
        return youtube_objects.youtube_objects_clips(data_dir, split)
    if dataset == "youtube_vos":
        return youtube_vos.youtube_vos_clips(data_dir, split)
    year = int(dataset.removeprefix("davis"))
    return davis.davis_clips(data_dir, year, split, resolution, first_mask_only=True)
