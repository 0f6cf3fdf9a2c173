"""Compares networks and published masks on a data set: one table, row by row.

    osmn benchmark --weights=osmn.keras --weights=reconvnet.keras \\
        --masks=OSVOS:published/osvos --dataset=davis2016 --data_dir=DAVIS \\
        --split=val --out=runs/benchmark

Every file of weights segments the whole set, every folder of masks is taken as
it is, and all are scored by the data set's official rules. A row shows its
paired difference to the baseline over sequences, with a bootstrap interval. A
run that was interrupted resumes with the first frame without a mask; scores are
always computed anew.

OUT then holds NAME/SEQUENCE/FRAME.png of every network, results.json (all
figures and every frame's scores), table.md, table.csv and sequences.csv.
"""

import dataclasses
import pathlib

from absl import flags

from osmn_recurrent import files, programs, provenance, run_folder
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import segment, shared, tuning
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import NAMES
from osmn_recurrent.models.presets import PRESETS
from osmn_recurrent.names import single

FLAGS = flags.FlagValues()
shared_flags.define_dataset(FLAGS)
shared.define(FLAGS, "processes")
shared_flags.define_network(FLAGS)
shared_flags.define_loop(FLAGS)
shared.define(
    FLAGS,
    "weights",
    [],
    note="FILE or NAME:FILE (the row's name; default: the network's).",
    several=True,
)
flags.DEFINE_list(
    "models",
    [],
    f"Network of each file of --weights, or one for all: {', '.join(NAMES)}; "
    ".keras files and presets know theirs.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "masks", [])
flags.DEFINE_string(
    "baseline",
    None,
    "Row that the others are compared with. Default: the first OSMN, or else the "
    "first row.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "finetune_steps", 0)
shared.define(FLAGS, "overwrite", False)


RESULT_FILES = ("results.json", "table.md", "table.csv", "sequences.csv")
"""What is in OUT beside the masks."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a row of the table is made from.

    Attributes:
        name: of the row, and of its folder in OUT.
        folder: of masks, or None.
        weights: file or preset, or None.
        model: a network's name, or None for what the weights say.
    """

    name: str
    folder: pathlib.Path | None = None
    weights: str | None = None
    model: str | None = None


def main():
    """Segments, scores and compares; see the module's text."""
    out, entries = pathlib.Path(FLAGS.out), list_entries()
    place = shared_flags.dataset_place(FLAGS)
    sequences = registry.sequences(*place)
    hidden = [each.name for each in sequences if each.hidden]
    if hidden:
        raise InputError(
            f"the ground truth of {hidden[0]} and {len(hidden) - 1} more sequences is "
            "not public, so nothing can be compared; osmn segment makes masks and "
            "osmn_recurrent.cli.evaluate checks them."
        )
    clips = []
    if any(each.weights for each in entries):
        clips = registry.clips(*place)
    for clip in clips:
        clip.check()
    check_places(out, entries, clips)
    with run_folder.hold(out):
        written = run(out, entries, clips, sequences)
    folders = [f"{e.name}:{e.folder or out / e.name}" for e in entries]
    return programs.Done(
        written,
        programs.osmn_command(
            "report",
            results=folders[0],
            compare=folders[1:],
            **shared_flags.dataset_arguments(FLAGS),
            out=out / "report.html",
        ),
    )


def check_places(out, entries, clips):
    """Refuses, before work starts, to replace what is no benchmark's."""
    results, *tables = (out / name for name in RESULT_FILES)
    run_folder.refuse_foreign(results, tables, ("dataset", "rows"), "benchmark")
    made = [out / each.name for each in entries if each.weights]
    tuned = [out / f"{each.name}_tuned" / "tuned" for each in entries if each.weights]
    given = [each.folder or pathlib.Path(each.weights) for each in entries]
    inputs = [path for clip in clips for path in clip.input_files()]
    inputs += [path for clip in clips for path in clip.mask_paths.values()]
    files.refuse_inputs([*made, *tuned], [*given, *inputs], made)


def run(out, entries, clips, sequences):
    """Segments, scores and writes; gives the files' paths."""
    from osmn_recurrent.metrics import score_report

    rows, categories = {}, score_report.categories_of(sequences)
    for entry in entries:
        rows[entry.name] = score_row(entry, clips, sequences, categories, out)
    baseline = choose_baseline(rows)
    compare(rows, baseline)
    results = {
        "dataset": FLAGS.dataset,
        "split": FLAGS.split,
        "resolution": FLAGS.resolution,
        "data_dir": FLAGS.data_dir,
        "baseline": baseline,
        "versions": provenance.versions(),
        "git_commit": provenance.git_commit(),
        "rows": rows,
    }
    return write_results(out, results)


def list_entries():
    """The rows that the flags ask for: folders of masks first.

    Raises:
        InputError: none, a name given twice, files that are not there, or
            another number of models than of weights.
    """
    entries = []
    for text in FLAGS.masks:
        name, colon, folder = text.partition(":")
        if not colon:
            raise InputError(f"--masks={text} has no name, expected NAME:FOLDER.")
        entries.append(Entry(name, folder=pathlib.Path(folder)))
    models = FLAGS.models or [None]
    if len(models) == 1:
        models = models * len(FLAGS.weights)
    if len(models) != len(FLAGS.weights):
        raise InputError(
            f"--models names {len(models)} networks and --weights "
            f"{len(FLAGS.weights)} files; give one network per file, or one for all."
        )
    unknown = [name for name in models if name not in (None, *NAMES)]
    if unknown:
        raise InputError(f"--models: no network {unknown[0]}; there are {NAMES}.")
    for text, model in zip(FLAGS.weights, models, strict=True):
        name, colon, file = text.partition(":")
        weights = file if colon else text
        if weights in PRESETS:
            model = PRESETS[weights].model
        elif not pathlib.Path(weights).is_file():
            raise InputError(
                f"--weights: {weights}: no such file or preset; repeat the flag for "
                "several."
            )
        elif not weights.endswith(".keras") and model is None:
            raise InputError(
                f"{weights} does not say which network it belongs to; give --models "
                "(and --backbone), or a .keras file."
            )
        entries.append(
            Entry(
                name if colon else _network_name(weights, model), None, weights, model
            )
        )
    names = [each.name for each in entries]
    twice = [name for name in names if names.count(name) > 1]
    if twice or not entries:
        raise InputError(
            f"two rows are called {twice[0]}; give them names, NAME:FILE."
            if twice
            else "nothing to compare; give --weights or --masks."
        )
    for name in names:
        single(name, "the flag for a row, which becomes a folder,")
        if name.startswith("."):
            raise InputError(
                f"{name!r} is no name of a row; it becomes a folder's name."
            )
    if FLAGS.baseline not in (None, *names):
        raise InputError(
            f"--baseline={FLAGS.baseline} is no row; there are {', '.join(names)}."
        )
    return entries


def _network_name(weights, model):
    from osmn_recurrent.models import building

    if model:
        return building.MODELS[model].__name__
    return type(building.load_model(weights)).__name__


def score_row(entry, clips, sequences, categories, out):
    """Segments if need be, and scores.

    Returns:
        dict: "network", "backbone" and "seconds_per_frame" (None for masks; the
        seconds are the mean over clips of the median wall-clock time, files
        included), "source", and what `score_report.score_report` gives.
    """
    from osmn_recurrent.metrics import result_folder, score_report

    row = {"network": None, "backbone": None, "seconds_per_frame": None}
    row["source"] = str(entry.folder or entry.weights)
    folder = entry.folder
    if entry.weights:
        folder = out / entry.name
        row |= segment_set(entry, clips, folder)
    scores = result_folder.evaluate_folder(folder, sequences, FLAGS.processes)
    return row | score_report.score_report(scores, categories)


def segment_set(entry, clips, folder):
    """Segments every clip that has no masks yet.

    Returns:
        dict: "network", the class's name, its "backbone", and "seconds_per_frame",
        None where the clips are too short to tell.
    """
    from osmn_recurrent.inference.output import segment_clip

    loop = shared_flags.loop_options(FLAGS, entry.weights)
    own = entry.weights not in PRESETS and not entry.weights.endswith(".keras")
    options = shared_flags.parse_model_options(FLAGS.model_option) if own else {}
    size = FLAGS.backbone if own else None
    model = segment.load_network(entry.weights, entry.model, size, options)
    segmenter, times = None, []
    for clip in clips:
        steps = tuning.steps_for(FLAGS.finetune_steps, model, clip)
        if steps or segmenter is None:
            tuned = folder.parent / f"{folder.name}_tuned"
            segmenter = tuning.make_segmenter(model, clip, tuned, loop, steps)
        outcome = segment_clip(
            segmenter,
            clip,
            folder / clip.name,
            FLAGS.overwrite,
            later_masks=not steps,
        )
        if outcome.seconds is not None:
            times.append(outcome.seconds)
    return {
        "network": type(model).__name__,
        "backbone": model.backbone.name,
        "seconds_per_frame": sum(times) / len(times) if times else None,
    }


def choose_baseline(rows):
    """The name of the row that others are compared with."""
    osmn = [
        name
        for name, row in rows.items()
        if row["network"] == "OSMN" or name.lower().startswith("osmn")
    ]
    return FLAGS.baseline or (osmn or list(rows))[0]


def compare(rows, baseline):
    """Adds "difference" to the rows: `{figure: fields of Difference}`."""
    from osmn_recurrent.metrics import comparison

    for row in rows.values():
        row["difference"] = {
            figure: dataclasses.asdict(
                comparison.paired_difference(
                    *(
                        comparison.object_values(each, figure)
                        for each in (row, rows[baseline])
                    )
                )
            )
            for figure in ("J&F-Mean", "J-Mean", "F-Mean")
        }


def write_results(out, results):
    """Writes results.json and the tables, prints the table, gives the paths."""
    from osmn_recurrent.reports import benchmark_rows, text_tables

    files.write_json(out / "results.json", results)
    rows = benchmark_rows.table_rows(results)
    title = benchmark_rows.title(results)
    markdown = text_tables.markdown_table(rows, benchmark_rows.DECIMALS)
    files.write_text(out / "table.md", f"{title}\n\n{markdown}\n")
    files.write_text(out / "table.csv", text_tables.csv_table(rows))
    files.write_text(
        out / "sequences.csv",
        text_tables.csv_table(benchmark_rows.sequence_rows(results)),
    )
    print(text_tables.text_table(rows, benchmark_rows.DECIMALS))
    print(f"\n{title}")
    return tuple(out / name for name in RESULT_FILES)


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
