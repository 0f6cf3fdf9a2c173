"""The fine-tuning and the refining programs, in a small setting."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import programs
from osmn_recurrent.cli import finetune, refine
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.media.mask_files import read_mask, read_mask_with_palette


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_moving_shapes(folder, train=1, val=2, frames=4, size=(64, 96), objects=(2, 2))
    return folder


def run(program, *arguments):
    """Exit code of a program."""
    for name in program.FLAGS:
        program.FLAGS[name].unparse()
    return programs.call(program.main, program.FLAGS, ["program", *arguments])


@pytest.mark.slow
def test_tuning_resuming_and_refusing(data, random_weights, tmp_path, capsys):
    out = tmp_path / "out"
    flags = [
        f"--weights={random_weights['osmn.keras']}",
        f"--data_dir={data}",
        f"--out={out}",
        "--learning_rate=1e-3",
        "--reduction=image_mean",
    ]
    assert run(finetune, *flags, "--finetune_steps=3", "--keep_weights") == 0
    assert "mean" in capsys.readouterr().out
    names = ("val-000", "val-001")
    rows = {n: json.loads((out / "sequences" / f"{n}.json").read_text()) for n in names}
    assert all(row["objects"] == 2 and row["tuning s"] > 0 for row in rows.values())
    for name in names:
        paths = sorted((out / "masks" / name).glob("*.png"))
        assert len(paths) == 4
        ground_truth = read_mask(data / "Annotations" / "480p" / name / paths[0].name)
        assert np.array_equal(read_mask(paths[0]), ground_truth)
    # Interrupted in the second sequence, after its tuning.
    (out / "sequences" / "val-001.json").unlink()
    last = sorted((out / "masks" / "val-001").glob("*.png"))[-1]
    kept = read_mask(last)
    last.unlink()
    assert run(finetune, *flags, "--finetune_steps=3") == 0
    assert "fine-tuning" not in capsys.readouterr().err
    assert np.array_equal(read_mask(last), kept)
    again = json.loads((out / "sequences" / "val-001.json").read_text())
    assert again["J after"] == rows["val-001"]["J after"]
    assert not (out / "tuned" / "val-001_1.keras").exists()
    assert (out / "tuned" / "val-000_1.keras").exists()
    # Without steps nothing changes.
    assert run(finetune, *flags, "--finetune_steps=5") == 2
    assert "finetuning iterations 3 there, 5 now" in capsys.readouterr().err
    flags[2] = f"--out={tmp_path / 'none'}"
    assert run(finetune, *flags, "--finetune_steps=0", "--sequences=val-001") == 0
    row = json.loads((tmp_path / "none" / "sequences" / "val-001.json").read_text())
    assert row["difference"] == pytest.approx(0, abs=0.5)


def test_bad_flags(data, random_weights, tmp_path, capsys):
    weights = f"--weights={random_weights['osmn.keras']}"
    cases = [
        ([], "give either --data_dir or --video"),
        ([f"--video={data}"], "--video needs --mask"),
        ([f"--data_dir={data}", "--sequences=lion"], "lion not in the list"),
        ([f"--data_dir={data}", "--working_size=tiny"], "--working_size=tiny is no"),
        ([f"--data_dir={data}", "--trainable=lion"], "no variable of osmn matches"),
    ]
    for arguments, message in cases:
        code = run(finetune, weights, f"--out={tmp_path / 'o'}", *arguments)
        assert code == 2
        assert message in capsys.readouterr().err


def test_refine_a_folder(data, tmp_path, capsys):
    results, out = data / "Annotations" / "480p", tmp_path / "refined"
    flags = [f"--results={results}", f"--frames={data / 'JPEGImages' / '480p'}"]
    flags += [f"--out={out}", "--method=guided"]
    assert run(refine, *flags) == 0
    found = {p.relative_to(out): p.read_bytes() for p in out.rglob("*.png")}
    assert len(found) == 12
    for name in ("train-000", "val-000", "val-001"):
        first, second = sorted((results / name).glob("*.png"))[:2]
        assert (out / name / first.name).read_bytes() == first.read_bytes()
        palette = read_mask_with_palette(second)[1]
        assert read_mask_with_palette(out / name / second.name)[1] == palette
    # Resuming after an interruption gives the same.
    gone = out / "val-000" / second.name
    gone.unlink()
    assert run(refine, *flags) == 0
    assert "(1 new" in capsys.readouterr().out
    assert gone.read_bytes() == found[gone.relative_to(out)]
    gone.with_name("stray.png").write_bytes(found[gone.relative_to(out)])
    assert run(refine, *flags[:-1], "--method=guided", f"--frames={tmp_path}") == 2
    assert "no such folder, expected the frames" in capsys.readouterr().err
    (out / "refinement.json").write_text("{}")
    assert run(refine, *flags, "--overwrite") == 2
    assert "is the record of something else" in capsys.readouterr().err
    (out / "refinement.json").unlink()
    assert run(refine, *flags) == 2
    assert "give --overwrite" in capsys.readouterr().err
    assert run(refine, flags[1], flags[3], f"--results={out}", f"--out={out}2") == 2
    assert "belong to no frame" in capsys.readouterr().err


def test_refining_never_touches_what_it_reads(data, tmp_path, capsys):
    frames, results = data / "JPEGImages" / "480p", data / "Annotations" / "480p"
    png = tmp_path / "png"  # frames that have the masks' names
    for path in frames.rglob("*.jpg"):
        target = (png / path.relative_to(frames)).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target)
    (tmp_path / "link").symlink_to(png)
    before = {p: p.read_bytes() for f in (data, png) for p in f.rglob("*.*g")}
    for given, out in (
        (png, png),
        (frames, frames),
        (frames, results),
        (png, tmp_path / "link"),
        (png, results / ".." / "480p"),
    ):
        flags = [f"--results={results}", f"--frames={given}", f"--out={out}"]
        assert run(refine, *flags, "--method=guided", "--overwrite") == 2
        assert "this run reads; name another" in capsys.readouterr().err
        assert {p: p.read_bytes() for f in (data, png) for p in f.rglob("*.*g")} == (
            before
        )


def test_refined_masks_of_what_was_replaced_are_noticed(data, tmp_path, capsys):
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(data / kind / "480p" / "val-000", tmp_path / kind / "val-000")
    results, frames = tmp_path / "Annotations", tmp_path / "JPEGImages"
    flags = [f"--results={results}", f"--frames={frames}", "--method=guided"]
    flags.append(f"--out={tmp_path / 'out'}")
    assert run(refine, *flags) == 0
    for path, other in (
        (frames / "val-000" / "00002.jpg", frames / "val-000" / "00000.jpg"),
        (results / "val-000" / "00001.png", results / "val-000" / "00003.png"),
    ):
        content = path.read_bytes()
        path.write_bytes(other.read_bytes())
        assert run(refine, *flags) == 2
        assert "from another mask or frame" in capsys.readouterr().err
        path.write_bytes(content)
    assert run(refine, *flags) == 0
    assert "(0 new" in capsys.readouterr().out
