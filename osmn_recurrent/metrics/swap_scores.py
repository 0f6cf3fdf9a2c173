"""Does the visual guide steer? Numbers of networks shown another object.

On a picture with several objects a network is shown one object and then another,
with the same spatial guide. What it finds is compared with both. Single decisions
mislead: a network that marks everything whatever it is shown is right in half of
them, and the larger object wins. So a pair counts as a whole: it is right if, summed
over both visual guides, J is higher on the objects that were named than on the
exchanged ones. A network that ignores its visual guide gets exactly 50%.
"""

import dataclasses

import numpy as np

from osmn_recurrent.metrics.comparison import paired_difference


@dataclasses.dataclass(frozen=True)
class SwapScores:
    """What a network makes of pairs of objects.

    Attributes:
        pairs: number of pairs.
        named: mean J on the object that the visual guide shows, in [0, 1].
        other: mean J on the other object of the pair.
        right_pairs: share of the pairs that are right; ties count half.
        right_singles: share of the single decisions (J on the named object above
            J on the other one); ties count half.
        interval: bootstrap interval of `right_pairs`, `(low, high)`; whole pictures
            are drawn, because pairs of one share its objects. None with one picture.
    """

    pairs: int
    named: float
    other: float
    right_pairs: float
    right_singles: float
    interval: tuple | None = None


def swap_scores(overlaps, pictures=None, coverage=0.9):
    """Scores of pairs.

    Args:
        overlaps: (pairs, 2, 2) region similarity in [0, 1]: of the mask found with
            visual guide i on object j.
        pictures: names or numbers of the pictures that the pairs are of, one per
            pair; None: each of its own.
        coverage: of the interval.

    Returns:
        `SwapScores`.

    Raises:
        ValueError: another shape, or no pair.
    """
    overlaps = np.asarray(overlaps, np.float64)
    if overlaps.ndim != 3 or overlaps.shape[1:] != (2, 2) or not len(overlaps):
        raise ValueError(
            "overlaps must have the shape (pairs, 2, 2) with at least one pair. "
            f"Received: shape={overlaps.shape}"
        )
    named = overlaps[:, [0, 1], [0, 1]]
    other = overlaps[:, [0, 1], [1, 0]]
    right = _above(named.sum(1), other.sum(1))
    return SwapScores(
        pairs=len(overlaps),
        named=float(named.mean()),
        other=float(other.mean()),
        right_pairs=float(right.mean()),
        right_singles=float(_above(named, other).mean()),
        interval=_interval(right, pictures, coverage),
    )


def _above(a, b):
    """1 where a is larger, 0 where it is smaller, 0.5 where both are the same."""
    return (a > b) + 0.5 * (a == b)


def _interval(right, pictures, coverage):
    """Bootstrap interval of the mean of `right` (pairs,), pictures drawn."""
    if pictures is None:
        pictures = range(len(right))
    shares = {}
    for pair, (picture, value) in enumerate(zip(pictures, right, strict=True)):
        shares.setdefault(picture, {})[pair] = float(value)
    nothing = {picture: dict.fromkeys(pairs, 0.0) for picture, pairs in shares.items()}
    found = paired_difference(shares, nothing, coverage=coverage)
    return None if found.low is None else (found.low, found.high)


def pairs_of(masks, most=4, least_cover=0.03, most_overlap=0.2):
    """The pairs of objects of a picture that can be told apart.

    Args:
        masks: list of (H, W) bool, the objects.
        most: objects of a picture that take part, in their order.
        least_cover: smallest share of the picture that an object covers.
        most_overlap: largest share of the smaller object that the other covers.

    Returns:
        List of `(i, j)`, i < j.
    """
    chosen = [i for i, mask in enumerate(masks) if mask.mean() > least_cover][:most]
    found = []
    for place, i in enumerate(chosen):
        for j in chosen[place + 1 :]:
            shared = np.count_nonzero(masks[i] & masks[j])
            smaller = min(np.count_nonzero(masks[i]), np.count_nonzero(masks[j]))
            if shared <= most_overlap * smaller:
                found.append((i, j))
    return found
