"""Tables of results as text, Markdown and CSV."""

import csv
import io


def text_table(rows, decimals=None):
    """A table for the terminal.

    Args:
        rows: list of dicts with the same keys; the keys are the header.
        decimals: `{key: digits after the point}`, by default 1. None is
            shown as "-".

    Returns:
        str, numbers to the right.
    """
    header, lines = cells(rows, decimals or {})
    columns = list(zip(header, *lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    ruler = ["-" * width for width in widths]
    return "\n".join(
        "  ".join(
            text.rjust(width) if k else text.ljust(width)
            for k, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in [header, ruler, *lines]
    )


def markdown_table(rows, decimals=None):
    """The same table in Markdown, texts to the left; see `text_table`."""
    header, lines = cells(rows, decimals or {})
    ruler = [
        ":--" if all(isinstance(row[key], str) for row in rows) else "--:"
        for key in header
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ruler, *lines])


def csv_table(rows):
    """The same table as CSV (str), numbers in full; None is left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def cells(rows, decimals):
    """`(header, lines)` of texts; arguments as of `text_table`."""
    header = list(rows[0])
    return header, [
        [_cell(row[key], decimals.get(key, 1)) for key in header] for row in rows
    ]


def _cell(value, digits):
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
