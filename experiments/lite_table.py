"""The networks on EfficientNet-Lite0: means of seeds, and differences that count.

Reads records: lite.csv and lite_sequences.csv (table.csv and sequences.csv of
`osmn benchmark`), lite_tuned.csv (with --finetune_steps=60) and lite_swap_test.json
(`experiments.swap_test`), whose networks are called "NAME seed N".
"""

import collections
import csv
import re

import numpy as np

from osmn_recurrent.metrics.comparison import paired_difference
from osmn_recurrent.reports.tables import markdown_table

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


def table(scores, swaps):
    """One row per network, means over its seeds, as a Markdown table.

    Args:
        scores: rows of lite.csv.
        swaps: rows of lite_swap_test.json.
    """
    swapped = by_network(swaps, "network")
    rows = []
    for name, seeds in by_network(scores, "method").items():
        (pairs,) = zip(*(each["images"].values() for each in swapped[name].values()))
        rows.append(
            {
                "network": name,
                **{key: _mean(seeds, key) for key in ("J&F", "J", "F")},
                "J of each seed": ", ".join(
                    f"{row['J']:.1f}" for row in seeds.values()
                ),
                "J, swapped guide": 100
                * np.mean([row["clips"]["other"] for row in swapped[name].values()]),
                "right pairs": _percent(pairs, "both"),
                "right pairs, no Gaussian": _percent(pairs, "none"),
            }
        )
    return markdown_table(rows)


def _mean(seeds, key):
    return float(np.mean([row[key] for row in seeds.values()]))


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


def in_words(swaps, sequences):
    """What the differences are, with intervals over sequences and seeds."""
    own = guide_values(swaps, OSMN, "own")
    other = paired_difference(
        own, guide_values(swaps, OSMN, "other"), coverage=COVERAGE
    )
    without = guide_values(swaps, WITHOUT, "own")
    (controls,) = {tuple(seeds) for seeds in without.values()}
    before = {
        clip: {seed: seeds[seed] for seed in controls}
        for clip, seeds in guide_values(swaps, BEFORE, "own").items()
    }
    none = paired_difference(before, without, coverage=COVERAGE)
    recurrence = paired_difference(
        sequence_values(sequences, RECONVNET),
        sequence_values(sequences, OSMN),
        coverage=COVERAGE,
    )
    pairs = next(iter(swaps[0]["images"].values()))["none"]["pairs"]
    seeds = len(by_network(swaps, "network")[OSMN])
    return (
        f"{pairs} pairs, {len(own)} clips, {seeds} seeds. With its own visual guide "
        f"{OSMN} has {_said(other, 100)} more J than with another object's, and with "
        f"visual modulator {_said(none, 100)} more than without, trained on the same "
        f"samples (stage 1, seeds {', '.join(map(str, controls))}). {RECONVNET} has "
        f"{_said(recurrence, 1)} more J&F than {OSMN}, which was trained for as long, "
        f"and is better on {recurrence.better} of {len(recurrence.sequences)} clips. "
        "In brackets: 90% intervals over clips."
    )


def tuned_in_words(row):
    """What fine-tuning on the first mask reaches, of a row of lite_tuned.csv."""
    return (
        f"After 60 steps of fine-tuning on each first mask {OSMN} (seed 0) has J&F "
        f"{row['J&F']:.1f}, J {row['J']:.1f} and F {row['F']:.1f}."
    )


def _said(found, scale):
    low, high = scale * found.low, scale * found.high
    return f"{scale * found.mean:.1f} ({low:.1f} to {high:.1f})"
