"""Does the visual guide steer? Pairs of objects of pictures, for several programs."""

import numpy as np

from osmn_recurrent.metrics import swap_scores


def score_pictures(model, pictures, shorter_side=256, least_cover=0.03, coverage=0.9):
    """Scores of a network on pairs of objects of pictures.

    Args:
        model: see `inference.swapping.Swapper`.
        pictures: iterable of `(picture, objects, name)`: (H, W, 3) uint8 RGB, list of
            (H, W) bool, and what the interval draws as a whole, such as the clip.
        shorter_side: see `Swapper`.
        least_cover: see `metrics.swap_scores.pairs_of`.
        coverage: of the intervals.

    Returns:
        `{kind of SPATIAL_GUIDES: SwapScores}`; empty where there is no pair.
    """
    from osmn_recurrent.inference.swapping import SPATIAL_GUIDES, Swapper

    swapper, drawn = Swapper(model, shorter_side), []
    found = {kind: [] for kind in SPATIAL_GUIDES}
    for picture, objects, name in pictures:
        pairs = swap_scores.pairs_of(objects, least_cover=least_cover)
        drawn += [name] * len(pairs)
        if pairs:
            for kind, each in swapper.overlaps(picture, objects, pairs).items():
                found[kind].append(each)
    return {
        kind: swap_scores.swap_scores(np.concatenate(values), drawn, coverage)
        for kind, values in found.items()
        if values
    }
