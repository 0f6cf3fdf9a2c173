"""The networks on EfficientNet-Lite0: means of seeds, and differences that count.

Reads records: lite.csv and lite_sequences.csv (table.csv and sequences.csv of
`osmn benchmark --search_area=0`), lite_area.csv and lite_area_sequences.csv (the same
with --search_area=3), lite_tuned.csv (with that and --finetune_steps=60) and
lite_swap_test.json (`experiments.swap_test`; lite_swap_area.json with --search_area=3),
whose networks are called "NAME seed N";
and lite_recurrence.csv, one row per training of `RECURRENCE`.
"""

import collections
import csv
import re

import numpy as np

from osmn_recurrent.metrics.comparison import crossed_difference
from osmn_recurrent.reports.text_tables import markdown_table

OSMN, RECONVNET = "OSMN-lite0", "ReConvNet-lite0"
BEFORE, WITHOUT = "OSMN-lite0, stage 1 alone", "stage 1, no visual modulator"
NAME = re.compile(r"(.*) seed (\d+)")
COVERAGE = 0.9


def by_network(rows, key):
    """`{network: {seed: row}}` of rows whose `key` is "NETWORK seed N"."""
    found = collections.defaultdict(dict)
    for row in rows:
        name, seed = NAME.fullmatch(row[key]).groups()
        found[name][int(seed)] = row
    return found


def table(scores, swaps, areas):
    """One row per network, means over its seeds, as a Markdown table.

    Args:
        scores: rows of lite.csv.
        swaps: rows of lite_swap_test.json.
        areas: rows of lite_area.csv.
    """
    zoomed = by_network(areas, "method")
    swapped = by_network(swaps, "network")
    rows = []
    for name, seeds in by_network(scores, "method").items():
        (pairs,) = zip(*(each["images"].values() for each in swapped[name].values()))
        rows.append(
            {
                "network": name,
                **{key: _mean(seeds, key) for key in ("J&F", "F")},
                "spread": _spread(swapped[name].values()),
                "J (each seed)": _with_seeds(seeds),
                "J, search area": _with_seeds(zoomed.get(name)),
                "J, swapped guide": 100
                * np.mean([row["clips"]["other"] for row in swapped[name].values()]),
                "right pairs": _percent(pairs, "both"),
                "no Gaussian": _percent(pairs, "none"),
            }
        )
    return markdown_table(rows, {"spread": 3})


def sizes(tables):
    """OSMN seen in several ways, means over its seeds, as a Markdown table.

    Args:
        tables: `{way: rows of a table.csv}`.
    """
    rows = []
    for way, scores in tables.items():
        seeds = by_network(scores, "method")[OSMN]
        means = {key: _mean(seeds, key) for key in ("J&F", "J", "F")}
        rows.append({"the network sees": way, **means, "J of each seed": _each(seeds)})
    return markdown_table(rows)


def _with_seeds(seeds):
    """`"mean (J of each seed)"`; None for no seeds."""
    if not seeds:
        return None
    return f"{_mean(seeds, 'J'):.1f} ({_each(seeds)})"


def _each(seeds):
    return ", ".join(f"{row['J']:.1f}" for row in seeds.values())


def _mean(seeds, key):
    return float(np.mean([row[key] for row in seeds.values()]))


def _spread(rows):
    """Mean spread of the gammas; None for networks that have none."""
    found = [row["spread"] for row in rows if row["spread"] is not None]
    return float(np.mean(found)) if found else None


def _percent(pairs, kind):
    return f"{100 * np.mean([each[kind]['right_pairs'] for each in pairs]):.0f}%"


def guide_values(swaps, name, kind):
    """`{clip: {seed: J}}` of a network followed with a kind of visual guide."""
    values = collections.defaultdict(dict)
    for seed, row in by_network(swaps, "network")[name].items():
        for clip, j in row["clips"]["per_clip"][kind].items():
            values[clip][seed] = j
    return values


def sequence_values(text, name):
    """`{sequence: {"seed/object": J&F}}` of a network, of lite_sequences.csv.

    Args:
        text: contents of the file.
        name: the network.
    """
    values = collections.defaultdict(dict)
    for row in csv.DictReader(text.splitlines()):
        for column in row:
            match = column.endswith(" J") and NAME.fullmatch(column[:-2])
            if match and match[1] == name:
                both = float(row[column]), float(row[f"{column[:-2]} F"])
                values[row["sequence"]][f"{match[2]}/{row['object']}"] = np.mean(both)
    return values


def in_words(swaps, sequences, areas, area_swaps):
    """What the differences are, with intervals over sequences and seeds.

    Args:
        swaps: rows of lite_swap_test.json.
        sequences: contents of lite_sequences.csv.
        areas: contents of lite_area_sequences.csv.
        area_swaps: rows of lite_swap_area.json.
    """
    other, other_zoomed = (
        crossed_difference(
            guide_values(rows, OSMN, "own"),
            guide_values(rows, OSMN, "other"),
            coverage=COVERAGE,
        )
        for rows in (swaps, area_swaps)
    )
    without = guide_values(swaps, WITHOUT, "own")
    (controls,) = {tuple(seeds) for seeds in without.values()}
    before = {
        clip: {seed: seeds[seed] for seed in controls}
        for clip, seeds in guide_values(swaps, BEFORE, "own").items()
    }
    none = crossed_difference(before, without, coverage=COVERAGE)
    recurrence, zoomed = (
        crossed_difference(
            sequence_values(text, RECONVNET),
            sequence_values(text, OSMN),
            coverage=COVERAGE,
        )
        for text in (sequences, areas)
    )
    pairs = next(iter(swaps[0]["images"].values()))["none"]["pairs"]
    seeds = len(by_network(swaps, "network")[OSMN])
    return (
        f"Without fine-tuning; {pairs} pairs, {len(other.sequences)} clips, {seeds} "
        "seeds. "
        f"With its own visual guide {OSMN} has {_said(other, 100)} more J than with "
        f"another object's ({_said(other_zoomed, 100)} with the search area), and with "
        f"visual modulator {_said(none, 100)} more than "
        "without, trained on the same samples (stage 1). "
        f"{RECONVNET} has {_said(recurrence, 1)} "
        f"more J&F than {OSMN}, trained for as long, and is better on "
        f"{recurrence.better} of {len(recurrence.sequences)} clips. "
        f"With the search area, the default, it has {_said(zoomed, 1)} more. "
        "In brackets: 90% intervals over clips and seeds."
    )


def tuned_in_words(row):
    """What fine-tuning on the first mask reaches, of a row of lite_tuned.csv."""
    return (
        f"After 60 steps of fine-tuning on each first mask {OSMN} (seed 0) has J&F "
        f"{row['J&F']:.1f}, J {row['J']:.1f} and F {row['F']:.1f}."
    )


def choice_in_words(folder, objects, stop):
    """How the packaged seed was chosen, and what fine-tuning was chosen by.

    Args:
        folder: of lite_results, whose validation.csv hold J&F on pieces of stop clips.
        objects: rows of lite_objects.csv, "NETWORK seed N" and J&F on `val_objects`.
        stop: two rows of `osmn benchmark` on `train_stop`: without and with 60 steps.
    """
    said = []
    found = by_network(objects, "method")
    for name, part in ((OSMN, "osmn"), (RECONVNET, "reconvnet")):
        means = {}
        for seed, row in found[name].items():
            path = folder / part / f"seed{seed}" / "validation.csv"
            *_, last = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
            means[seed] = (100 * float(last["J&F"]) + row["J&F"]) / 2
        if max(means, key=means.get) != 0:
            raise ValueError(f"seed 0 of {name} has not the highest mean: {means}")
        said.append(f"{', '.join(f'{mean:.1f}' for mean in means.values())} ({name})")
    tuned = found[f"{OSMN}, tuned"][0]
    before, after = (f"{row['J&F']:.1f}" for row in stop)
    return (
        "Packaged is seed 0, which has the highest mean of J&F on pieces of the four "
        "stop sequences and on two clips of several objects (`dogs-jump`, `bmx-trees`; "
        f"the latter is among the ten as well): {' and '.join(said)}. On these two "
        f"clips {OSMN} has J&F {found[OSMN][0]['J&F']:.1f}, {RECONVNET} "
        f"{found[RECONVNET][0]['J&F']:.1f}, and {OSMN} {tuned['J&F']:.1f} after "
        "fine-tuning. Its settings were chosen on the stop sequences, whole: J&F "
        f"{before} without, {after} with 60 steps."
    )


def _said(found, scale):
    low, high = scale * found.low, scale * found.high
    return f"{scale * found.mean:.1f} ({low:.1f} to {high:.1f})"
