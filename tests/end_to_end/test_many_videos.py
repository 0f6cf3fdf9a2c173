"""Several videos: one network, lists, shards, Beam, errors as files."""

import contextlib
import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from osmn_recurrent.cli import segment as program
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import many_videos
from osmn_recurrent.media.mask_files import read_mask, write_mask


def copies(boxes, count, frames=6):
    """`count` clips c0, c1, ..., each shifted by its number, with their masks."""
    from PIL import Image

    for number in range(count):
        folder = boxes / "clips" / f"c{number}"
        folder.mkdir(parents=True)
        sources = sorted((boxes / "JPEGImages" / "boxes").iterdir())
        for t in range(frames):
            frame = np.roll(np.array(Image.open(sources[t % 6])), number, 1)
            Image.fromarray(frame).save(folder / f"{t:05d}.png")
        ids = read_mask(boxes / "Annotations" / "boxes" / "00000.png")
        write_mask(boxes / "given" / f"c{number}.png", np.roll(ids, number, 1))
    return [boxes / "clips" / f"c{number}" for number in range(count)]


def contents(out):
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(pathlib.Path(out).glob("c*/*.png"))
    }


def run(**given):
    """Runs osmn segment in this process; gives the exit code."""
    from osmn_recurrent import programs

    for name in program.FLAGS:
        program.FLAGS[name].unparse()
    arguments = []
    for key, value in {"overlay": False, **given}.items():
        values = value if isinstance(value, list) else [value]
        arguments += [f"--{key}={each}" for each in values]
    return programs.call(program.main, program.FLAGS, ["segment", *arguments])


def test_pattern_list_and_shards_are_the_single_runs(
    boxes, random_weights, monkeypatch, capsys
):
    clips = copies(boxes, 3, frames=3)
    weights = random_weights["osmn.keras"]
    for clip in clips:
        mask = boxes / "given" / f"{clip.name}.png"
        code = run(weights=weights, video=clip, mask=mask, out=boxes / "single")
        assert code == 0
    expected = contents(boxes / "single")
    assert len(expected) == 9
    loads, load = [], program.load_network
    monkeypatch.setattr(program, "load_network", lambda *a: loads.append(1) or load(*a))
    pattern = boxes / "clips" / "*"
    code = run(
        weights=weights, video=pattern, mask=boxes / "given", out=boxes / "pattern"
    )
    assert (code, len(loads)) == (0, 1)
    assert contents(boxes / "pattern") == expected
    with open(boxes / "list.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "mask"])
        writer.writerows([f"clips/{c.name}", f"given/{c.name}.png"] for c in clips)
    for index in (0, 1):
        code = run(
            weights=weights,
            list=boxes / "list.csv",
            shard=f"{index}/2",
            out=boxes / "shards",
        )
        assert code == 0
        done = {path.name for path in (boxes / "shards").glob("c*")}
        assert done == ({"c0", "c2"} if index == 0 else {"c0", "c1", "c2"})
    assert contents(boxes / "shards") == expected


def test_an_error_ends_no_other_video(boxes, random_weights, capsys):
    clips = copies(boxes, 3, frames=2)
    (clips[1] / "00001.png").write_bytes(b"no picture")
    code = run(
        weights=random_weights["osmn.keras"],
        video=clips,
        mask=boxes / "given",
        out=boxes / "out",
    )
    assert code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        "error: 1 of 3 videos could not be segmented (the first, c1"
    )
    assert len(contents(boxes / "out")) >= 4
    outcomes = [
        json.loads((boxes / "out" / "status" / f"c{k}.json").read_text())
        for k in range(3)
    ]
    assert ["error" in each for each in outcomes] == [False, True, False]
    assert "00001.png" in outcomes[1]["error"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": "nothing*.mp4"}, "matches nothing"),
        ({"mask": ["a.png", "b.png"]}, "3 videos and 2 masks were given"),
        ({"shard": "2/2"}, "--shard=2/2 is no share"),
        ({"list": "x.csv"}, "leave --video out"),
        ({"mask": []}, "--mask must be given"),
        ({"runner": "DirectRunner", "runner_option": ["x"]}, "has no '='"),
    ],
)
def test_bad_input(boxes, capsys, change, message):
    given = {"video": copies(boxes, 3, 1), "mask": boxes / "given"}
    assert run(**{**given, "out": boxes / "out", **change}) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and error.count("\n") == 0
    assert not (boxes / "out").exists()


def test_lists_and_names(tmp_path):
    for name in ("a/x.mp4", "b/x.mp4", "m.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    path = tmp_path / "l.csv"
    path.write_text("video,mask\na/x.mp4,m.png\nb/x.mp4,m.png\n")
    with pytest.raises(InputError, match="both called x"):
        many_videos.read_list(path)
    path.write_text("video,mask\na/x.mp4,\n")
    with pytest.raises(InputError, match="line 2 of .* has no mask"):
        many_videos.read_list(path)
    path.write_text("clip;mask\n")
    with pytest.raises(InputError, match="header video,mask"):
        many_videos.read_list(path)
    path.write_text("video,mask\na/y.mp4,m.png\n")
    with pytest.raises(InputError, match=r"y.mp4: no such video"):
        many_videos.read_list(path)


@pytest.mark.slow
@pytest.mark.needs("apache_beam")
def test_beam_resumes_after_a_worker_was_killed(boxes, random_weights):
    """12 clips, two processes, one killed; the rerun finishes, byte for byte."""
    copies(boxes, 12, frames=40)
    weights = random_weights["osmn.keras"]

    def command(out, *more):
        return [
            *(sys.executable, "-m", "osmn_recurrent.cli.segment", "--nooverlay"),
            *(f"--weights={weights}", f"--video={boxes / 'clips'}/*"),
            *(f"--mask={boxes / 'given'}", f"--out={boxes / out}", *more),
        ]

    beam = (
        "--runner=DirectRunner",
        "--runner_option=direct_num_workers=2",
        "--runner_option=direct_running_mode=multi_processing",
    )
    log = boxes / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command("beam", *beam), stdout=file, stderr=file)
    try:
        end = time.monotonic() + 240
        while not list((boxes / "beam").glob("status/*.json")):
            assert time.monotonic() < end and process.poll() is None, log.read_text()
            time.sleep(0.02)
        os.kill(workers_of(process.pid)[0], signal.SIGKILL)
        assert process.wait(120) == 2
    finally:
        for each in (*workers_of(process.pid), process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
    said = log.read_text()
    assert "error: a worker process ended before its work was done" in said
    kept = contents(boxes / "beam")
    assert 0 < len(kept) < 12 * 40
    again = subprocess.run(command("beam", *beam), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr[-2000:]
    assert len(list((boxes / "beam" / "status").glob("*.json"))) == 12
    subprocess.run(command("plain"), check=True, capture_output=True)
    assert contents(boxes / "beam") == contents(boxes / "plain")
    assert len(contents(boxes / "plain")) == 12 * 40


def workers_of(process):
    """Ids of Beam's worker processes below a process, without their shells."""
    children, found = {}, []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    below = [process]
    for each in below:
        below += children.get(each, [])
    for each in below:
        try:
            line = pathlib.Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if b"apache_beam.runners.worker.sdk_worker_main" in line:
            found.append(each)
    return found
