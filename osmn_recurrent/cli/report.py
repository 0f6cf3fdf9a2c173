"""A page about one or more folders of masks: scores, curves, worst frames.

    osmn report --results=published/osvos --compare=published/osmn \\
        --dataset=davis2016 --data_dir=DAVIS --split=val --out=report.html

Scores every folder by the data set's official rules and writes one HTML file
that needs nothing else: tables that sort, every clip with a slider, the ground truth
and each result side by side, J and F of every object over the frames, and the
worst frames first.
"""

import functools
import pathlib

from absl import flags

from osmn_recurrent import files, programs
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
shared_flags.define_dataset(FLAGS)
shared.define(FLAGS, "processes")
shared.define(FLAGS, "results", note="FOLDER or NAME:FOLDER.", required=True)
flags.DEFINE_multi_string(
    "compare",
    [],
    "Further folder of masks, compared with the first; repeat it for several.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "out", note="The HTML file.", required=True)
flags.DEFINE_integer(
    "picture_width",
    320,
    "Pixels, across, of the pictures in the page (320: 15 kB a frame).",
    lower_bound=64,
    flag_values=FLAGS,
)
shared.define(FLAGS, "overwrite", False)


def main():
    """Scores and writes the page; see the module's text."""
    from osmn_recurrent.metrics import result_folder
    from osmn_recurrent.reports import html, text_tables

    out = pathlib.Path(FLAGS.out)
    files.refuse_to_overwrite(out, FLAGS.overwrite)
    files.check_output(out)
    if out.exists() and not html.is_page(out):
        raise InputError(f"{out} is no page of osmn report; name another --out.")
    folders = list_folders()
    where = shared_flags.dataset_place(FLAGS)
    sequences = registry.sequences(*where)
    pictures = {
        clip.name: {path.stem: path for path in clip.frame_paths}
        for clip in registry.clips(*where)
    }
    scores = {
        name: result_folder.evaluate_folder(folder, sequences, FLAGS.processes)
        for name, folder in folders.items()
    }
    rows = [{"method": name} | figures_of(found) for name, found in scores.items()]
    clips = [
        page_clip(sequence, pictures[sequence.name], folders, scores)
        for sequence in sequences
    ]
    title = f"{' and '.join(folders)} on {FLAGS.dataset} {FLAGS.split}"
    text = (
        f"{len(sequences)} clip{'' if len(sequences) == 1 else 's'}, figures in "
        "percent by the data set's official rules. "
        "Click on a column to sort, on a row or a frame to see it."
    )
    html.write_page(out, title, text, rows, clips, width=FLAGS.picture_width)
    print(text_tables.text_table(rows))
    size = f"{out.stat().st_size / 1e6:.1f} MB"
    return programs.Done((f"{out} ({size}; open it in a browser)",))


def list_folders():
    """`{name: folder}` of the flags.

    Raises:
        InputError: two of one name.
    """
    folders = {}
    for text in [FLAGS.results, *FLAGS.compare]:
        name, colon, folder = text.partition(":")
        folder = pathlib.Path(folder if colon else text)
        name = name if colon else folder.resolve().name
        if name in folders:
            raise InputError(
                f"two folders of masks are called {name}; write NAME:{folder}."
            )
        folders[name] = folder
    return folders


def figures_of(scores):
    """The official figures in percent, of `{sequence: {id: ObjectScores}}`."""
    from osmn_recurrent.metrics import score_report, statistics

    figures = statistics.summarise(score_report.counted_scores(scores))
    return {name.removesuffix("-Mean"): 100 * value for name, value in figures.items()}


def page_clip(sequence, pictures, folders, scores):
    """What the page shows of a sequence: the frames that have a true mask.

    Args:
        sequence: `result_folder.Sequence`.
        pictures: `{frame name: file}`.
        folders: `{method: folder of masks}`.
        scores: `{method: {sequence: {object id: ObjectScores}}}`.

    Returns:
        `html.PageClip`.

    Raises:
        InputError: a true mask whose frame is missing.
    """
    from osmn_recurrent.media.pictures import read_frame
    from osmn_recurrent.metrics.frame_scores import read_values
    from osmn_recurrent.reports import html

    names = tuple(name for name in sequence.frames if name in sequence.ground_truth)
    missing = [name for name in names if name not in pictures]
    if missing:
        raise InputError(
            f"{sequence.ground_truth[missing[0]]} has no frame {missing[0]} beside it "
            f"in {sequence.name}; complete the data set's pictures."
        )

    read_ground_truth = sequence.read_ground_truth or read_values

    def ground_truth(t):
        return as_ids(read_ground_truth(sequence.ground_truth[names[t]]), sequence)

    def predicted(folder, t):
        path = folder / sequence.name / f"{names[t]}.png"
        return as_ids(read_values(path), sequence) if path.exists() else None

    return html.PageClip(
        name=sequence.name,
        frames=names,
        picture=lambda t: read_frame(pictures[names[t]]),
        ground_truth=ground_truth,
        predicted={
            name: functools.partial(predicted, folder)
            for name, folder in folders.items()
        },
        scores={name: found[sequence.name] for name, found in scores.items()},
    )


def as_ids(values, sequence):
    """Ids to show: where masks are 0/255 or 0 and anything, object 1."""
    from osmn_recurrent.metrics.frame_scores import is_binary

    if sequence.protocol.binary or is_binary(values):
        return (values > 0).astype("uint8")
    return values


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
