"""CSV that no spreadsheet runs."""

import csv
import io

import pytest

from osmn_recurrent.csv_files import csv_text


@pytest.mark.parametrize(
    "text",
    [
        "=1+cmd",
        " =1",
        "=HYPERLINK(1) J",
        "@SUM(A1)",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "-x",
        "\t=1",
        "--1",
        "+1 to =2",
    ],
)
def test_formulas_become_text(text):
    (row,) = csv.reader(io.StringIO(csv_text([[text, "b"]]), newline=""))
    assert row == [f"'{text}", "b"]


@pytest.mark.parametrize(
    "value",
    ["-", "-1.5", "+0.25", "-1e-5", "+1.2 to +3.4", "-1.2 to 3.4", "a=1", "bear", ""],
)
def test_numbers_and_plain_texts_stay(value):
    assert list(csv.reader(io.StringIO(csv_text([[value, "x"]])))) == [[value, "x"]]


def test_values():
    assert csv_text([["a", "b"], [-1.5, None], [3, True]]) == "a,b\n-1.5,\n3,True\n"
