"""README and docs: their size, their figures, their links, their code."""

import pathlib
import re
import subprocess
import sys

import pytest

import checkpoints_tools
import osmn_recurrent
from experiments import study_table, write_texts
from experiments.recorded_blocks import BLOCKS
from osmn_recurrent.errors import InputError

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "WORKSPACE.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def python_blocks(path):
    """The Python code of a page."""
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.S)


def test_readme_is_short():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 130
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("path", write_texts.texts(), ids=lambda path: path.name)
def test_figures_are_those_of_the_records(path):
    text = path.read_text(encoding="utf-8")
    assert write_texts.renewed(text, BLOCKS) == text


def test_every_block_is_in_a_text():
    texts = "".join(path.read_text(encoding="utf-8") for path in write_texts.texts())
    assert {name for name in BLOCKS if f"<!-- recorded: {name} -->" in texts} == set(
        BLOCKS
    )


def test_a_block_is_replaced_and_the_rest_stays():
    text = "a\n<!-- recorded: x -->\n1\n<!-- end of x -->\nb 1\n"
    new = write_texts.renewed(text, {"x": lambda: "| 2 |"})
    assert new == "a\n<!-- recorded: x -->\n\n| 2 |\n\n<!-- end of x -->\nb 1\n"
    assert write_texts.renewed(new, {"x": lambda: "| 2 |"}) == new


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- recorded: x -->\n1\n", "x has no end"),
        ("<!-- recorded: y -->\n1\n<!-- end of y -->\n", "block is called y"),
    ],
)
def test_a_bad_marker_is_named(text, message):
    with pytest.raises(InputError, match=message):
        write_texts.renewed(text, {"x": str})


def test_leave_one_out():
    """By hand: A leads by 1, 2 and 9, on average 4; without the last 1.5."""
    text = (
        "sequence,object,A.0 J,A.0 F,A.1 J,A.1 F,B J,B F\n"
        "a,1,11,11,11,11,10,10\nb,1,12,10,14,12,10,10\nc,1,19,19,19,19,10,10\n"
    )
    rows = study_table.leave_one_out(text, "A", "B")
    assert [row["without"] for row in rows] == [None, "c", "b", "a"]
    assert [row["mean"] for row in rows] == pytest.approx([4, 1.5, 5, 5.5])
    assert [row["better"] for row in rows] == [3, 2, 2, 2]
    assert [row["own"] for row in rows[1:]] == pytest.approx([9, 2, 1])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_flags_in_commands_exist(path):
    """Every --flag that stands behind a verb or a program is one of its flags."""
    from commands import commands_of

    for module, names in commands_of(path.read_text(encoding="utf-8")):
        assert [name for name in names if name not in module.FLAGS] == [], module


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_python_in_pages_compiles_and_uses_names_that_exist(path):
    for block in python_blocks(path):
        compile(block, path.name, "exec")
        for name in re.findall(r"\bosr\.(\w+)", block):
            assert name in osmn_recurrent.__all__
        for names in re.findall(r"from checkpoints_tools import (.*)", block):
            assert set(names.split(", ")) <= set(checkpoints_tools.__all__)


@pytest.mark.slow
def test_the_python_of_readme_runs(tmp_path):
    (block,) = python_blocks(ROOT / "README.md")
    # One step of fine-tuning instead of a hundred.
    short = block.replace("clip.mask(0) == 1)", "clip.mask(0) == 1, settings)", 1)
    assert short != block
    prelude = (
        "import dataclasses\n"
        "from osmn_recurrent.training.online import FinetuneSettings\n"
        "from osmn_recurrent.models.building import build_model\n"
        "model = build_model('osmn', 'vgg16_compact')\n"
        "settings = FinetuneSettings.for_network(model)\n"
        "settings = dataclasses.replace(settings, iterations=1)\n"
    )
    subprocess.run([sys.executable, "-c", prelude + short], check=True, cwd=tmp_path)


def test_the_api_page_has_every_public_name():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for package in (osmn_recurrent, checkpoints_tools):
        for name, module in package._MODULES.items():
            assert f"::: {package.__name__}.{module}.{name}\n" in text


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_the_net(tmp_path):
    pytest.importorskip("mkdocs")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)],
        check=True,
        cwd=ROOT,
    )
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 10
    loaded = re.compile(
        r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"(?:https?:)?//"
    )
    for page in pages:
        assert not loaded.search(page.read_text(encoding="utf-8")), page.name
    assert "VideoSegmenter" in (tmp_path / "api.html").read_text(encoding="utf-8")
