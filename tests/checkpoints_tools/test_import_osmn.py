"""Checkpoints in the release's format: what fits, what does not, what is broken."""

import re

import numpy as np
import pytest
import tensorflow as tf

from checkpoints_tools import export_osmn_checkpoint, load_osmn_checkpoint
from checkpoints_tools.release_names import release_variables
from checkpoints_tools.tf_checkpoints import write_checkpoint
from osmn_recurrent import programs
from osmn_recurrent.cli import convert_osmn
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import build_model, weights_of


def randomised(name, seed=0, **options):
    """A compact network whose weights are all random."""
    rng = np.random.default_rng(seed)
    model = build_model(name, "vgg16_compact", **options)
    for variable in weights_of(model):
        variable.assign(rng.normal(size=variable.shape))
    return model


def values(model):
    """All weights by path without the model's name."""
    return {v.path.split("/", 1)[1]: v.numpy() for v in weights_of(model)}


def tensors_of(path):
    """All tensors of a checkpoint by name."""
    reader = tf.train.load_checkpoint(str(path))
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names}


@pytest.fixture
def checkpoint(tmp_path):
    """A compact OSMN checkpoint with what a training leaves, and its network."""
    model = randomised("osmn")
    path = tmp_path / "train.ckpt-7"
    export_osmn_checkpoint(model, path)
    tensors = tensors_of(path)
    for name in list(tensors):
        if "up/" not in name and name != "global_step":
            tensors[f"{name}/Adam"] = tensors[f"{name}/Adam_1"] = tensors[name]
    tensors["beta1_power"] = tensors["osmn/beta2_power"] = np.float32(0.5)
    write_checkpoint(path, tensors)
    return path, model, tensors


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("osmn", {}),
        ("osmn", {"mod_early_conv": True}),
        ("osmn", {"use_visual_modulator": False}),
        ("osmn", {"use_spatial_modulator": False}),
        ("osvos", {}),
        ("osvos_m", {}),
        ("masktrack", {}),
        ("masktrack_m", {}),
    ],
)
def test_out_and_in_again_bit_for_bit(name, options, tmp_path):
    model = randomised(name, **options)
    export_osmn_checkpoint(model, tmp_path / "a.ckpt", global_step=9)
    twin = build_model(name, "vgg16_compact", **options)
    report = load_osmn_checkpoint(twin, tmp_path / "a.ckpt")
    assert not report.faults()
    for path, value in values(model).items():
        np.testing.assert_array_equal(values(twin)[path], value, err_msg=path)
    export_osmn_checkpoint(twin, tmp_path / "b.ckpt", global_step=9)
    first, second = tensors_of(tmp_path / "a.ckpt"), tensors_of(tmp_path / "b.ckpt")
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        np.testing.assert_array_equal(tensor, second[key], err_msg=key)
    assert first["global_step"] == 9


def test_optimiser_and_fixed_variables_are_left_out(checkpoint):
    path, _, tensors = checkpoint
    twin = build_model("osmn", "vgg16_compact")
    report = load_osmn_checkpoint(twin, f"{path}.index")
    assert set(report.matched) | set(report.left_out) == set(tensors)
    assert {"global_step", "beta1_power", "osmn/beta2_power"} < set(report.left_out)
    assert "osmn/seg/score-multi5-up/weights" in report.left_out
    named, _ = release_variables(twin)
    assert set(report.matched) == set(named)
    assert "variables loaded" in str(report)


def test_into_reconvnet_only_the_recurrent_parts_stay(checkpoint):
    path, model, _ = checkpoint
    target = randomised("reconvnet", seed=5)
    before = values(target)
    report = load_osmn_checkpoint(target, path)
    assert not report.faults()
    assert len(report.fresh) == 3 * 3 + 2
    assert "modulator/fc8_convlstm/kernel" in report.fresh
    assert "keep their new values" in str(report)
    given = values(model)
    for name, value in values(target).items():
        expected = before[name] if name in report.fresh else given[name]
        np.testing.assert_array_equal(value, expected, err_msg=name)


def rename(tensors):
    tensors["osmn/seg/conv9"] = tensors.pop("osmn/seg/conv3/conv3_1/weights")


def reshape(tensors):
    tensors["osmn/modulator/fc8/biases"] = np.zeros(7, np.float32)


def remove(tensors):
    del tensors["osmn/modulator_sp/conv4/BatchNorm/gamma"]


def add(tensors):
    tensors["osmn/seg/conv6/weights"] = np.zeros((1, 2), np.float32)


def spoil(tensors):
    tensors["osmn/modulator/fc7/biases"] = np.full(256, np.nan, np.float32)


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            rename,
            [
                "missing: osmn/seg/conv3/conv3_1/weights is not in the file, "
                "(3, 3, 32, 64) in the network",
                "left over: osmn/seg/conv9 is (3, 3, 32, 64) in the file, not in",
            ],
        ),
        (
            reshape,
            ["osmn/modulator/fc8/biases is (7,) in the file, (864,) in the network"],
        ),
        (remove, ["missing: osmn/modulator_sp/conv4/BatchNorm/gamma is not in the"]),
        (add, ["left over: osmn/seg/conv6/weights is (1, 2) in the file, not in the"]),
        (
            spoil,
            [
                "not finite: osmn/modulator/fc7/biases is (256,) in the file and in "
                "the network, with 256 NaN"
            ],
        ),
    ],
)
def test_each_fault_is_named_and_nothing_is_loaded(checkpoint, change, messages):
    path, _, tensors = checkpoint
    change(tensors)
    write_checkpoint(path, tensors)
    target = randomised("osmn", seed=1)
    before = values(target)
    with pytest.raises(InputError) as caught:
        load_osmn_checkpoint(target, path)
    for message in messages:
        assert message in str(caught.value)
    for name, value in values(target).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("change", "pattern", "other"),
    [
        (rename, "conv3_1/weights|conv9", "conv9"),
        (reshape, "fc8/biases", "fc8/weights"),
        (remove, "conv4/BatchNorm", "conv5/BatchNorm"),
        (add, "seg/conv6", "seg/conv66"),
        (spoil, "fc7/biases$", "fc7$"),
    ],
)
def test_only_a_pattern_lets_a_fault_pass(checkpoint, change, pattern, other):
    path, model, tensors = checkpoint
    change(tensors)
    write_checkpoint(path, tensors)
    target = randomised("osmn", seed=1)
    before = values(target)
    with pytest.raises(InputError, match="does not fit"):
        load_osmn_checkpoint(target, path, allow_missing=other)
    report = load_osmn_checkpoint(target, path, allow_missing=pattern)
    assert report.faults(allowed=True)
    assert not report.faults()
    assert "allowed, not loaded" in str(report)
    loaded, given = values(target), values(model)
    stayed = [n for n in loaded if not np.array_equal(loaded[n], given[n])]
    assert len(stayed) == (0 if change is add else 1)
    for name in stayed:
        np.testing.assert_array_equal(loaded[name], before[name])


def truncate(file, share):
    """Cuts a file to a share of its length."""
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])


def break_index(path):
    truncate(path.with_name(f"{path.name}.index"), 0.5)


def break_data(path):
    truncate(path.with_name(f"{path.name}.data-00000-of-00001"), 0.5)


def change_data(path):
    """Flips a bit of a weight: the stored checksum no longer fits."""
    weights = tensors_of(path)["osmn/modulator/fc7/weights"].tobytes()
    file = path.with_name(f"{path.name}.data-00000-of-00001")
    data = bytearray(file.read_bytes())
    data[data.index(weights) + len(weights) // 2] ^= 1
    file.write_bytes(data)


def lose_data(path):
    path.with_name(f"{path.name}.data-00000-of-00001").unlink()


def lose_all(path):
    path.with_name(f"{path.name}.index").unlink()


def be_a_file(path):
    lose_all(path)
    path.write_bytes(b"vgg_16.ckpt of the first format")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_index, "cannot be read as a checkpoint index"),
        (break_data, "has .* bytes, expected at least .*is truncated"),
        (change_data, "cannot be read .*the file is damaged or truncated"),
        (lose_data, "train.ckpt-7.data-00000-of-00001 is not"),
        (lose_all, "no such file, and no train.ckpt-7.index beside it"),
        (be_a_file, "is of no known kind or cut short"),
    ],
)
def test_broken_files_are_explained_with_exit_code_2(
    checkpoint, damage, message, tmp_path, capsys
):
    path, _, _ = checkpoint
    damage(path)
    target = randomised("osmn", seed=1)
    before = values(target)
    with pytest.raises(InputError, match=message):
        load_osmn_checkpoint(target, path)
    for name, value in values(target).items():
        np.testing.assert_array_equal(value, before[name])
    arguments = [
        f"--checkpoint={path}",
        "--backbone=vgg16_compact",
        f"--out={tmp_path}/o.keras",
    ]
    assert run_program(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert re.search(message, lines[-1])
    assert not (tmp_path / "o.keras").exists()


def run_program(arguments):
    """Exit code of the import program."""
    convert_osmn.FLAGS.unparse_flags()
    for name in convert_osmn.FLAGS:
        convert_osmn.FLAGS[name].unparse()
    return programs.call(convert_osmn.main, convert_osmn.FLAGS, ["import", *arguments])


def test_a_checkpoint_of_another_model_is_refused(checkpoint):
    path, _, _ = checkpoint
    with pytest.raises(InputError, match="does not fit masktrack_m") as caught:
        load_osmn_checkpoint(build_model("masktrack_m", "vgg16_compact"), path)
    assert "more. Choose the model" in str(caught.value)


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_the_program_writes_a_file_that_loads(checkpoint, tmp_path, ending, capsys):
    path, model, _ = checkpoint
    out = tmp_path / "sub" / f"osmn{ending}"
    arguments = [f"--checkpoint={path}", "--backbone=vgg16_compact", f"--out={out}"]
    assert run_program(arguments) == 0
    assert "variables loaded" in capsys.readouterr().out
    loaded = build_model("osmn", "vgg16_compact", weights=out)
    for name, value in values(model).items():
        np.testing.assert_array_equal(values(loaded)[name], value)
    assert run_program(arguments) == 2
    assert "exists already" in capsys.readouterr().err


def test_reconvnet_is_not_exported(tmp_path):
    with pytest.raises(InputError, match="reconvnet has 11 variables"):
        export_osmn_checkpoint(
            build_model("reconvnet", "vgg16_compact"), tmp_path / "x"
        )
