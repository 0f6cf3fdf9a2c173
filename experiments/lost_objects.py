"""How often a network loses its object, and where its mask then is.

    python -m experiments.lost_objects --results=OSMN:runs/benchmark/OSMN \\
        --data_dir=DAVIS --split=val --out=runs/lost

An object is lost in a frame that shows it if J is below 0.2. Its mask is then empty;
elsewhere, on less than a fifth of the object; or on the object and much else. Reads
masks that `osmn benchmark` left (OUT/NETWORK/CLIP/FRAME.png); writes lost.md and
lost.json.
"""

import collections
import dataclasses
import pathlib

import numpy as np
from absl import flags

from osmn_recurrent import files, programs
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
shared.define(
    FLAGS,
    "results",
    note="Several, each NAME:FOLDER.",
    required=True,
    several=True,
)
shared_flags.define_dataset(FLAGS, "davis2016")
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "overwrite", False)

LOST = 0.2
"""J, and share of the object, below which it is lost."""


@dataclasses.dataclass
class Counts:
    """What became of objects, in frames that show them.

    Attributes:
        frames: number of frames and objects.
        lost: those with J below `LOST`.
        empty: of these, those without any mask.
        elsewhere: those whose mask is on less than `LOST` of the object.
        spilt: the rest of them: on the object and much else.
        found_again: times that a lost object was not lost in the next frame.
    """

    frames: int = 0
    lost: int = 0
    empty: int = 0
    elsewhere: int = 0
    spilt: int = 0
    found_again: int = 0

    def __add__(self, other):
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Counts(*(a + b for a, b in pairs))


def count(true_masks, found_masks):
    """What became of one object.

    Args:
        true_masks: iterable of (H, W) bool, frame by frame.
        found_masks: as many.

    Returns:
        `Counts` over the frames in which the true mask is not empty.
    """
    counts, was_lost = Counts(), False
    for true, found in zip(true_masks, found_masks, strict=True):
        size = np.count_nonzero(true)
        if not size:
            continue
        both = np.count_nonzero(true & found)
        lost = both < LOST * np.count_nonzero(true | found)
        counts.frames += 1
        counts.lost += int(lost)
        if lost and not found.any():
            counts.empty += 1
        elif lost and both < LOST * size:
            counts.elsewhere += 1
        elif lost:
            counts.spilt += 1
        counts.found_again += int(was_lost and not lost)
        was_lost = lost
    return counts


def of_sequence(folder, sequence):
    """`Counts` of a sequence's objects; the first frame, which is given, is left out.

    Args:
        folder: masks of the network, CLIP/FRAME.png.
        sequence: of `registry.sequences`.
    """
    from osmn_recurrent.metrics.frame_scores import (
        is_binary,
        read_values,
        scored_objects,
    )

    first = read_values(sequence.ground_truth[sequence.frames[0]])
    binary = is_binary(first)
    found = collections.defaultdict(list)
    for frame in sequence.frames[1:]:
        path = folder / sequence.name / f"{frame}.png"
        if not path.is_file():
            raise InputError(f"{path} is missing; give the masks of every frame.")
        true, own = read_values(sequence.ground_truth[frame]), read_values(path)
        for i in (1,) if binary else scored_objects(first):
            pair = (true > 0, own > 0) if binary else (true == i, own == i)
            found[i].append(pair)
    return sum((count(*zip(*pairs, strict=True)) for pairs in found.values()), Counts())


def main():
    """Counts and writes; see the module's text."""
    from osmn_recurrent.reports import text_tables

    out = pathlib.Path(FLAGS.out)
    files.refuse_to_overwrite(out / "lost.json", FLAGS.overwrite)
    files.check_output(out, folder=True)
    sequences = registry.sequences(*shared_flags.dataset_place(FLAGS))
    rows = []
    for text in FLAGS.results:
        name, colon, folder = text.partition(":")
        if not colon:
            raise InputError(f"--results={text} has no name, expected NAME:FOLDER.")
        each = {s.name: of_sequence(pathlib.Path(folder), s) for s in sequences}
        total = sum(each.values(), Counts())
        rows.append(
            {
                "network": name,
                **dataclasses.asdict(total),
                "clips": {
                    clip: dataclasses.asdict(counts)
                    for clip, counts in each.items()
                    if counts.lost
                },
            }
        )
    lines = [{k: v for k, v in row.items() if k != "clips"} for row in rows]
    files.write_json(out / "lost.json", rows)
    files.write_text(out / "lost.md", text_tables.markdown_table(lines) + "\n")
    print(text_tables.text_table(lines, {}))
    return programs.Done((out / "lost.md", out / "lost.json"))


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
