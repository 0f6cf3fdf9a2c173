"""The small-scale study's table, curves and failures, from its benchmark's results."""

import collections
import csv
import shutil

import numpy as np

from osmn_recurrent import files, text_files
from osmn_recurrent.metrics import comparison
from osmn_recurrent.metrics.statistics import over_time
from osmn_recurrent.names import inside

FIGURES = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean")
BASELINE = "OSMN"
COVERAGE = 0.9


def methods_of(rows):
    """The rows of a benchmark by method: "OSMN.0", "OSMN.1" are one.

    Args:
        rows: "rows" of results.json.

    Returns:
        `{method: {seed: row}}`; the seed of a row without one is "".
    """
    found = collections.defaultdict(dict)
    for name, row in rows.items():
        method, dot, seed = name.rpartition(".")
        if dot and seed.isdecimal():
            found[method][seed] = row
        else:
            found[name][""] = row
    return dict(found)


def mean_values(runs, figure):
    """A figure of every object, averaged over seeds.

    Args:
        runs: `{seed: row}`.
        figure: as of `comparison.object_values`.

    Returns:
        `{sequence: {object: value}}`.
    """
    each = [comparison.object_values(row, figure) for row in runs.values()]
    return {
        name: {i: float(np.mean([one[name][i] for one in each])) for i in objects}
        for name, objects in each[0].items()
    }


def table_rows(methods, seconds):
    """One dict per method.

    Args:
        methods: of `methods_of`.
        seconds: `{row's name: seconds per frame}` of tuned networks.

    Returns:
        Figures in percent, their standard deviation over seeds ("±", sample
        formula) where there are several, the difference to `BASELINE` (tuned
        networks: to the tuned one) with its bootstrap interval over
        sequences, and seconds per frame.
    """
    rows = []
    for method, runs in methods.items():
        row = {"method": method, "seeds": len(runs)}
        for figure in FIGURES:
            values = [100 * each["global"][figure] for each in runs.values()]
            name = figure.removesuffix("-Mean")
            row[name] = float(np.mean(values))
            if figure in FIGURES[:2]:
                spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
                row[f"± {name}"] = spread
        base = BASELINE + ("+tuning" if method.endswith("+tuning") else "")
        for figure in FIGURES[:2]:
            name = figure.removesuffix("-Mean")
            row[f"{name} over OSMN"] = row[f"{name} interval"] = None
            if base in methods and method != base:
                gap = comparison.paired_difference(
                    *(mean_values(r, figure) for r in (runs, methods[base])),
                    coverage=COVERAGE,
                )
                row[f"{name} over OSMN"] = 100 * gap.mean
                if gap.low is not None:
                    ends = f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f}"
                    row[f"{name} interval"] = ends
        times = [
            each["seconds_per_frame"] or seconds.get(f"{method}.{seed}")
            for seed, each in runs.items()
        ]
        times = [each for each in times if each is not None]
        row["s/frame"] = float(np.mean(times)) if times else None
        rows.append(row)
    return rows


def sequence_means(text):
    """Figures per method and sequence, averaged over seeds and objects.

    Args:
        text: contents of a benchmark's sequences.csv.

    Returns:
        `{method: {sequence: {"J": percent, "F": percent}}}`.
    """
    values = collections.defaultdict(list)
    for row in csv.DictReader(text.splitlines()):
        for column in list(row)[2:]:
            name, _, figure = column.rpartition(" ")
            method, dot, seed = name.rpartition(".")
            method = method if dot and seed.isdecimal() else name
            if row[column]:
                value = float(row[column])
                values[method, row["sequence"], figure].append(value)
    means = collections.defaultdict(lambda: collections.defaultdict(dict))
    for (method, sequence, figure), each in values.items():
        means[method][sequence][figure] = float(np.mean(each))
    return means


def leave_one_out(text, method, baseline):
    """How much of a method's lead hangs on one sequence.

    Args:
        text: contents of a benchmark's sequences.csv.
        method: its name without the seed.
        baseline: the method that it is compared with.

    Returns:
        List of dicts: "without" (a sequence; None in the first row, which has
        all), "mean" (difference of J&F over the others, points), "better" (of
        "sequences", how many are above the baseline) and "own" (the left-out
        sequence's difference). The sequence that the lead hangs on most first.
    """
    means = sequence_means(text)
    gaps = {
        sequence: float(
            np.mean(
                [
                    means[method][sequence][x] - means[baseline][sequence][x]
                    for x in "JF"
                ]
            )
        )
        for sequence in means[method]
    }
    rows = []
    for without in [None, *sorted(gaps, key=gaps.get, reverse=True)]:
        rest = [gap for sequence, gap in gaps.items() if sequence != without]
        rows.append(
            {
                "without": without,
                "mean": float(np.mean(rest)),
                "better": sum(gap > 0 for gap in rest),
                "sequences": len(rest),
                "own": gaps.get(without),
            }
        )
    return rows


def tuned_seconds(tuned):
    """Seconds per frame, tuning included.

    Args:
        tuned: `{row's name: folder}` of osmn finetune.

    Returns:
        `{row's name: mean over clips}`, without rows that are too short to
        tell.
    """
    found = {}
    for name, folder in tuned.items():
        each = [
            text_files.read_json(path, "a result of osmn finetune")
            for path in sorted((folder / "sequences").glob("*.json"))
        ]
        times = [row["s/frame with tuning"] for row in each]
        if times and None not in times:
            found[name] = sum(times) / len(times)
    return found


def curves_of(methods):
    """J over the fraction of the video, the mean over seeds and sequences.

    Args:
        methods: of `methods_of`.

    Returns:
        `{method: (K,) J}`, for OSMN's Fig. 4.
    """
    return {
        method: over_time(
            [
                each["J"]
                for row in runs.values()
                for objects in row["sequences"].values()
                for each in objects.values()
            ]
        )
        for method, runs in methods.items()
    }


def write(out, tuned, clips):
    """Writes study.md, study.csv, study.json and two pictures; prints the table.

    Args:
        out: the small-scale study's folder.
        tuned: see `tuned_seconds`.
        clips: see `draw_failures`.
    """
    from osmn_recurrent.reports import benchmark_rows, drawings, text_tables

    path = out / "benchmark" / "results.json"
    results = text_files.read_json(path, "a results.json of osmn benchmark")
    methods = methods_of(results["rows"])
    rows = table_rows(methods, tuned_seconds(tuned))
    rows.sort(key=lambda row: -row["J&F"])
    title = (
        f"{results['dataset']} {results['split']}. Means over seeds in percent, ± "
        "their standard deviation; differences to OSMN (tuned networks: to tuned "
        "OSMN) are "
        "paired over sequences, with a bootstrap interval of "
        f"{100 * COVERAGE:g} %."
    )
    markdown = text_tables.markdown_table(rows, benchmark_rows.DECIMALS)
    files.write_text(out / "study.md", f"{title}\n\n{markdown}\n")
    files.write_text(out / "study.csv", text_tables.csv_table(rows))
    files.write_json(out / "study.json", rows)
    place = f"{results['dataset']} {results['split']}, mean over seeds and sequences"
    drawings.draw_over_time(out / "j_over_time.png", curves_of(methods), {}, place)
    draw_failures(out, clips, methods)
    print(text_tables.text_table(rows, benchmark_rows.DECIMALS))
    print(f"\n{title}")


def draw_failures(out, clips, methods, worst=3):
    """Draws OUT/failures.png: the clips with the lowest J, ground truth and masks.

    Args:
        out: the small-scale study's folder.
        clips: list of `Clip`s of the table.
        methods: of `methods_of`; the clips are those at which "ReConvNet" is
            worst, shown for its and OSMN's first seed.
        worst: number of clips.
    """
    from osmn_recurrent.inference import output
    from osmn_recurrent.media.mask_files import read_mask
    from osmn_recurrent.reports import overlays

    means = mean_values(methods["ReConvNet"], "J-Mean")
    means = {name: np.mean(list(objects.values())) for name, objects in means.items()}
    by_name, rows = {clip.name: clip for clip in clips}, []
    for name in sorted(means, key=means.get)[:worst]:
        clip = by_name[name]
        frames = overlays.Lazy(len(clip), clip.frame)
        rows.append((f"{name}\ntruth", frames, overlays.Lazy(len(clip), clip.mask)))
        for method in (BASELINE, "ReConvNet"):
            seed, row = next(iter(methods[method].items()))
            folder = inside(out / "benchmark", f"{method}.{seed}", "results.json")
            paths = output.mask_files(clip, folder / name)
            ids = overlays.Lazy(len(clip), lambda t, p=paths: read_mask(p[t]))
            objects = comparison.object_values(row, "J-Mean")[name].values()
            label = f"{name}\n{method}\nJ {100 * np.mean(list(objects)):.1f}"
            rows.append((label, frames, ids))
    overlays.contact_sheet(out / "failures.png", rows)


def keep(out, target):
    """Copies the small text files of all trainings, for the record.

    Args:
        out: the small-scale study's folder.
        target: folder for RUN/run.json, loss.csv and validation.csv, for the
            tuned runs' table.txt, and for the small-scale study's own tables.
    """
    wanted = ("run.json", "loss.csv", "validation.csv", "tuned/table.txt")
    paths = [p for name in wanted for p in out.glob(f"*/*/{name}")]
    paths += [out / name for name in ("study.md", "study.csv", "study.json")]
    paths += [out / "benchmark" / name for name in ("table.md", "sequences.csv")]
    paths += [out / "probe" / name for name in ("probe.md", "probe.json")]
    for path in paths:
        copy = target / path.relative_to(out)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with files.replace_when_done(copy) as temporary:
            shutil.copyfile(path, temporary)
