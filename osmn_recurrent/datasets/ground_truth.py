"""What a data set asks of results: which masks, compared with what, and how."""

import dataclasses
import pathlib
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The rules of an evaluation.

    Attributes:
        skip: frames at the beginning and the end of a sequence that are not
            scored.
        binary: every non-zero pixel is object 1 (DAVIS 2016).
        by_category: figures are averaged within each category too.
    """

    skip: tuple = (0, 0)
    binary: bool = False
    by_category: bool = False


EVERY_FRAME = Protocol()
"""All annotated frames count, and ids are those of the true masks."""


@dataclasses.dataclass(frozen=True)
class Sequence:
    """What a result folder must hold of one sequence, and its ground truth.

    Attributes:
        name: the sequence's folder under the result folder.
        frames: names of the frames that have a mask, in order.
        ground_truth: `{frame name: true mask file}`, for scoring of all frames, for
            checking at least of the first.
        hidden: only the first masks are public.
        protocol: the rules; `registry.sequences` sets those of the data set.
        objects: `{object id: names of its scored frames}`; None for those of
            the first true mask (1 to its largest id) and all frames but those
            that the protocol skips.
        read_ground_truth: reads a true mask file as (H, W) uint8 ids; None for the
            pixel values of a PNG.
        picture: a frame whose size a predicted mask may have instead of the
            true masks' size; it is then resized (nearest) as by the OSMN
            release's script for YouTube-Objects.
        category: of the object, where the protocol averages by category.
    """

    name: str
    frames: tuple
    ground_truth: dict
    hidden: bool = False
    protocol: Protocol = EVERY_FRAME
    objects: dict | None = None
    read_ground_truth: Callable | None = None
    picture: pathlib.Path | None = None
    category: str = ""
