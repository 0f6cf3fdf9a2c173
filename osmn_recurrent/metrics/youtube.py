"""The evaluations of YouTube-Objects and of data in YouTube-VOS layout.

YouTube-Objects: one object per video, every non-zero pixel; only the first
annotated frame is left out. Figures per video, averaged over videos (as in
the OSMN release) or per category first (as in other papers).

YouTube-VOS: an object is scored in the frames that `meta.json` lists for it,
but for the first, in which its mask is given. Its server does the same with
truth that is not public, and averages apart what is of a category seen in
training and what is not; from local truth there is one average.
"""

import numpy as np

from osmn_recurrent.datasets import youtube_objects, youtube_vos
from osmn_recurrent.metrics.result_folder import Sequence
from osmn_recurrent.metrics.statistics import summarise


def youtube_objects_sequences(data_dir, split="all"):
    """What a result folder of YouTube-Objects must hold, and its truth.

    Args:
        data_dir: see `datasets.youtube_objects`.
        split: name of a list of videos; "all" without a list: all of them.

    Returns:
        `(sequences, categories)`: a list of `Sequence` and
        `{video name: category}`. Predictions may have the size of the
        frames or of the masks.

    Raises:
        InputError: see `youtube_objects.list_videos`.
    """
    videos = youtube_objects.list_videos(data_dir, split)
    sequences = [
        Sequence(
            name=video.name,
            frames=tuple(video.labels),
            truth=video.labels,
            binary=True,
            skip=(1, 0),
            read_truth=youtube_objects.read_label,
            picture=next(iter(video.frame_paths), None),
        )
        for video in videos
    ]
    return sequences, {video.name: video.category for video in videos}


def by_category(scores, categories):
    """Averages videos within each category.

    Args:
        scores: `{video name: {object id: ObjectScores}}`. Videos of which
            no frame counts are left out.
        categories: `{video name: category}`.

    Returns:
        `(table, mean)`: `{category: figures}` with the seven official
        figures each, sorted by category, and the figures' mean over
        categories.
    """
    groups = {}
    for name, objects in scores.items():
        found = [each for each in objects.values() if len(each)]
        groups.setdefault(categories[name], []).extend(found)
    table = {name: summarise(groups[name]) for name in sorted(groups) if groups[name]}
    mean = {
        figure: float(np.mean([row[figure] for row in table.values()]))
        for figure in summarise([])
        if table
    }
    return table, mean


def youtube_vos_sequences(data_dir, split="train"):
    """What a result folder of a YouTube-VOS set must hold, and its truth.

    Args:
        data_dir: see `datasets.youtube_vos`.
        split: "train", "valid" or "test".

    Returns:
        list of `Sequence`.

    Raises:
        InputError: see `youtube_vos.list_videos`.
    """
    return [
        Sequence(
            name=video.name,
            frames=video.frames,
            truth=video.masks,
            hidden=video.hidden,
            objects={i: frames[1:] for i, frames in video.objects.items()},
        )
        for video in youtube_vos.list_videos(data_dir, split)
    ]
