"""experiments.tables: from a benchmark's results to the papers' tables."""

import csv

import numpy as np
import pytest
from command_lines import arguments, formatted
from result_folders import moving_boxes, write_clip, write_davis

from experiments import tables as program
from osmn_recurrent import programs
from osmn_recurrent.cli import benchmark
from osmn_recurrent.metrics import davis_scores


@pytest.fixture
def call(capsys):
    """Runs a program with flags as keywords: `(exit code, stdout, stderr)`."""

    def run(module, **given):
        for name in module.FLAGS:
            module.FLAGS[name].unparse()
        capsys.readouterr()
        code = programs.call(module.main, module.FLAGS, ["program", *arguments(given)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


def test_measured_masks_appear_in_the_tables(call, tmp_path):
    clip = moving_boxes(8, (1, 2))
    guess = np.roll(clip, 1, axis=1)
    write_davis(tmp_path / "data", {"one": clip})
    write_clip(tmp_path / "masks" / "one", guess)
    code, _, _ = call(
        benchmark,
        masks=[f"{name}:{tmp_path / 'masks'}" for name in ("OSMN", "mine")],
        dataset="davis2017",
        data_dir=tmp_path / "data",
        out=tmp_path / "benchmark",
        processes=1,
    )
    assert code == 0
    results = tmp_path / "benchmark" / "results.json"
    out = tmp_path / "tables"
    code, printed, _ = call(program, benchmark=results, out=out)
    assert code == 0
    assert "osmn2: 7 rows of the paper, 1 measured" in printed
    assert "in no table, no row of a paper is called so: mine" in printed
    figures = davis_scores.summarise(davis_scores.evaluate_masks(clip, guess))
    with open(out / "osmn2.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "OSMN"]
    assert [row["from"] for row in rows] == [
        "paper",
        "masks, davis2017 val (1 clips, 480p)",
    ]
    assert [float(row["J"]) for row in rows] == pytest.approx(
        [52.5, 100 * figures["J-Mean"]]
    )
    names = {"reconvnet1", "osmn1", "osmn2", "osmn3"}
    assert {path.name for path in out.iterdir()} == {
        f"{name}.{ending}" for name in names for ending in ("md", "tex", "csv")
    }


def test_without_results_no_row_is_measured(call, tmp_path):
    code, printed, _ = call(program, out=tmp_path, tables="osmn3")
    assert code == 0
    assert "8 rows of the paper, 0 measured" in printed
    assert (tmp_path / "osmn3.md").read_text().count("not measured") == 8


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"benchmark": "nowhere.json"}, "nowhere.json: no such file"),
        ({"benchmark": "{0}/other.json"}, "is no results.json of osmn"),
        ({"tables": "osmn9"}, "--tables=osmn9"),
    ],
)
def test_bad_flags_are_one_sentence(call, tmp_path, given, text):
    (tmp_path / "other.json").write_text("[]")
    given = formatted(given, tmp_path)
    code, _, errors = call(program, out=tmp_path / "out", **given)
    assert code == 2
    assert errors.count("error:") == 1 and text in errors
    assert not (tmp_path / "out").exists()
