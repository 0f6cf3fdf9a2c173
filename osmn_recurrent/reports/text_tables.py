"""Tables of results as text, Markdown and CSV.

tabulate was tried. It pads the cells of Markdown to their column's width, with which
README's two tables are 150 and 140 characters wide instead of 111 and 102 (README
keeps to 120), and headers in the terminal by two characters a column. What it would
replace is `text_table`'s and `markdown_table`'s few lines.
"""

from osmn_recurrent.csv_files import csv_text
from osmn_recurrent.names import printable


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
    # A bar in a name would end its cell.
    header, *lines = [
        [text.replace("|", "\\|") for text in line] for line in (header, *lines)
    ]
    ruler = [
        ":--" if all(isinstance(row[key], str) for row in rows) else "--:"
        for key in rows[0]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ruler, *lines])


def csv_table(rows):
    """The same table as CSV (str), numbers in full; None is left empty."""
    header = list(rows[0])
    return csv_text([header, *([row[key] for key in header] for row in rows)])


def cells(rows, decimals):
    """`(header, lines)` of texts; arguments as of `text_table`."""
    header = list(rows[0])
    return [printable(key) for key in header], [
        [printable(_cell(row[key], decimals.get(key, 1))) for key in header]
        for row in rows
    ]


def _cell(value, digits):
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
