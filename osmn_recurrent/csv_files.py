"""CSV as text that spreadsheets show and never run."""

import csv
import io
import re

_STARTS = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER = r"[+-]?\d[\d.,]*(e[+-]?\d+)?"
_HARMLESS = re.compile(rf"\s*(-|{_NUMBER}( to {_NUMBER})?)\s*", re.IGNORECASE)


def csv_text(rows):
    """Rows as CSV.

    Args:
        rows: iterable of lists of cells, the header first; None is left empty.

    Returns:
        str. A text that a spreadsheet would take for a formula ("=1+1",
        "@SUM", "-2+3") gets an apostrophe before it; numbers stay.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([map(_cell, row) for row in rows])
    return text.getvalue()


def _cell(value):
    if not isinstance(value, str):
        return value
    if _STARTS.match(value) and not _HARMLESS.fullmatch(value):
        return f"'{value}"
    return value
