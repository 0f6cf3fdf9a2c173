"""Bad input of osmn segment: one clear sentence, exit code 2."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.media.mask_files import read_mask

FIRST = "Annotations/boxes/00000.png"
FRAMES = "JPEGImages/boxes"


def save(array, mode=None):
    """A way to spoil the first mask: put this picture in its place."""

    def spoil(boxes):
        Image.fromarray(array(read_mask(boxes / FIRST)), mode).save(boxes / FIRST)

    return spoil


def noise(ids):
    return np.random.default_rng(0).integers(0, 256, (*ids.shape, 3), np.uint8)


def truncate(name, keep=0.5):
    def spoil(boxes):
        path = boxes / name
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])

    return spoil


def smaller_frame(boxes):
    path = boxes / FRAMES / "00002.jpg"
    Image.open(path).resize((48, 32)).save(path)


BAD_CLIPS = {
    "missing folder": (
        lambda boxes: shutil.rmtree(boxes / FRAMES),
        r"JPEGImages/boxes: no such video file or folder",
    ),
    "empty folder": (
        lambda boxes: [p.unlink() for p in (boxes / FRAMES).iterdir()],
        r"JPEGImages/boxes holds no frames; expected",
    ),
    "missing mask": (
        lambda boxes: (boxes / FIRST).unlink(),
        r"00000.png: no such mask",
    ),
    "mask of another size": (
        save(lambda ids: ids[:50, :70]),
        r"00000.png is 70x50, but its frame is 96x64; .*proportions",
    ),
    "frame of another size": (smaller_frame, r"00002.jpg is 48x32, .*96x64"),
    "photograph": (save(noise), r"00000.png has \d+ colours, more like a picture"),
    "16-bit photograph": (
        save(lambda ids: noise(ids)[..., 0].astype(np.uint16) * 201),
        r"00000.png has .*more like a picture",
    ),
    "empty mask": (save(np.zeros_like), r"00000.png .*(empty|no object)"),
    "mask that is no picture": (truncate(FIRST, 0.02), r"00000.png cannot be decoded"),
    "frame that is no picture": (
        truncate(f"{FRAMES}/00003.jpg", 0.01),
        r"00003.jpg cannot be decoded",
    ),
}


@pytest.mark.parametrize("case", BAD_CLIPS)
def test_bad_clip(case, segment_program, boxes, random_weights):
    """Refused before work starts: nothing is written."""
    spoil, message = BAD_CLIPS[case]
    spoil(boxes)
    code, _, errors = segment_program(weights=random_weights["osmn.keras"])
    assert code == 2
    assert len(errors) == 1
    assert_clear(errors[0], message)
    assert not (boxes / "out").exists()


def assert_clear(error, message):
    """One sentence on one line that matches `message`."""
    assert error.endswith(".")
    assert error.count(". ") == 0
    assert re.search(message, error), error


def test_unreadable_frame_in_the_middle(segment_program, boxes, random_weights):
    """Its header is whole: found only when it is its turn."""
    truncate(f"{FRAMES}/00003.jpg")(boxes)
    code, _, errors = segment_program(weights=random_weights["osmn.keras"])
    assert (code, len(errors)) == (2, 1)
    assert_clear(errors[0], r"00003.jpg cannot be decoded .*3 masks before it are kept")
    kept = sorted(p.name for p in (boxes / "out" / "boxes").glob("*.png"))
    assert kept == ["00000.png", "00001.png", "00002.png"]
    assert masks.object_ids(read_mask(boxes / "out/boxes/00000.png")) == (
        1,
        5,
        200,
    )


def test_clip_of_one_frame_works(segment_program, boxes, random_weights):
    for path in list((boxes / FRAMES).iterdir())[1:]:
        path.unlink()
    remaining = next((boxes / FRAMES).iterdir())
    remaining.rename(boxes / FRAMES / "00000.jpg")
    code, said, errors = segment_program(weights=random_weights["osmn.keras"])
    assert (code, errors) == (0, [])
    assert "boxes: 1 frame (1 new), 3 objects" in said
    assert np.array_equal(
        read_mask(boxes / "out/boxes/00000.png"), read_mask(boxes / FIRST)
    )


def spoiled(path, change):
    copy = path.with_name(f"{change.__name__}-{path.name}")
    copy.write_bytes(change(path.read_bytes()))
    return copy


def half(content):
    return content[: len(content) // 2]


def text(content):
    return b"<html>not found</html>"


@pytest.mark.parametrize("kind", ["keras", "weights.h5"])
@pytest.mark.parametrize("change", [half, text])
def test_damaged_weights(segment_program, boxes, random_weights, kind, change):
    path = spoiled(random_weights[f"osmn.{kind}"], change)
    flags = {} if kind == "keras" else {"model": "osmn", "backbone": "vgg16_compact"}
    code, _, errors = segment_program(weights=path, **flags)
    assert (code, len(errors)) == (2, 1)
    assert path.name in errors[0]
    assert not (boxes / "out").exists()


BAD_WEIGHTS = {
    "another model": (
        {
            "weights": "osmn.weights.h5",
            "model": "reconvnet",
            "backbone": "vgg16_compact",
        },
        r"osmn.weights.h5 does not hold the weights of reconvnet",
    ),
    "another backbone": (
        {"weights": "osmn.weights.h5", "model": "osmn"},
        r"osmn.weights.h5 does not hold the weights of osmn \(vgg16\)",
    ),
    "another model, .keras": (
        {"weights": "osmn.keras", "model": "reconvnet"},
        r"osmn.keras holds a network with model=OSMN",
    ),
    "unnamed": ({"weights": "osmn.weights.h5"}, r"give --model"),
    "unknown option": (
        {"weights": "osmn.weights.h5", "model": "osmn", "model_option": "colour=red"},
        r"--model_option: .*colour.* options of OSMN",
    ),
    "bad option": (
        {
            "weights": "osmn.weights.h5",
            "model": "reconvnet",
            "model_option": "coupling=parallel",
        },
        r"--model_option: coupling must be one of .*parallel",
    ),
    "option without value": (
        {"weights": "osmn.keras", "model_option": "coupling"},
        r"--model_option=coupling has no '='",
    ),
    "working size": (
        {"weights": "osmn.keras", "working_size": "big"},
        r"--working_size=big is no size, .*480x854",
    ),
    "precision": (
        {"weights": "osmn.keras", "precision": "float64"},
        r"precision.*should be one of",
    ),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights_and_settings(case, segment_program, boxes, random_weights):
    flags, message = BAD_WEIGHTS[case]
    flags = {**flags, "weights": random_weights[flags["weights"]]}
    code, _, errors = segment_program(**flags)
    assert (code, len(errors)) == (2, 1)
    assert re.search(message, errors[0]), errors[0]
    assert not (boxes / "out").exists()


def test_missing_weights(segment_program, boxes):
    for name in ("none.keras", "none.weights.h5"):
        code, _, errors = segment_program(
            weights=boxes / name, model="osmn", backbone="vgg16_compact"
        )
        assert code == 2
        assert_clear(errors[0], f"{name}: no such weights file")


def test_foreign_keras_file(segment_program, boxes, tmp_path):
    """Only this package's networks are loaded from .keras files."""
    import keras

    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(
        tmp_path / "other.keras"
    )
    code, _, errors = segment_program(weights=tmp_path / "other.keras")
    assert code == 2
    assert "other.keras holds a Sequential, expected one of" in errors[0]


def test_real_process(boxes):
    """Exit code, no traceback, and no TensorFlow for a bad folder."""
    root = pathlib.Path(__file__).parents[2]
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "osmn_recurrent.cli.segment",
            "--weights=none.keras",
            f"--video={boxes / 'nowhere'}",
            f"--mask={boxes / FIRST}",
            f"--out={boxes / 'out'}",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.strip() == (
        f"error: {boxes / 'nowhere'}: no such video file or folder of frames."
    )
