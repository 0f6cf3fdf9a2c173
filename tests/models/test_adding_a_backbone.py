"""The example of docs/adding_a_backbone.md, as it stands there."""

import importlib
import pathlib
import re
import sys

import numpy as np
import pytest
from random_networks import random_inputs

from osmn_recurrent import backbones
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.models import building

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "adding_a_backbone.md"


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """The page's second block of code; the first is the module `tiny`."""
    first, second = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    (tmp_path / "tiny.py").write_text(first)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(backbones, "_REGISTERED", dict(backbones._REGISTERED))
    monkeypatch.delitem(sys.modules, "tiny", raising=False)
    importlib.import_module("tiny")
    return second


def test_the_page_builds_networks(blocks, tmp_path):
    given = {}
    exec(blocks, given)
    layout = re.search(r"# (\[.*\])", blocks)[1]
    assert repr(given["recurrent"].gamma_layout()) == layout
    inputs = random_inputs(2, (45, 70), length=2)
    for model in (given["model"], given["recurrent"]):
        found = np.asarray(model(inputs))
        assert found.shape == (2, 2, 45, 70, 1) and found.std() > 0
        model.save(tmp_path / "m.keras")
        twin = building.load_model(tmp_path / "m.keras")
        np.testing.assert_array_equal(twin(inputs), found)


def test_others_and_a_video_run_on_it(blocks):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 48, 64, 3)).astype(np.uint8)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 20:40] = 1
    for name in ("osvos", "osvos_m", "masktrack", "masktrack_m", "reconvnet"):
        model = building.build_model(name, "tiny")
        found = list(VideoSegmenter(model).segment(list(frames), mask))
        assert len(found) == 3 and found[2].shape == mask.shape
    channelwise = building.build_model("osmn", "tiny", visual_modulator="channelwise")
    assert channelwise.adapt(np.ones((1, 224, 224, 3), "float32")).shape == (1, 40)
