"""Scores a folder of masks: J and F, exactly the official figures.

    osmn evaluate --results=DIR --dataset=davis2016 \\
        --data_dir=DAVIS --split=val

Expects RESULTS/SEQUENCE/FRAME.png, palette masks or 0/255. First everything
is checked - names, sizes, ids, completeness - and all faults are listed;
with a fault nothing is scored (exit code 2). Writes the official files
global_results-SPLIT.csv and per-sequence_results-SPLIT.csv, and scores.json with
every frame; scores are always computed anew and replace those in OUT.

Sets without public ground truth (DAVIS test-dev and challenge, YouTube-VOS valid and
test) get the check alone, for the whole submission.
"""

import pathlib

from absl import flags

from osmn_recurrent import programs, run_folder
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
shared_flags.define_dataset(FLAGS)
shared.define(FLAGS, "processes")
shared.define(FLAGS, "results", required=True)
shared.define(FLAGS, "out", note="Default: the folder of the masks.")
flags.DEFINE_string(
    "zip",
    None,
    "Write the checked masks to this file, laid out for the benchmark's "
    "server; DAVIS and YouTube-VOS.",
    flag_values=FLAGS,
)


def main():
    """Checks and scores; see the module's text."""
    from osmn_recurrent import files
    from osmn_recurrent.metrics import result_folder, score_report

    sequences = registry.sequences(*shared_flags.dataset_place(FLAGS))
    out = pathlib.Path(FLAGS.out or FLAGS.results)
    hidden = [each.name for each in sequences if each.hidden]
    if not hidden:
        files.check_output(out, folder=True)
        run_folder.refuse_foreign(
            out / "scores.json", score_files(out), ("global", "sequences"), "evaluate"
        )
    packed = ()
    if FLAGS.zip:
        pack(sequences)
        packed = (FLAGS.zip,)
    try:
        if hidden:
            result_folder.check_folder(FLAGS.results, sequences, FLAGS.processes)
        else:
            scores = result_folder.evaluate_folder(
                FLAGS.results, sequences, FLAGS.processes
            )
    except result_folder.ResultFolderError as error:
        if (out / "scores.json").exists():
            raise InputError(
                f"{error}\n{out / 'scores.json'} is from an earlier run."
            ) from None
        raise
    if hidden:
        masks = sum(len(each.frames) for each in sequences)
        print(
            f"complete: {_count(masks, 'mask')} of {_count(len(sequences), 'sequence')}"
            " with the right names, sizes and ids. Not scored: of "
            f"{_count(len(hidden), 'sequence')} the ground truth is not public."
        )
        return programs.Done(packed)
    with run_folder.hold(out):
        report = write_scores(out, scores, score_report.categories_of(sequences))
    print_scores(report, scores)
    page = out / "report.html"
    return programs.Done(
        (out / "scores.json", *filter(pathlib.Path.exists, score_files(out)), *packed),
        programs.osmn_command(
            "report",
            results=FLAGS.results,
            **shared_flags.dataset_arguments(FLAGS),
            out=page,
        ),
    )


def score_files(out):
    """The CSV files that may be written beside scores.json."""
    kinds = ("global", "per-category", "per-sequence")
    return [out / f"{kind}_results-{FLAGS.split}.csv" for kind in kinds]


def pack(sequences):
    """Writes the submission of --zip, after a check of all its masks."""
    from osmn_recurrent import files
    from osmn_recurrent.inference import writers
    from osmn_recurrent.metrics import result_folder

    layout = registry.find(FLAGS.dataset).server_layout
    if layout is None:
        raise InputError(f"--zip: {FLAGS.dataset} has no server; leave --zip out.")
    files.refuse_to_overwrite(FLAGS.zip, overwrite=False)
    files.check_output(FLAGS.zip)
    result_folder.check_folder(FLAGS.results, sequences, FLAGS.processes)
    frames = {each.name: each.frames for each in sequences}
    writers.write_submission(FLAGS.zip, FLAGS.results, frames, layout)


def write_scores(out, scores, categories=None):
    """Writes the official CSV files and scores.json.

    Args:
        out: folder; files of an earlier run are replaced.
        scores: `{sequence: {object id: ObjectScores}}`.
        categories: `{sequence: category}`, or None.

    Returns:
        The contents of scores.json.

    Raises:
        InputError: no object has a frame that counts.
    """
    from osmn_recurrent import files
    from osmn_recurrent.metrics import davis_scores, score_report

    report = {
        "dataset": FLAGS.dataset,
        "split": FLAGS.split,
        "results": FLAGS.results,
        **score_report.score_report(scores, categories),
    }
    if categories:
        davis_scores.write_table(
            out / f"per-category_results-{FLAGS.split}.csv",
            ("Category", "J-Mean", "F-Mean"),
            [
                [name, row["J-Mean"], row["F-Mean"]]
                for name, row in report["categories"].items()
            ],
        )
    davis_scores.write_csv(out, FLAGS.split, score_report.counted_scores(scores))
    files.write_json(out / "scores.json", report)
    return report


def print_scores(report, scores):
    """Prints the averages and what they are taken over."""
    rows = {"all": report["global"]}
    if "categories" in report:
        rows = {"per video": report["global"]}
        rows["per category"] = report["category_mean"]
        rows |= report["categories"]
    names = list(report["global"])
    print(" " * 13 + "".join(f"{name:>10}" for name in names))
    for label, figures in rows.items():
        print(f"{label:<13}" + "".join(f"{figures[name]:10.3f}" for name in names))
    objects = [each for found in scores.values() for each in found.values()]
    frames = sum(
        max((len(each) for each in found.values()), default=0)
        for found in scores.values()
    )
    print(
        f"{_count(len(scores), 'sequence')}, {_count(len(objects), 'object')}, "
        f"{_count(frames, 'scored frame')}"
    )
    empty = [
        name for name, found in scores.items() if not any(map(len, found.values()))
    ]
    if empty:
        print(f"not in the averages, no frame of it counts: {', '.join(empty)}")


def _count(number, what):
    return f"{number} {what}{'' if number == 1 else 's'}"


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
