"""The papers' tables with published figures beside measured ones."""

import re

from osmn_recurrent.reports import text_tables
from osmn_recurrent.reports.published import SPEED

PUBLISHED, MISSING = "paper", "not measured"


def table_lines(table, measurements):
    """A table's lines: for each method the paper's, then what was measured.

    Args:
        table: `published.Table`.
        measurements: contents of results.json files of the benchmark. A row
            measures the paper's row whose key is its name; upper and lower
            case are the same.

    Returns:
        list of dicts with the same keys: "method", the table's marks, "from"
        ("paper", the set that was measured, or "not measured") and the
        figures, in percent (or seconds), None where there is none.
    """
    lines = []
    for row in table.rows:
        marks = dict(zip(table.marks, row.marks, strict=True))
        titles = [column.title for column in table.columns]
        values = dict(zip(titles, row.values, strict=True))
        lines.append({"method": row.method, **marks, "from": PUBLISHED, **values})
        measured = [
            {"from": origin, **figures}
            for results in measurements
            for origin, figures in _measured(table, row, results)
        ]
        for each in measured or [{"from": MISSING, **dict.fromkeys(titles)}]:
            lines.append({"method": row.method, **marks, **each})
    return lines


def _measured(table, row, results):
    """`(origin, {column title: value or None})` of a row that fits, if any."""
    sets = {column.dataset for column in table.columns}
    if results["dataset"] not in sets:
        return
    for name, found in results["rows"].items():
        if name.lower() == row.key:
            yield (
                describe_set(results, found),
                {
                    column.title: _value(column, found)
                    if column.dataset == results["dataset"]
                    else None
                    for column in table.columns
                },
            )


def describe_set(results, row):
    """What was measured, and on which set, how many clips of what size."""
    count = sum(
        any(each["J"] for each in objects.values())
        for objects in row["sequences"].values()
    )
    size = results["resolution"]
    small = f", {size}" if results["dataset"].startswith("davis") else ""
    what = f"{row['network']} ({row['backbone']})" if row["network"] else "masks"
    return f"{what}, {results['dataset']} {results['split']} ({count} clips{small})"


def _value(column, row):
    if column.figure == SPEED:
        return row[SPEED]
    return 100 * row["global"][column.figure]


def command(table, row):
    """The command that measures a row (str, one line per data set)."""
    file = f"--masks={row.key}:FOLDER" if row.masks else f"--weights={row.key}:FILE"
    return [
        f"osmn benchmark {file} --dataset={dataset} --data_dir=DATA"
        + ("" if dataset == "youtube_objects" else " --split=val")
        + f" --out=runs/{dataset}"
        for dataset in dict.fromkeys(column.dataset for column in table.columns)
    ]


def as_markdown(table, lines):
    """The table, and what each row needs, as Markdown (str)."""
    recipes = [
        {
            "row": row.method,
            "name": f"`{row.key}`",
            "needs": row.needs,
            "command": "<br>".join(f"`{line}`" for line in command(table, row)),
        }
        for row in table.rows
    ]
    return "\n\n".join(
        [
            f"## {table.title}",
            f"{table.source}. {table.note}".strip(),
            text_tables.markdown_table(lines, decimals(table)),
            text_tables.markdown_table(recipes),
        ]
    )


def as_csv(table, lines):
    """The table as CSV (str), with what each row needs and its command."""
    rows = {row.method + str(list(row.marks)): row for row in table.rows}
    full = []
    for line in lines:
        row = rows[line["method"] + str([line[mark] for mark in table.marks])]
        recipe = {"needs": row.needs, "command": "; ".join(command(table, row))}
        full.append(line | recipe)
    return text_tables.csv_table(full)


def as_latex(table, lines):
    """The table as LaTeX (str); it needs the package booktabs."""
    header, body = text_tables.cells(lines, decimals(table))
    texts = 2 + len(table.marks)
    rows, before = [], None
    for line in body:
        if before not in (None, line[0]):
            rows.append(r"\addlinespace")
        before = line[0]
        rows.append(" & ".join(map(_escaped, line)) + r" \\")
    return "\n".join(
        [
            r"\begin{table*}",
            rf"\caption{{{_escaped(f'{table.title} ({table.source}). {table.note}')}}}",
            rf"\begin{{tabular}}{{{'l' * texts}{'r' * len(table.columns)}}}",
            r"\toprule",
            " & ".join(map(_escaped, header)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    )


def decimals(table):
    """Digits after the point, `{column title: digits}`."""
    return {each.title: 2 for each in table.columns if each.figure == SPEED}


def _escaped(text):
    return re.sub(r"([&%$#_{}])", r"\\\1", text.strip())
