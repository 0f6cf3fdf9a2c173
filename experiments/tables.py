"""The tables of both papers: published figures beside measured ones.

    python -m experiments.tables --benchmark=runs/davis2016/results.json

Writes OUT/TABLE.md, TABLE.tex (package booktabs) and TABLE.csv of ReConvNet's
Table 1 (reconvnet1) and of OSMN's Tables 1 to 3 (osmn1, osmn2, osmn3). Measured
figures come from results.json files of osmn benchmark, whose rows
bear the names that TABLE.md lists (osmn, reconvnet_tuned, ...). Every row says
what it needs and which command measures it, and whether it was measured.
"""

import pathlib

from absl import flags

from osmn_recurrent import files, programs, text_files
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError
from osmn_recurrent.reports import paper_tables
from osmn_recurrent.reports.published import TABLES

FLAGS = flags.FlagValues()
shared.define(FLAGS, "benchmark", [], note="On any of the data sets.", several=True)
flags.DEFINE_list(
    "tables", list(TABLES), f"Which tables: {', '.join(TABLES)}.", flag_values=FLAGS
)
shared.define(FLAGS, "out", "runs/tables", note="Tables there are replaced.")


def main():
    """Writes the tables; see the module's text."""
    unknown = [name for name in FLAGS.tables if name not in TABLES]
    if unknown:
        raise InputError(f"--tables={unknown[0]}: expected {', '.join(TABLES)}.")
    measurements = [read_results(path) for path in FLAGS.benchmark]
    out, used = pathlib.Path(FLAGS.out), set()
    written = [out / f"{n}.{end}" for n in FLAGS.tables for end in ("md", "tex", "csv")]
    files.check_output(out, folder=True)
    files.refuse_inputs(written, FLAGS.benchmark)
    for name in FLAGS.tables:
        table = TABLES[name]
        lines = paper_tables.table_lines(table, measurements)
        files.write_text(
            out / f"{name}.md", paper_tables.as_markdown(table, lines) + "\n"
        )
        files.write_text(
            out / f"{name}.tex", paper_tables.as_latex(table, lines) + "\n"
        )
        files.write_text(out / f"{name}.csv", paper_tables.as_csv(table, lines))
        missing = sum(line["from"] == paper_tables.MISSING for line in lines)
        print(
            f"{name}: {len(table.rows)} rows of the paper, "
            f"{len(table.rows) - missing} measured"
        )
        used |= {row.key for row in table.rows}
    strays = {
        row
        for results in measurements
        for row in results["rows"]
        if row.lower() not in used
    }
    if strays:
        print(
            f"in no table, no row of a paper is called so: {', '.join(sorted(strays))}"
        )
    return programs.Done(tuple(out / f"{name}.md" for name in FLAGS.tables))


def read_results(path):
    """The contents of a benchmark's results.json.

    Raises:
        InputError: no such file, or something else.
    """
    results = text_files.read_json(path, "a results.json of osmn benchmark")
    keys = {"dataset", "split", "resolution", "rows"}
    if not isinstance(results, dict) or not keys <= results.keys():
        raise InputError(
            f"{path} is no results.json of osmn benchmark (keys are missing); name "
            "the file that it wrote."
        )
    return results


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
