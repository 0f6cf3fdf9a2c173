"""The ablation grid, in a small setting."""

import json

import pytest

from experiments import ablations
from osmn_recurrent import programs
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.models.building import load_model

SMALL = (
    "--height=48 --width=64 --osmn_steps=2 --reconvnet_steps=2 --batch_size=1 "
    "--clip_length=2 --finetune_steps=2"
).split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_moving_shapes(folder, train=1, val=1, frames=4, size=(48, 64), objects=(1, 1))
    return folder


def run(*arguments):
    """Exit code of the program."""
    for name in ablations.FLAGS:
        ablations.FLAGS[name].unparse()
    return programs.call(
        ablations.main, ablations.FLAGS, ["ablations", *SMALL, *arguments]
    )


@pytest.mark.slow
@pytest.mark.needs("pydensecrf")
def test_the_grid(data, tmp_path, capsys):
    out = tmp_path / "out"
    flags = [f"--data_dir={data}", f"--out={out}"]
    assert run(*flags) == 0
    assert f"written: {out / 'ablations.md'}" in capsys.readouterr().out
    rows = {
        row["variant"]: row for row in json.loads((out / "ablations.json").read_text())
    }
    assert len(rows) == 15
    assert rows["OSMN"]["J difference"] is None
    for variant, row in rows.items():
        base = "ReConvNet" if list(rows).index(variant) > 8 else "OSMN"
        if variant != "OSMN":
            expected = row["J"] - rows[base]["J"]
            assert row["J difference"] == pytest.approx(expected)
        assert 0 <= row["J"] <= 100
    # One object: its own visual guide is the next clip's as well.
    assert rows["OSMN"]["J, another's guide"] == pytest.approx(rows["OSMN"]["J"])
    assert rows["OSMN"]["spread"] is None
    assert rows["no visual modulator"]["J, another's guide"] is None
    assert rows["+ online fine-tuning"]["paper, difference"] == pytest.approx(8.3)
    assert rows["- spatial guide augmentation"]["paper, mIU"] == 35.6

    # Each cell is what its name says.
    def cell(name):
        return json.loads((out / name / "run.json").read_text())["settings"]

    assert cell("osmn")["samples"]["crop"] == 0.8
    assert cell("no_crop")["samples"]["crop"] == 1.0
    bare = cell("no_spatial_augmentation")["samples"]["guide_augmentation"]
    assert set(bare.values()) == {0.0}
    assert cell("reconvnet")["loss"] == "lovasz_hinge"
    assert cell("cross_entropy")["loss"] == "balanced_cross_entropy"
    assert cell("scheduled_sampling")["scheduled_sampling"] == 1.0
    assert load_model(out / "no_visual" / "model.keras").modulator is None
    assert not load_model(out / "no_spatial" / "model.keras").use_spatial_modulator
    assert load_model(out / "one_convlstm" / "model.keras").recurrent_levels == (5,)
    assert load_model(out / "residual" / "model.keras").coupling == "residual"
    assert load_model(out / "unmodulated" / "model.keras").modulate == "none"
    # Finished cells stay; one that is gone is made again and changes nothing.
    times = {p: p.stat().st_mtime_ns for p in out.glob("*/model.keras")}
    (out / "crf" / "scores.json").unlink()
    assert run(*flags) == 0
    assert times == {p: p.stat().st_mtime_ns for p in out.glob("*/model.keras")}
    again = json.loads((out / "ablations.json").read_text())
    assert again == list(rows.values())
    capsys.readouterr()
    assert run(*flags, "--crop=0.5") == 2
    assert "settings crop 0.8 there, 0.5 now" in capsys.readouterr().err


def test_bad_cells(data, tmp_path, capsys):
    flags = [f"--data_dir={data}", f"--out={tmp_path}"]
    assert run(*flags, "--cells=osmn,lions") == 2
    assert "no cell is called lions" in capsys.readouterr().err
    assert run(*flags, "--cells=osmn", "--val_split=lions") == 2
    assert "lions" in capsys.readouterr().err


def test_cells_bring_what_they_need():
    for name in ablations.FLAGS:
        ablations.FLAGS[name].unparse()
    needed = ["ablations", "--data_dir=x", "--out=y", "--cells=residual"]
    ablations.FLAGS(needed)
    names = [cell.name for cell in ablations.chosen_cells()]
    assert names == ["osmn", "reconvnet", "residual"]
