"""The tables of a benchmark, from the contents of its results.json."""

from osmn_recurrent.metrics.comparison import COVERAGE, object_values
from osmn_recurrent.metrics.statistics import GLOBAL_NAMES

DECIMALS = {"s/frame": 3}


def title(results):
    """One sentence that says what the table shows."""
    first = next(iter(results["rows"].values()))
    sequences = [each for each in first["sequences"].values() if _counts(each)]
    objects = sum(_counts(each) for each in sequences)
    return (
        f"{results['dataset']} {results['split']}: {len(sequences)} clips with "
        f"{objects} objects. Figures in percent; differences to "
        f"{results['baseline']} are paired over sequences, with a bootstrap interval "
        f"of {100 * COVERAGE:g} %."
    )


def _counts(objects):
    return sum(bool(each["J"]) for each in objects.values())


def table_rows(results):
    """One dict per row, for `tables.text_table`.

    Args:
        results: contents of results.json.

    Returns:
        list of dicts: the official figures in percent, "J/category" where
        there are categories, the J&F difference to the baseline with its
        interval, on how many sequences it is better, and seconds per frame.
    """
    baseline, rows = results["baseline"], []
    for name, row in results["rows"].items():
        line = {"method": name}
        for figure in GLOBAL_NAMES:
            line[figure.removesuffix("-Mean")] = 100 * row["global"][figure]
        if "category_mean" in row:
            line["J/category"] = 100 * row["category_mean"]["J-Mean"]
        gap = row["difference"]["J&F-Mean"]
        itself = name == baseline
        line[f"J&F over {baseline}"] = None if itself else 100 * gap["mean"]
        line["interval"] = (
            None
            if itself or gap["low"] is None
            else f"{100 * gap['low']:+.1f} to {100 * gap['high']:+.1f}"
        )
        line["better in"] = (
            None if itself else f"{gap['better']} of {len(gap['sequences'])}"
        )
        line["s/frame"] = row["seconds_per_frame"]
        rows.append(line)
    return rows


def sequence_rows(results):
    """One dict per sequence and object: J and F of every row in percent."""
    values = {
        (name, figure): object_values(row, f"{figure}-Mean")
        for name, row in results["rows"].items()
        for figure in "JF"
    }
    first = next(iter(values.values()))
    return [
        {"sequence": sequence, "object": i}
        | {
            f"{name} {figure}": 100 * found[sequence][i]
            for (name, figure), found in values.items()
        }
        for sequence, objects in first.items()
        for i in objects
    ]
