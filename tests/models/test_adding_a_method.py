"""The example of docs/adding_a_method.md, a memory network, as it stands there."""

import importlib
import importlib.metadata
import pathlib
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent import plugins
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import network_export
from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.metrics.region import region_similarity
from osmn_recurrent.models import building

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "adding_a_method.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The page's module `memory`."""
    (tmp_path / "memory.py").write_text(BLOCKS[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(building, "MODELS", dict(building.MODELS))
    monkeypatch.delitem(sys.modules, "memory", raising=False)
    return importlib.import_module("memory")


def drawn(length=6):
    """A red and a blue square that cross a grey picture; frames and ids."""
    frames = np.full((length, 48, 64, 3), 128, np.uint8)
    ids = np.zeros((length, 48, 64), np.uint8)
    for t in range(length):
        for i, (top, left, colour) in {
            1: (8, 8 * t, (230, 20, 20)),
            2: (32, 40 - 8 * t if t < 6 else 0, (20, 20, 230)),
        }.items():
            part = t, slice(top, top + 16 // i), slice(left, left + 16)
            frames[part], ids[part] = colour, i
    return frames, ids


def see_colours(model):
    """Keys are the mean colour of a cell, and the mask is that of what is alike."""
    kernel = np.zeros((8, 8, 3, 16), np.float32)
    for c in range(3):
        kernel[..., c, c] = 8.0 / 64
    model.key.kernel.assign(kernel)
    middle = np.zeros((3, 3, 1, 1), np.float32)
    middle[1, 1] = 10.0
    model.refine.kernel.assign(middle)
    return model


def test_the_page_segments_and_stores(module):
    frames, ids = drawn()
    given = {"frames": frames, "first_mask": ids[0]}
    exec(BLOCKS[1], given)
    assert len(given["results"]) == 6 and given["model"].places == 3
    lines = BLOCKS[0].split("class MemoryNetwork")[1].split("\npresets")[0]
    assert len([line for line in lines.splitlines() if line.strip()]) <= 60


def test_objects_are_found_by_their_colour_alone(module):
    frames, ids = drawn()
    segmenter = VideoSegmenter(see_colours(building.build_model("memory")))
    found = list(segmenter.segment(frames, ids[0]))
    for i in (1, 2):
        assert region_similarity(ids[5] == i, found[5] == i) > 0.8
    # Each object with a network of its own gives the same.
    models = {i: segmenter.model for i in (1, 2)}
    alone = ObjectwiseSegmenter(models).segment(frames, ids[0])
    np.testing.assert_array_equal(np.stack(list(alone)), np.stack(found))


@pytest.mark.parametrize("size", [None, (40, 56)])
def test_the_memory_holds_the_given_mask_and_the_last_frames(module, size):
    frames, ids = drawn()
    model = see_colours(building.build_model("memory", places=3))
    segmenter = VideoSegmenter(model, working_size=size)
    segmenter.start(frames[0], np.where(ids[0] == 1, ids[0], 0))
    found = [segmenter.step(frames[t]) for t in range(1, 4)]
    later = segmenter.step(frames[4], np.where(ids[4] == 2, 2, 0))
    assert set(np.unique(later)) == {0, 1, 2}
    state = segmenter._state
    np.testing.assert_array_equal(state["frames"], [5, 1])
    # Places of object 1: frame 0, then 3 and 4 in turn; object 2 has one.
    small = size or (48, 64)
    shown = [ids[0] == 1, found[2] == 1, segmenter._ids.numpy() == 1]
    for place, mask in zip((0, 1, 2), (shown[0], shown[1], shown[2]), strict=True):
        mask = tf.image.resize(mask[..., None].astype(np.uint8), small, "nearest")
        cells = keras.ops.average_pool(
            keras.ops.cast(mask, "float32")[None], 8, 8, "same"
        )
        np.testing.assert_allclose(state["masks"][0, place], cells[0], atol=1e-6)
    assert not np.any(state["masks"][1, 1:]) and np.any(state["masks"][1, 0])


def test_a_resumed_video_and_a_correction_are_remembered(module):
    frames, ids = drawn()
    segmenter = VideoSegmenter(see_colours(building.build_model("memory")))
    whole = list(segmenter.segment(frames, ids[0]))
    segmenter.start(frames[0], ids[0])
    for t in (1, 2):
        segmenter.replay(frames[t], whole[t])
    np.testing.assert_array_equal(segmenter.step(frames[3]), whole[3])
    segmenter.correct(frames[3], np.where(ids[3] == 2, 2, 0))
    np.testing.assert_array_equal(segmenter._state["frames"], [4, 5])
    segmenter.drop(1)
    assert segmenter._state["frames"].numpy().tolist() == [5]


def test_it_trains_on_clips_and_refuses_export(module):
    keras.utils.set_random_seed(0)
    model = building.build_model("memory", channels=4)
    rng = np.random.default_rng(0)
    image = rng.normal(0, 64, (2, 3, 24, 32, 3)).astype(np.float32)
    labels = (image[..., :1] > 0).astype(np.float32)
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.BinaryCrossentropy(True))
    history = model.fit({"image": image}, labels, epochs=5, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    logits, state = model.run({"image": image})
    assert logits.shape == labels.shape and state["frames"].numpy().tolist() == [3, 3]
    with pytest.raises(InputError, match="MemoryNetwork remembers masks"):
        network_export.functions(model)
    with pytest.raises(InputError, match="MemoryNetwork remembers masks"):
        network_export.all_functions(model, 1, 24, 32, whole=True)


def test_files_of_unknown_networks_and_of_plug_ins(module, monkeypatch):
    building.build_model("memory").save("m.keras")
    known = keras.saving.get_custom_objects()
    kind = known.pop("memory>MemoryNetwork")
    try:
        plugins.load.cache_clear()
        with pytest.raises(InputError, match="holds a MemoryNetwork, expected one of"):
            building.load_model("m.keras")
        plugin = importlib.metadata.EntryPoint("m", "mine", "osmn_recurrent.models")
        monkeypatch.setattr(
            importlib.metadata, "entry_points", lambda **_: [plugin], raising=True
        )
        pathlib.Path("mine.py").write_text(
            "import keras, memory\n"
            "keras.saving.get_custom_objects()['memory>MemoryNetwork'] = "
            "memory.MemoryNetwork\n"
        )
        plugins.load.cache_clear()
        assert type(building.load_model("m.keras")) is kind
    finally:
        known["memory>MemoryNetwork"] = kind
        plugins.load.cache_clear()
    with pytest.raises(ValueError, match="there is a network called osmn already"):
        building.register("osmn", kind)
