"""Presets: found, refused, and explained."""

import dataclasses
import re
import types

import numpy as np
import pytest

import osmn_recurrent as osr
from osmn_recurrent import backbones
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import segment
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.errors import InputError
from osmn_recurrent.metrics.davis_scores import evaluate_masks
from osmn_recurrent.models import NAMES, presets
from osmn_recurrent.models.building import build_model, weights_of


@pytest.fixture
def converted(monkeypatch, tmp_path):
    """Two presets of one compact OSVOS: converted by the user, and packaged."""
    model = build_model("osvos", "vgg16_compact")
    rng = np.random.default_rng(3)
    for variable in weights_of(model):
        variable.assign(rng.normal(size=variable.shape))
    home = tmp_path / "home"
    own = presets.Preset(
        model="osvos",
        backbone="vgg16_compact",
        what="a test",
        source="example.org/page",
        licence="CC0",
        file="own.weights.h5",
        source_hash="md5:0123",
        convert="osmn convert osmn --checkpoint=PREFIX --out={file}",
        settings={"alignment": "exact"},
    )
    packaged = dataclasses.replace(
        own, file="p.weights.h5", packaged=True, convert="", settings={}
    )
    (tmp_path / "package").mkdir()
    model.save_weights(tmp_path / "package" / "p.weights.h5")
    packaged = dataclasses.replace(
        packaged, sha256=presets.sha256_of(tmp_path / "package" / "p.weights.h5")
    )
    monkeypatch.setenv(presets.FOLDER_VARIABLE, str(home))
    monkeypatch.setattr(presets, "PACKAGED", tmp_path / "package")
    monkeypatch.setitem(presets.PRESETS, "own", own)
    monkeypatch.setitem(presets.PRESETS, "packaged", packaged)
    return model, home


def same(model, other):
    """Whether all weights are the same."""
    pairs = zip(weights_of(model), weights_of(other), strict=True)
    return all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)


def test_a_missing_file_says_where_to_get_it_and_where_to_put_it(converted):
    model, home = converted
    with pytest.raises(InputError) as caught:
        osr.build_model("osvos", "vgg16_compact", weights="own", alignment="exact")
    text = str(caught.value)
    assert text.startswith(f"{home}/own.weights.h5: no such file")
    assert "publish it at example.org/page (licence CC0, md5:0123)" in text
    assert f"--out={home}/own.weights.h5 (another folder" in text
    home.mkdir()
    model.save_weights(home / "own.weights.h5")
    found = osr.build_model("osvos", "vgg16_compact", weights="own", alignment="exact")
    assert same(found, model)


def test_a_preset_s_working_size_is_the_default(converted, monkeypatch):
    sized = dataclasses.replace(presets.PRESETS["packaged"], working_size=160)
    monkeypatch.setitem(presets.PRESETS, "sized", sized)
    given = types.SimpleNamespace(working_size=None)
    assert shared_flags.working_size(given, "sized") == 160
    assert shared_flags.working_size(given, "own") is None
    assert shared_flags.working_size(given, "file.keras") is None
    given.working_size = "48x64"
    assert shared_flags.working_size(given, "sized") == (48, 64)


def test_packaged_weights_and_their_hash(converted, tmp_path):
    model, _ = converted
    found = osr.build_model("osvos", "vgg16_compact", weights="packaged")
    assert same(found, model)
    path = tmp_path / "package" / "p.weights.h5"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="has not the SHA-256 of preset packaged"):
        osr.build_model("osvos", "vgg16_compact", weights="packaged")
    path.unlink()
    with pytest.raises(InputError, match="install the package again"):
        osr.build_model("osvos", "vgg16_compact", weights="packaged")


def test_a_segmenter_from_a_preset_has_its_working_size(converted, monkeypatch):
    model, _ = converted
    preset = dataclasses.replace(presets.PRESETS["packaged"], working_size=32)
    monkeypatch.setitem(presets.PRESETS, "packaged", preset)
    segmenter = osr.VideoSegmenter.from_preset("packaged")
    assert segmenter.working_size == 32 and same(segmenter.model, model)
    segmenter = osr.VideoSegmenter.from_preset("packaged", working_size=(48, 64))
    assert segmenter.working_size == (48, 64)
    with pytest.raises(InputError, match="nothing is neither a preset"):
        osr.VideoSegmenter.from_preset("nothing")


def test_the_segmentation_program_knows_presets(converted):
    model, home = converted
    found = segment.load_network("packaged", None, None, {})
    assert same(found, model)
    home.mkdir()
    model.save_weights(home / "own.weights.h5")
    assert segment.load_network("own", None, None, {}).alignment == "exact"
    with pytest.raises(InputError, match="the network has model=osmn"):
        segment.load_network("own", "osmn", None, {})


@pytest.mark.parametrize(
    ("name", "size", "options", "wrong"),
    [
        (
            "osmn",
            "vgg16_compact",
            {"alignment": "exact"},
            "the network has model=osmn;",
        ),
        ("osvos", "vgg16", {"alignment": "exact"}, "the network has backbone=vgg16;"),
        ("osvos", "vgg16_compact", {}, "the network has alignment=None;"),
    ],
)
def test_a_preset_of_another_network(converted, name, size, options, wrong):
    with pytest.raises(InputError, match=wrong):
        build_model(name, size, weights="own", **options)


def test_a_name_that_is_neither_file_nor_preset(converted):
    with pytest.raises(InputError, match="nothing: no such weights file.*osmn_davis"):
        build_model("osvos", "vgg16_compact", weights="nothing")


OWN = [name for name, preset in presets.PRESETS.items() if preset.packaged]


def test_what_comes_with_the_package_is_small_and_described():
    assert set(OWN) == {
        "osmn-lite0",
        "reconvnet-lite0",
        "osmn-compact",
        "reconvnet-compact",
    }
    paths = [presets.PACKAGED / presets.PRESETS[name].file for name in OWN]
    assert sum(path.stat().st_size for path in paths) < 60e6
    card = (presets.PACKAGED / "CARD.md").read_text()
    for name in OWN:
        assert presets.PRESETS[name].sha256 in card


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if "compact" in name else ())
        for name in OWN
    ],
)
def test_packaged_networks_follow_real_objects(test_data, name):
    """A car, a swan and two camels that they never saw, for 25 frames."""
    root = test_data / "data" / "davis2016"
    clips = {clip.name: clip for clip in davis_clips(root, 2016, "val_study")}
    segmenter = osr.VideoSegmenter.from_preset(name)
    for clip in (clips["blackswan"], clips["car-shadow"], clips["camel"]):
        ground_truth = [clip.mask(t) for t in range(0, 25)]
        frames = (clip.frame(t) for t in range(0, 25))
        found = segmenter.segment(frames, ground_truth[0])
        figures = evaluate_masks(ground_truth, found)[1].summary()
        assert figures["J-Mean"] > 0.6, clip.name


@pytest.mark.parametrize("name", presets.PRESETS)
def test_the_table_is_complete(name):
    preset = presets.PRESETS[name]
    assert preset.model in NAMES
    assert preset.backbone in (None, *backbones.NAMES)
    assert preset.source and preset.licence and preset.what
    assert preset.file.endswith((".weights.h5", ".keras"))
    if preset.packaged:
        assert presets.sha256_of(presets.PACKAGED / preset.file) == preset.sha256
    else:
        assert "{file}" in preset.convert
        assert f"--model={preset.model}" in preset.convert
    if preset.source_hash:
        assert re.fullmatch(r"(md5|sha256):[0-9a-f]+", preset.source_hash)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(presets.FOLDER_VARIABLE, "")
        assert presets.folder().parts[-2:] == (".cache", "osmn_recurrent")


@pytest.mark.parametrize("value", ["off", 0, None])
def test_a_switch_is_true_or_false(value):
    with pytest.raises(ValueError, match="use_visual_modulator must be True or False"):
        build_model("osmn", "vgg16_compact", use_visual_modulator=value)


@pytest.mark.parametrize("text", ["false", "False", "FALSE"])
def test_switches_on_the_command_line(text):
    options = shared_flags.parse_model_options(
        [f"use_visual_modulator={text}", "coupling=a"]
    )
    assert options == {"use_visual_modulator": False, "coupling": "a"}
