"""The swap test's program on drawn data."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from experiments import swap_test
from osmn_recurrent import programs
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.media import mask_files
from osmn_recurrent.models import building


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Clips, a folder of pictures, and two networks."""
    folder = tmp_path_factory.mktemp("swap")
    write_moving_shapes(
        folder / "clips", train=0, val=3, frames=4, size=(48, 64), objects=(2, 2)
    )
    for name in ("JPEGImages", "Annotations", "ImageSets"):
        (folder / "images" / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        picture = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        ids = np.zeros((40, 60), np.uint8)
        ids[5:35, 4:26], ids[5:35, 34:56], ids[0] = 1, 7, 255
        Image.fromarray(picture).save(folder / "images" / "JPEGImages" / f"{name}.jpg")
        mask_files.write_mask(folder / "images" / "Annotations" / f"{name}.png", ids)
    (folder / "images" / "ImageSets" / "val.txt").write_text("a\nb\n")
    keras.utils.set_random_seed(1)
    for name, options in (
        ("steered", {"visual_modulator": "channelwise"}),
        ("control", {"use_visual_modulator": False}),
    ):
        model = building.build_model("osmn", "vgg16_compact", **options)
        model.save(folder / f"{name}.keras")
    return folder


def run(place, out, *arguments):
    """Exit code of the program."""
    for name in swap_test.FLAGS:
        swap_test.FLAGS[name].unparse()
    given = [f"--weights={n}:{place / n}.keras" for n in ("steered", "control")]
    argv = ["swap_test", *given, f"--out={out}", *arguments]
    return programs.call(swap_test.main, swap_test.FLAGS, argv)


def test_networks_side_by_side(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(swap_test, "DRAWN_PICTURES", 2)
    arguments = [
        f"--images={place / 'images'}:val",
        "--images=moving_shapes",
        "--first_frames",
        "--dataset=davis2017",
        f"--data_dir={place / 'clips'}",
        "--working_size=48x64",
    ]
    assert run(place, tmp_path, *arguments) == 0
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "swap_test.json").read_text())
    steered, control = record["rows"]
    assert [*steered["images"]] == [
        f"{place / 'images'}:val",
        "moving_shapes",
        "davis2017:val, first frames",
    ]
    assert steered["images"][f"{place / 'images'}:val"]["both"]["pairs"] == 2
    for kinds in control["images"].values():
        assert [*kinds] == ["own", "both", "none"]
        for scores in kinds.values():
            assert scores["right_pairs"] == 0.5  # it cannot see the visual guide
            assert scores["named"] == pytest.approx(scores["other"])
            assert scores["interval"] == [0.5, 0.5]
    assert control["clips"]["difference"] == 0.0
    assert len(steered["clips"]["per_clip"]["other"]) == 3
    compared = record["networks compared"]["steered less control"]
    assert compared["difference"] == pytest.approx(
        steered["clips"]["own"] - control["clips"]["own"]
    )
    assert "steered less control" in printed and "right pairs" in printed
    assert run(place, tmp_path, *arguments) == 2  # nothing is overwritten
    assert "swap_test.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to show"),
        (["--images=nowhere:val"], "--images=nowhere:val: no such folder"),
        (["--first_frames"], "--first_frames needs --data_dir"),
        (["--weights=a.keras", "--images=moving_shapes"], "is no NAME:FILE"),
        (["--weights=steered:x.keras"], "names steered twice"),
    ],
)
def test_what_cannot_be_shown_is_refused(place, tmp_path, capsys, arguments, message):
    assert run(place, tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_objects_that_are_too_small_are_told(place, tmp_path, capsys):
    assert (
        run(place, tmp_path, f"--images={place / 'images'}:val", "--min_cover=0.4") == 2
    )
    assert "two objects over 40.0% of it" in capsys.readouterr().err
    assert not (tmp_path / "swap_test.json").exists()
