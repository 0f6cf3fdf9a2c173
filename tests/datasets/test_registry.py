"""Data sets by name; the documentation's example is run."""

import importlib.metadata
import pathlib
import re
import sys

import numpy as np
import pytest
from PIL import Image
from result_folders import moving_boxes, write_clip

from osmn_recurrent import plugins, programs
from osmn_recurrent.cli import evaluate
from osmn_recurrent.datasets import registry
from osmn_recurrent.datasets.ground_truth import Protocol
from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics.region import region_similarity

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "adding_a_data_set.md"


@pytest.fixture
def forgotten(monkeypatch):
    """Data sets that a test registers are forgotten again."""
    monkeypatch.setattr(registry, "_KNOWN", dict(registry._KNOWN))
    plugins.load.cache_clear()
    yield
    plugins.load.cache_clear()


@pytest.fixture
def insects(tmp_path, monkeypatch):
    """The documentation's module `insects`, data for it, and results."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "insects.py").write_text(blocks[0])
    (tmp_path / "use.py").write_text(blocks[1])
    clip = moving_boxes(5, (1, 2))
    names = [f"{t:04d}" for t in range(1, 6)]
    write_clip(tmp_path / "INSECTS" / "labels" / "bee", clip, names)
    write_clip(tmp_path / "RESULTS" / "bee", np.roll(clip, 1, axis=2), names)
    frames = tmp_path / "INSECTS" / "videos" / "bee"
    frames.mkdir(parents=True)
    for name, ids in zip(names, clip, strict=True):
        Image.fromarray(100 * ids).convert("RGB").save(frames / f"{name}.jpg")
    (tmp_path / "INSECTS" / "val.txt").write_text("bee\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield clip
    sys.modules.pop("insects", None)


def expected_j(clip):
    """Mean J of object 1, all frames but the first."""
    pairs = zip(clip[1:] == 1, np.roll(clip, 1, axis=2)[1:] == 1, strict=True)
    return np.mean([region_similarity(*pair) for pair in pairs])


def test_the_documented_data_set(insects, forgotten, capsys):
    import insects as module

    assert module.__name__ == "insects"
    assert registry.names()[-1] == "insects"
    exec(pathlib.Path("use.py").read_text(), {})
    assert float(capsys.readouterr().out) == pytest.approx(expected_j(insects))
    (clip,) = registry.clips("insects", "INSECTS", "val", first_mask_only=False)
    assert (len(clip), len(clip.mask_paths)) == (5, 5)
    clip.check()
    (first,) = registry.clips("insects", "INSECTS", "val")
    assert list(first.mask_paths) == [0]
    pathlib.Path("INSECTS/val.txt").write_text("../bee\n")
    with pytest.raises(InputError, match="leads out of its folder"):
        registry.clips("insects", "INSECTS", "val")


def test_the_commands_find_a_plug_in(insects, forgotten, monkeypatch, capsys):
    text = PAGE.read_text()
    group, name, value = re.search(
        r'\[project.entry-points."(.*)"\]\n(\w+) = "(\w+)"', text
    ).groups()
    plugin = importlib.metadata.EntryPoint(name, value, group)
    real = importlib.metadata.entry_points
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda **wanted: [plugin] if wanted == {"group": group} else real(**wanted),
    )
    command = re.search(r"`osmn (evaluate [^`]*)`", text)[1].split()
    for flag in evaluate.FLAGS:
        evaluate.FLAGS[flag].unparse()
    command += ["--processes=1", "--out=scores"]
    assert programs.call(evaluate.main, evaluate.FLAGS, command) == 0
    assert "4 scored frames" in capsys.readouterr().out


def test_a_broken_plug_in_is_named(forgotten, monkeypatch):
    plugin = importlib.metadata.EntryPoint("mine", "no_such_module", "x")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [plugin])
    assert registry.find("davis2017").name == "davis2017"
    with pytest.raises(InputError, match="the plug-in mine .no_such_module. cannot be"):
        registry.find("mine")


def test_unknown_and_repeated_names(forgotten):
    with pytest.raises(InputError, match="no dataset is called lions; there are dav"):
        registry.clips("lions", "x", "val")
    with pytest.raises(InputError, match="--split names '../val', which leads out"):
        registry.sequences("davis2017", "x", "../val")
    registry.register(registry.find("davis2017"))
    with pytest.raises(ValueError, match="called davis2017 already"):
        registry.register(registry.Dataset("davis2017", None, None))


def test_what_comes_with_the_package():
    found = {name: registry.find(name) for name in registry.BUILT_IN}
    assert list(found) == [
        "davis2016",
        "davis2017",
        "youtube_objects",
        "youtube_objects_labelled",
        "youtube_vos",
        "youtube_vos_listed",
    ]
    assert found["davis2016"].protocol == Protocol((1, 1), binary=True)
    assert found["davis2017"].protocol == Protocol((1, 1))
    for name in ("youtube_objects", "youtube_objects_labelled"):
        assert found[name].protocol == Protocol((1, 0), True, True)
    layouts = [each.server_layout for each in found.values()]
    assert layouts == ["", "", None, None, "Annotations/", "Annotations/"]
