"""Inspection, export, probes and reports of the import programs."""

import hashlib
import json

import numpy as np
import pytest

from checkpoints_tools import (
    export_osmn_checkpoint,
    inspect_checkpoint,
    open_weights,
)
from checkpoints_tools.tf_checkpoints import write_checkpoint
from osmn_recurrent import guides, programs
from osmn_recurrent.cli import convert_export, convert_osmn, inspect
from osmn_recurrent.models.building import build_model, load_model, weights_of


def run(program, *arguments):
    """Exit code of a program."""
    for name in program.FLAGS:
        program.FLAGS[name].unparse()
    return programs.call(program.main, program.FLAGS, ["program", *map(str, arguments)])


def sensible(name, seed=0, **options):
    """A compact network whose weights are all random and whose logits are finite."""
    rng = np.random.default_rng(seed)
    model = build_model(name, "vgg16_compact", **options)
    for variable in weights_of(model):
        variable.assign(variable.numpy() + 0.01 * rng.normal(size=variable.shape))
    return model


@pytest.fixture
def checkpoint(tmp_path):
    """`(prefix, network)` of a compact OSMN."""
    model = sensible("osmn")
    export_osmn_checkpoint(model, tmp_path / "osmn.ckpt-5", global_step=5)
    return tmp_path / "osmn.ckpt-5", model


def test_inspection_lists_values_parts_and_networks(checkpoint, capsys):
    path, model = checkpoint
    assert run(inspect, path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{path}: TensorFlow checkpoint (V2), ")
    kernel = model.seg.blocks[0].convs[0].kernel.numpy()
    row = next(x for x in lines if x.startswith("osmn/seg/conv1/conv1_1/weights "))
    assert row.split()[1:3] == ["3x3x3x16", "float32"]
    found = [float(x) for x in row.split()[3:6]]
    expected = [kernel.min(), kernel.mean(dtype=np.float64), kernel.max()]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert row.split()[6] == "0"
    counts = {x.split(" parameters in ")[1]: x.split()[0] for x in lines if " in " in x
              and "parameters" in x}  # fmt: skip
    for part in ("seg", "modulator", "modulator_sp"):
        own = sum(
            int(np.prod(v.shape)) for v in weights_of(model) if f"/{part}/" in v.path
        )
        assert int(counts[part].replace(",", "")) == own
    assert "fits osmn (vgg16_compact)" in lines
    (line,) = [
        x for x in lines if x.startswith("does not fit osmn (vgg16_compact, mod_e")
    ]
    assert "osmn/modulator_sp/conv1/weights" in line
    assert "osmn/modulator/fc8/weights" in line
    assert sum(x.startswith("fits ") for x in lines) == 1
    (line,) = [
        x for x in lines if x.startswith("does not fit reconvnet (vgg16_compact)")
    ]
    assert "convlstm3/kernel" in line


@pytest.mark.parametrize(
    "name", ["reconvnet", "osvos", "osvos_m", "masktrack", "masktrack_m"]
)
def test_each_network_is_told_from_the_others(name, tmp_path):
    model = build_model(name, "vgg16_compact")
    model.save_weights(tmp_path / "w.weights.h5")
    source = open_weights(tmp_path / "w.weights.h5")
    fits = [x for x in inspect_checkpoint.report(source) if x.startswith("fits ")]
    # OSVOS-M is OSMN without its spatial modulator.
    twin = {"osvos_m": ["fits osmn (vgg16_compact, use_spatial_modulator=False)"]}
    assert sorted(fits) == sorted([f"fits {name} (vgg16_compact)", *twin.get(name, [])])


def test_inspection_counts_nan_and_names_vgg16(tmp_path, capsys):
    values = np.array([1, np.nan, 3, np.nan], np.float32)
    write_checkpoint(
        tmp_path / "v.ckpt",
        {
            "vgg_16/conv1/conv1_1/biases": values,
            "vgg_16/fc8/biases": np.zeros(2, np.float32),
            "unknown": np.array([2**40]),
        },
    )
    assert run(inspect, tmp_path / "v.ckpt") == 0
    out = capsys.readouterr().out
    row = next(x for x in out.splitlines() if "conv1_1" in x)
    assert row.split()[3:] == ["1", "2", "3", "2"]
    assert "fits every network of size full as start weights: slim VGG16, 1 tens" in out
    assert "not known: unknown" in out


def test_difference_of_two_files_of_other_formats(checkpoint, tmp_path, capsys):
    path, model = checkpoint
    model.save_weights(tmp_path / "same.weights.h5")
    assert run(inspect, "--diff", path, tmp_path / "same.weights.h5") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{len(weights_of(model))} tensors are the same"
    fixed = [f"osmn/seg/score-multi{n}-up/weights" for n in (2, 3, 4, 5)]
    assert [x.split(": ")[1].split(" (")[0] for x in lines[:-1]] == [
        "global_step",
        *fixed,
    ]
    assert all(x.startswith(f"only in {path}: ") for x in lines[:-1])

    bias = model.seg.blocks[0].convs[0].bias
    bias.assign(bias.numpy() + np.eye(1, 16)[0] * 0.25)
    model.save_weights(tmp_path / "other.weights.h5")
    # Flags may stand behind the files.
    files = [tmp_path / "same.weights.h5", tmp_path / "other.weights.h5", "--diff"]
    assert run(inspect, *files) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == (
        "osmn/seg/conv1/conv1_1/biases: 1 of 16 values differ, by up to 0.25"
    )
    assert last == f"{len(weights_of(model)) - 1} tensors are the same"


def test_inspection_tells_a_dead_modulator(random_weights, capsys):
    assert run(inspect, random_weights["osmn.keras"]) == 0
    found = capsys.readouterr().out
    # A new one: the same scales for all objects, but its units are alive.
    assert "spread of the scales over 12 drawn objects 0 (dead: below 0.01)" in found
    assert " 0 in conv5_3" in found and " 0% in conv1" in found
    assert run(inspect, random_weights["osmn.weights.h5"]) == 0
    assert "drawn objects" not in capsys.readouterr().out  # its options are unknown


def test_inspection_refuses_the_wrong_number_of_files(checkpoint, capsys):
    path, _ = checkpoint
    assert run(inspect) == 2
    assert "PATH must be given" in capsys.readouterr().err
    assert run(inspect, path, path) == 2
    assert "two files need --diff" in capsys.readouterr().err
    assert run(inspect, "--diff", path) == 2
    assert "--diff needs two files" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_export_and_import_programs_go_in_a_circle(name, tmp_path, capsys):
    model = sensible(name)
    model.save(tmp_path / "a.keras")
    model.save_weights(tmp_path / "a.weights.h5")
    out = tmp_path / "deep" / "a.safetensors"
    assert run(convert_export, f"--weights={tmp_path}/a.keras", f"--out={out}") == 0
    settings = json.loads(out.with_suffix(".json").read_text())
    assert settings["class_name"] == type(model).__name__
    assert settings["config"]["backbone"] == "vgg16_compact"
    # The settings say which network it is.
    back = tmp_path / "back.keras"
    assert run(convert_osmn, f"--checkpoint={out}", f"--out={back}") == 0
    for a, b in zip(weights_of(model), weights_of(load_model(back)), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    arguments = [
        f"--weights={tmp_path}/a.weights.h5",
        f"--model={name}",
        "--backbone=vgg16_compact",
        f"--out={tmp_path}/a.ckpt",
        "--global_step=7",
    ]
    code = run(convert_export, *arguments)
    if name == "reconvnet":
        assert code == 2
        assert "variables that the OSMN release does not" in capsys.readouterr().err
        return
    assert code == 0
    assert int(open_weights(tmp_path / "a.ckpt").read("global_step")) == 7
    assert run(convert_export, *arguments) == 2
    assert "exists already" in capsys.readouterr().err


def make_probe(path, model, **changes):
    """Stores a probe; a mask and frames whose inputs are computed by hand."""
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    mask = np.zeros((40, 48), np.uint8)
    mask[10:20, 12:30] = 1
    yy, xx = np.mgrid[:40, :48]
    # Medians of columns 12 ... 29 and rows 10 ... 19, MAD 4.5 and 2.5.
    heat = np.exp(
        -((xx - 20.5) ** 2) / (2 * (1.4826 * 4.5) ** 2)
        - (yy - 14.5) ** 2 / (2 * 5.0**2)
    )
    given = {
        "image": rng.uniform(-100, 100, (1, 32, 48, 3)).astype(np.float32),
        "visual_guide": rng.uniform(-100, 100, (1, 224, 224, 3)).astype(np.float32),
        "spatial_guide": rng.uniform(size=(1, 32, 48, 1)).astype(np.float32),
    }
    arrays = {
        "frame": frame,
        "frame_as_image": frame[..., ::-1] - np.array([104.0, 117.0, 123.0]),
        "previous_mask": mask,
        "previous_mask_as_spatial_guide": heat[..., None],
        "guide_frame": frame,
        "guide_mask": mask,
        "guide_frame_as_visual_guide": guides.visual_guide(frame, mask),
        **given,
        "logits": np.asarray(model(given)),
        "visual_params": np.asarray(model.adapt(given["visual_guide"])),
        **changes,
    }
    np.savez(path, **{name: a for name, a in arrays.items() if a is not None})


def sha256(path):
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_import_is_validated_and_reported(checkpoint, tmp_path, capsys):
    path, model = checkpoint
    make_probe(tmp_path / "probe.npz", model)
    out = tmp_path / "osmn.weights.h5"
    arguments = [f"--checkpoint={path}", "--backbone=vgg16_compact", f"--out={out}"]
    assert run(convert_osmn, *arguments, f"--probe={tmp_path}/probe.npz") == 0
    assert "read again: the same weights and outputs" in capsys.readouterr().out
    report = json.loads((tmp_path / "osmn.weights.h5.import.json").read_text())
    assert report["source"]["sha256"] == {
        file.name: sha256(file) for file in path.parent.glob("osmn.ckpt-5.*")
    }
    assert report["converted"]["sha256"] == sha256(out)
    assert report["converted"]["largest_difference_of_outputs_when_read_again"] == 0
    probe = report["probe"]
    assert probe["sha256"] == sha256(tmp_path / "probe.npz")
    assert set(probe["preprocessing"]) == {
        "frame_as_image",
        "guide_frame_as_visual_guide",
        "previous_mask_as_spatial_guide",
    }
    assert probe["network"]["logits"] < 1e-4
    assert probe["network"]["visual_params"] < 1e-4
    assert report["versions"]["keras"]
    assert report["loaded"]["osmn/seg/upscore-fuse/weights"] == [1, 1, 64, 1]
    assert "global_step" in report["left_out"]


def swapped(model):
    """A preprocessing in RGB."""
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    return {"frame_as_image": frame - np.array([123.0, 117.0, 104.0])}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (swapped, "preprocessing gives frame_as_image that differ from the probe"),
        (
            lambda model: {"logits": np.zeros((1, 32, 48, 1), np.float32) + 9},
            "the network gives logits that differ from the probe",
        ),
        (
            lambda model: {"logits": np.full((1, 32, 48, 1), np.nan)},
            "the network gives logits that differ",
        ),
        (lambda model: {"logits": np.zeros((1, 2, 2, 1))}, r"logits is \(1, 2, 2, 1\)"),
        (lambda model: {"spatial_guide": None}, "has no spatial_guide"),
    ],
)
def test_a_probe_that_differs_stops_the_import(
    checkpoint, tmp_path, changes, message, capsys
):
    path, model = checkpoint
    make_probe(tmp_path / "probe.npz", model, **changes(model))
    out = tmp_path / "o" / "osmn.weights.h5"
    arguments = [f"--checkpoint={path}", "--backbone=vgg16_compact", f"--out={out}"]
    assert run(convert_osmn, *arguments, f"--probe={tmp_path}/probe.npz") == 2
    error = capsys.readouterr().err
    assert message.replace("\\", "") in error
    assert not out.parent.exists()


def test_a_wrong_network_fails_the_probe_of_another(checkpoint, tmp_path, capsys):
    path, _ = checkpoint
    make_probe(tmp_path / "probe.npz", sensible("osmn", seed=8))
    out = tmp_path / "osmn.keras"
    arguments = [f"--checkpoint={path}", "--backbone=vgg16_compact", f"--out={out}"]
    assert run(convert_osmn, *arguments, f"--probe={tmp_path}/probe.npz") == 2
    assert "Look for another variant" in capsys.readouterr().err
    np.savez(tmp_path / "empty.npz", a=np.zeros(1))
    assert run(convert_osmn, *arguments, f"--probe={tmp_path}/empty.npz") == 2
    assert "is no probe: it holds a, expected" in capsys.readouterr().err
    assert not out.exists()


def test_names_that_steer_a_terminal_are_written_out(tmp_path, capsys):
    name, array = "conv\x1b]0;owned\x07\x1b[31mred\x9b2J", np.zeros((2, 3), np.float32)
    np.savez(tmp_path / "a.npz", **{name: array, "plain": array})
    np.savez(tmp_path / "b.npz", **{f"{name}/other": array, "plain": array})
    for arguments in (["a.npz"], ["--diff", "a.npz", "b.npz"]):
        paths = [x if x[0] == "-" else tmp_path / x for x in arguments]
        assert run(inspect, *paths) == 0
        out, errors = capsys.readouterr()
        assert "Traceback" not in errors
        assert not set(out) & {"\x1b", "\x07", "\x9b"}
        assert "conv\\x1b]0;owned\\x07" in out
