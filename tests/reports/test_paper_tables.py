"""The papers' tables: consistent figures, and measured ones beside them."""

import csv
import io
import json
import pathlib
import re

import pytest

import experiments
from osmn_recurrent.metrics.statistics import GLOBAL_NAMES
from osmn_recurrent.models import NAMES
from osmn_recurrent.reports import paper_tables, published
from osmn_recurrent.reports.published import SPEED, TABLES

FLAG_FILES = pathlib.Path(experiments.__file__).parent / "flags"


def row_of(table, key):
    """A table's row by its key."""
    (row,) = [each for each in TABLES[table].rows if each.key == key]
    return row


def value_of(table, key, title):
    """A published figure."""
    titles = [column.title for column in TABLES[table].columns]
    return row_of(table, key).values[titles.index(title)]


@pytest.mark.parametrize("name", list(TABLES))
def test_tables_are_well_formed(name):
    table = TABLES[name]
    keys = [row.key for row in table.rows]
    assert len(set(keys)) == len(keys)
    for row in table.rows:
        assert len(row.values) == len(table.columns)
        assert len(row.marks) == len(table.marks)
        assert row.needs
        for file in re.findall(r"\w+\.flags", row.needs):
            assert (FLAG_FILES / file).is_file(), file
        base = re.sub("_(tuned|crf|no_.*|stage1|b)$", "", row.key)
        assert row.masks or base in NAMES
    for column in table.columns:
        assert column.figure in (*GLOBAL_NAMES, SPEED)


def test_j_and_f_agree_with_their_mean():
    for row in published.RECONVNET_1.rows:
        for both, j, _, _, f, _, _ in (row.values[:7], row.values[7:]):
            if both is not None:
                assert both == pytest.approx((j + f) / 2, abs=0.1001)


def test_figures_that_several_tables_print_are_the_same():
    assert value_of("reconvnet1", "osmn", "16 J") == value_of(
        "osmn1", "osmn", "DAVIS 16"
    )
    seven = [c.title for c in published.OSMN_2.columns]
    for title in seven:
        assert value_of("osmn2", "osmn", title) == value_of(
            "reconvnet1", "osmn", f"17 {title}"
        )
    assert value_of("osmn3", "osmn", "mIU") == value_of("osmn2", "osmn", "J")
    assert value_of("osmn1", "osvos", "DAVIS 16") == value_of(
        "reconvnet1", "osvos", "16 J"
    )


def test_differences_that_the_papers_state():
    gain = value_of("reconvnet1", "reconvnet", "16 J") - 74.0
    assert gain == pytest.approx(5.4)  # section 3.1
    on_2017 = [value_of("reconvnet1", k, "17 J&F") for k in ("reconvnet", "osmn")]
    assert on_2017[0] - on_2017[1] == pytest.approx(10.9)  # section 3.2
    tuned = value_of("reconvnet1", "reconvnet_tuned", "17 J&F")
    assert tuned - on_2017[0] == pytest.approx(4.5)
    mean = {row.key: row.values[0] for row in published.OSMN_3.rows}
    stated = {"osmn_tuned": 8.3, "osmn_crf": 1.9, "osmn_no_visual": -19.5}
    stated |= {"osmn_no_spatial": -12.4, "osmn_no_crop": -1.9}
    for key, lead in stated.items():
        assert mean[key] - mean["osmn"] == pytest.approx(lead)
    cumulative = [mean[f"osmn_no_{k}"] for k in ("crop", "visual_augmentation")]
    assert cumulative[1] - cumulative[0] == pytest.approx(-1.1)
    assert mean["osmn_no_spatial_augmentation"] - cumulative[1] == pytest.approx(-13.9)


def test_published_scores_give_the_published_mean(test_data):
    """The DAVIS site's scores of every frame average to the paper's figures."""
    folder = test_data / "data" / "official_per_frame_davis2016"
    for key, file in (("osmn", "osmn"), ("osvos", "osvos")):
        frames = json.loads((folder / f"{file}.json").read_text())
        means = [
            sum(map(float, entry["J"])) / len(entry["J"])
            for name, entry in frames.items()
            if name != "id"
        ]
        published_mean = value_of("osmn1", key, "DAVIS 16")
        assert 100 * sum(means) / len(means) == pytest.approx(published_mean, abs=0.05)


def results(dataset="davis2016", **rows):
    """A benchmark's results with one sequence; rows by name, J in [0, 1]."""
    return {
        "dataset": dataset,
        "split": "val",
        "resolution": "480p",
        "rows": {
            name: {
                "network": "OSMN",
                "backbone": "vgg16",
                "seconds_per_frame": 0.5,
                "global": dict.fromkeys(GLOBAL_NAMES, j),
                "sequences": {"a": {"1": {"J": [j]}}, "empty": {"1": {"J": []}}},
            }
            for name, j in rows.items()
        },
    }


def test_measured_figures_stand_below_the_published_ones():
    measured = [results(OSMN=0.5), results("youtube_objects", osmn=0.25)]
    lines = paper_tables.table_lines(TABLES["osmn1"], measured)
    ours = [each for each in lines if each["method"] == "OSMN (stages 1 and 2)"]
    assert [each["from"] for each in ours] == [
        "paper",
        "OSMN (vgg16), davis2016 val (1 clips, 480p)",
        "OSMN (vgg16), youtube_objects val (1 clips)",
    ]
    assert [each["DAVIS 16"] for each in ours] == [74.0, 50.0, None]
    assert [each["YoutubeObjs"] for each in ours] == [69.0, None, 25.0]
    assert [each["Speed (s)"] for each in ours] == [0.14, 0.5, None]
    others = [each for each in lines if each["method"] == "SFL"]
    assert [each["from"] for each in others] == ["paper", "not measured"]


@pytest.mark.parametrize("name", list(TABLES))
def test_every_form_has_every_row(name):
    table = TABLES[name]
    lines = paper_tables.table_lines(table, [results(osmn=0.5, osvos=0.4)])
    markdown = paper_tables.as_markdown(table, lines)
    rows = list(csv.DictReader(io.StringIO(paper_tables.as_csv(table, lines))))
    latex = paper_tables.as_latex(table, lines)
    assert len(rows) == len(lines)
    assert latex.count(r"\\") == len(lines) + 1
    assert not re.search(r"(?<!\\)[%_#]", latex)
    columns = len(lines[0])
    body = [x for x in latex.splitlines() if x.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", x)) for x in body} == {columns - 1}
    for row in table.rows:
        assert f"`{row.key}`" in markdown
        for line in paper_tables.command(table, row):
            assert line in markdown
    by_method = {row["method"]: row for row in rows}
    assert all(row["needs"] and "osmn benchmark" in row["command"] for row in rows)
    # Spreadsheets take "- random crop" for a formula.
    assert {name.lstrip("'") for name in by_method} == {r.method for r in table.rows}
