"""What the page asks for, without a browser; the command line's refusals."""

import io
import pathlib
import re
import socket
import sys
import time

import numpy as np
import pytest
from drifting import Drifting
from PIL import Image
from serving import Client, served

from osmn_recurrent import masks, programs
from osmn_recurrent.cli import exports
from osmn_recurrent.cli import studio as program
from osmn_recurrent.datasets.projects import Project
from osmn_recurrent.errors import InputError
from osmn_recurrent.studio.studio import AWAY, RELOADED, Studio

pytestmark = pytest.mark.needs("starlette", "uvicorn")

BRUSH = {"frame": 0, "tool": "brush", "id": 3, "points": [[30, 20]], "radius": 6}


@pytest.fixture
def studio(tmp_path):
    opened = Studio(Drifting, tmp_path / "projects")
    yield opened
    opened.close()


@pytest.fixture
def client(studio):
    with served(studio) as address:
        yield Client(address)


@pytest.fixture
def opened(studio, video, tmp_path):
    """Folder of the open project."""
    studio.open(video, tmp_path / "project")
    return tmp_path / "project"


def test_gestures_pictures_and_state(client, opened):
    state = client.post("tool", BRUSH).json()
    assert state["objects"] == [3] and state["painted"] == [0] and state["done"] == 1
    drawn = Project.open(opened).read("painted", 0)
    rows, columns = np.ogrid[:64, :96]
    disc = (rows - 20) ** 2 + (columns - 30) ** 2 <= 36
    assert np.array_equal(drawn, np.where(disc, 3, 0))
    key = state["key"]
    answer = client.ask(f"/studio/mask/{key}/0.png")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert np.array_equal(np.array(image), drawn)
        assert image.getpalette()[9:12] == list(masks.davis_palette()[9:12])
    frame = client.ask(f"/studio/frame/{key}/5.jpg").content
    with Image.open(io.BytesIO(frame)) as image:
        assert image.size == (96, 64)
    for absent in (f"{key}/6", "a/5"):
        assert client.ask(f"/studio/frame/{absent}.jpg").status == 404
    undone = client.post("undo").json()
    assert undone["painted"] == [] and undone["changed"] == 0
    assert client.post("redo").json()["painted"] == [0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "means nothing"),
        ({**BRUSH, "frame": 6}, "outside of the video"),
        ({**BRUSH, "points": [[float("inf"), 1]]}, "outside of the video"),
        ({**BRUSH, "points": "here"}, "means nothing"),
        ({**BRUSH, "points": []}, "nothing was drawn"),
        ({**BRUSH, "id": 255}, "255 is no object"),
        ({**BRUSH, "id": 0}, "0 is no object"),
        ({**BRUSH, "tool": "axe"}, "no tool 'axe'"),
        ({**BRUSH, "tool": "polygon"}, "three corners"),
        ({**BRUSH, "tool": "box"}, "too little"),
        ([1], "no JSON object"),
    ],
)
def test_gestures_that_mean_nothing(client, opened, given, said):
    answer = client.post("tool", given)
    assert answer.status == 400 and said in answer.json()["error"]
    assert Project.open(opened).painted_frames() == []


def test_one_page_changes_the_project(client, opened, monkeypatch):
    assert client.state()["writer"]
    answer = client.post("tool", BRUSH, page="other")
    assert answer.status == 400 and "another tab" in answer.json()["error"]
    assert Project.open(opened).painted_frames() == []
    assert client.post("take", page="other").json()["writer"]
    assert not client.state()["writer"]
    client.post("leave?page=other")
    assert not client.state()["writer"]
    monkeypatch.setattr("osmn_recurrent.studio.studio.AWAY", AWAY - RELOADED)
    assert client.state()["writer"]
    # Pages of other origins cannot send the header.
    for name in ("tool", "take", "propagate"):
        assert client.post(name, BRUSH, page=None).status == 400
    assert client.post("tool", b"{").status == 400


def test_uploads(client, studio, tmp_path):
    clip = pathlib.Path(program.__file__).parents[1] / "examples" / "rabbit.mp4"
    answer = client.put("notes.mp4", b"dear diary")
    assert answer.status == 400 and "notes.mp4" in answer.json()["error"]
    assert answer.json()["name"] is None
    assert str(tmp_path) not in answer.json()["error"]
    assert not any((tmp_path / "projects").iterdir())
    content = clip.read_bytes()
    assert client.put("my clip.mp4", content).json()["frames"] == 60
    assert Project.open(tmp_path / "projects" / "my_clip").video.name == "my_clip.mp4"
    again = client.put("my clip.mp4", content).json()
    assert again["folder"] == str(tmp_path / "projects" / "my_clip-2")
    assert client.put("../outside.mp4", content).status == 404
    folders = sorted(path.name for path in (tmp_path / "projects").iterdir())
    assert folders == ["my_clip", "my_clip-2"]
    assert not (tmp_path / "outside.mp4").exists()


def test_a_clip_that_ends_early_is_used_as_far_as_it_goes(client, studio, tmp_path):
    clip = pathlib.Path(program.__file__).parents[1] / "examples" / "rabbit.mp4"
    state = client.put("cut.mp4", clip.read_bytes()[:100_000]).json()
    assert 1 < state["frames"] < 60 and len(state["notes"]) == 1
    client.post("tool", BRUSH)
    client.post("propagate")
    studio.session.wait()
    assert client.state()["done"] == state["frames"]


def test_a_large_clip_is_shown_small_and_painted_in_full_size(client, studio, tmp_path):
    frames = tmp_path / "uhd"
    frames.mkdir()
    for index in range(2):
        picture = np.full((2160, 3840, 3), 60 * index, np.uint8)
        Image.fromarray(picture).save(frames / f"{index}.jpg")
    studio.open(frames, tmp_path / "project")
    given = {"frame": 0, "tool": "brush", "id": 1, "points": [[3000, 2000]]}
    state = client.post("tool", {**given, "radius": 100}).json()
    assert state["preview"] == [540, 960] and not state["warnings"]
    for kind, ending in (("frame", "jpg"), ("mask", "png")):
        content = client.ask(f"/studio/{kind}/{state['key']}/0.{ending}").content
        assert len(content) < 100_000
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (960, 540)
            area = (np.array(image) == 1).sum()
    assert abs(area - np.pi * 25**2) < 50
    painted = Project.open(tmp_path / "project").read("painted", 0)
    assert painted.shape == (2160, 3840) and painted[2000, 3099] == 1


def stream(count, error=None):
    """Grey frames, each lighter than the last one, until `count`, and an error."""
    for index in range(count):
        yield np.full((64, 96, 3), index, np.uint8)
        time.sleep(0.005)
    if error:
        raise InputError(error)


def ready(condition):
    """Waits until a function says so."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_frame_of_a_camera_is_frozen_and_frames_are_kept(client, studio, tmp_path):
    studio.watch(stream(250), "camera0")
    assert client.post("stop_watching").json()["error"].startswith("no frame is kept")
    first = client.ask("/studio/live.jpg").content
    ready(lambda: client.ask("/studio/live.jpg").content != first)
    state = client.post("freeze").json()
    assert state["name"] is None and state["live"]["frozen"]
    frozen = client.ask("/studio/live.jpg").content
    ready(lambda: client.state()["live"]["count"] >= 4)
    assert client.ask("/studio/live.jpg").content == frozen
    state = client.post("stop_watching").json()
    assert state["frames"] >= 4 and state["folder"] == str(studio.folder / "camera0")
    levels = [int(studio.session.frames.frame(k).mean() + 0.5) for k in range(4)]
    assert np.diff(levels).tolist() == [1, 1, 1] and levels[0] > 0
    client.post("tool", BRUSH)
    client.post("propagate")
    studio.session.wait()
    assert client.state()["done"] == state["frames"]
    assert client.ask("/studio/live.jpg").status == 404
    with pytest.raises(InputError, match="camera0 exists"):
        studio.watch(stream(2), "x", studio.folder / "camera0")


def test_a_stream_that_fails_keeps_its_frames(client, studio):
    studio.watch(stream(3, "the cable is out."), "stream")
    ready(lambda: client.state()["live"]["ended"])
    state = client.post("freeze").json()
    assert state["live"]["error"] == "the cable is out." and state["live"]["count"] == 1
    assert client.post("stop_watching").json()["frames"] == 1
    with pytest.raises(InputError, match="gives no frame"):
        studio.watch(stream(0), "none")
    with pytest.raises(InputError, match="the cable"):
        studio.watch(stream(0, "the cable is out."), "none")
    assert not (studio.folder / "none").exists()


@pytest.mark.parametrize("video", ["camera:x", "https://127.0.0.1:9/a.mp4"])
def test_what_is_no_camera(never_served, capsys, video):
    code, errors = call(capsys, video, "--port=0")
    assert code == 2 and len(errors) == 1 and video in errors[0]


def test_page_is_served_and_hosts_are_checked(client):
    answer = client.ask("/")
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', answer.content.decode()):
        assert client.ask(name).status == 200, name
    assert 'src="/studio/page/studio.js"' in answer.content.decode()
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert client.ask("/studio/state").json()["name"] is None
    kinds = {name for name, _, _ in client.ask("/studio/kinds").json()}
    assert kinds >= set(exports.EXPORTS)
    answer = client.ask("/studio/state", Host="evil.example")
    assert answer.status == 400


def call(capsys, *arguments):
    """Exit code and the sentence of `osmn studio`."""
    code = programs.call(
        program.main,
        program.FLAGS,
        ["osmn studio", "--nobrowser", *map(str, arguments)],
    )
    lines = capsys.readouterr().err.splitlines()
    return code, [line for line in lines if line.startswith("error:")]


@pytest.fixture
def never_served(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def serve(*arguments):
        raise AssertionError("the studio was served")

    monkeypatch.setattr(program, "serve", serve)
    for name in program.FLAGS:
        program.FLAGS[name].unparse()


def test_the_address_is_told_where_no_browser_is(monkeypatch, capsys):
    monkeypatch.setattr(program.webbrowser, "open", lambda address: False)
    program.show("http://127.0.0.1:1/")
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "http://127.0.0.1:1/" in said


@pytest.mark.parametrize("name", ["starlette", "uvicorn"])
def test_package_missing(never_served, capsys, monkeypatch, video, name):
    found = program.find_spec
    monkeypatch.setattr(program, "find_spec", lambda n: None if n == name else found(n))
    code, errors = call(capsys, video)
    assert code == 2 and len(errors) == 1
    assert name in errors[0] and "osmn_recurrent[studio]" in errors[0]


def test_port_in_use(never_served, capsys, video):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code, errors = call(capsys, video, f"--port={port}")
    assert code == 2 and len(errors) == 1
    assert str(port) in errors[0] and "--port" in errors[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.mp4", None, "gone.mp4"),
        ("notes.mp4", b"dear diary", "notes.mp4"),
        ("empty.mp4", b"", "empty.mp4"),
        ("empty", "folder", "no frames"),
    ],
)
def test_what_is_no_video(never_served, capsys, tmp_path, name, content, said):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    code, errors = call(capsys, path, "--port=0")
    assert code == 2 and len(errors) == 1 and said in errors[0]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--weights=mine.txt", "mine.txt"),
        ("--weights=gone.keras", "gone.keras"),
        ("--host=no.such.host.invalid", "no.such.host.invalid"),
        ("--port=70000", "port"),
    ],
)
def test_flags_that_cannot_be_used(never_served, capsys, video, flag, said):
    code, errors = call(capsys, video, flag, *(["--port=0"] * ("port" not in flag)))
    assert code == 2 and len(errors) == 1 and said in errors[0]


def test_a_project_of_another_video_is_left_alone(
    never_served, capsys, video, tmp_path, opened, studio
):
    studio.close()
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes((video / "00000.jpg").read_bytes())
    code, errors = call(capsys, other, f"--project={opened}", "--port=0")
    assert code == 2 and len(errors) == 1 and "--project" in errors[0]
    code, errors = call(capsys, opened / "masks", f"--project={opened}", "--port=0")
    assert code == 2 and len(errors) == 1


def test_where_projects_lie(opened, video, tmp_path):
    assert program.project_of(opened, None) == (None, opened)
    assert program.project_of("a/b.c.mp4", None)[1] == program.PROJECTS / "b.c"
    assert program.project_of(video, None)[1] == program.PROJECTS / "boxes"
    assert program.project_of("clip.mp4", "here") == ("clip.mp4", "here")
    with pytest.raises(InputError, match="no project"):
        Studio(None, tmp_path).open(None, tmp_path / "nothing")


def test_import_of_the_program_is_light():
    """Neither TensorFlow nor the server is loaded for `--help`."""
    import subprocess

    code = (
        "import sys; import osmn_recurrent.cli.studio, osmn_recurrent.studio.studio;"
        "print(sorted({'tensorflow', 'starlette', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
