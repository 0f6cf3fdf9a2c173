"""Projects and sessions: the studio without a browser."""

import dataclasses
import json
import os
import pathlib
import threading
import time
import tracemalloc
import types
import zipfile

import numpy as np
import pytest
from drifting import Drifting

from osmn_recurrent import run_folder
from osmn_recurrent.cli import shared, tuning
from osmn_recurrent.datasets.projects import Project, open_project_clip
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.media.mask_files import read_mask, write_mask
from osmn_recurrent.studio import jobs, walk
from osmn_recurrent.studio.session import Session
from osmn_recurrent.studio.studio import Studio


def masks_of(project):
    return [project.read("masks", index) for index in range(project.done)]


def assert_masks(project, expected, count=None):
    found = masks_of(project)
    assert len(found) == (len(expected) if count is None else count)
    for index, ids in enumerate(found):
        assert np.array_equal(ids, expected[index]), f"frame {index}"


def finished(session):
    session.propagate()
    session.wait()
    return session.project


@pytest.fixture
def session(video, tmp_path):
    """one on a new project."""
    project = Project.create(tmp_path / "project", video)
    opened = Session(project, Drifting)
    yield opened
    opened.close()


def painted_session(session, region):
    """Object 1 in frame 0, corrected in 3; object 2 from 2 on; 1 dropped in 4."""
    session.paint(0, region(8, 10), 1)
    finished(session)
    session.erase(3, region(0, 0, 14, 96))
    session.paint(3, region(14, 10, 12), 1)
    session.paint(2, region(36, 50), 2)
    session.drop(4, 1)
    return session


@pytest.mark.parametrize("preset", ["osmn-compact", "reconvnet-compact"])
def test_masks_are_those_of_the_streaming_interface(
    video, tmp_path, packaged, region, by_api, segment_program, boxes, preset
):
    project = Project.create(tmp_path / "project", video)
    session = Session(project, lambda: packaged(preset))
    finished(painted_session(session, region))
    expected = by_api(packaged(preset), project)
    assert set(np.unique(expected[3])) >= {1, 2}
    assert not (expected[4] == 1).any() and (expected[5] == 2).any()
    assert_masks(project, expected)
    # The program makes the same, also when it resumes.
    given = {"video": project.folder, "mask": [], "weights": preset}
    assert segment_program(**given)[::2] == (0, [])
    written = sorted((boxes / "out" / "project").glob("*.png"))
    assert_masks(project, [read_mask(path) for path in written])
    for path in written[3:]:
        path.unlink()
    assert segment_program(**given)[::2] == (0, [])
    assert_masks(project, [read_mask(path) for path in written])


@pytest.mark.parametrize("kept", [True, False])
def test_going_on_behind_a_correction(session, region, by_api, kept):
    """The masks do not depend on where propagation began again."""
    painted_session(session, region)
    project = session.project
    assert project.done == 3
    assert_masks(project, by_api(Drifting(), project), 3)
    finished(session)
    assert_masks(project, by_api(Drifting(), project))
    session.paint(4, region(40, 60), 7)
    session.paint(5, region(0, 60), 1)
    if not kept:
        session = Session(Project.open(project.folder), Drifting)
    finished(session)
    assert_masks(session.project, by_api(Drifting(), session.project))


def test_first_object_may_appear_later_and_painting_may_be_taken_back(
    session, region, by_api
):
    session.paint(0, region(30, 60), 3)
    session.paint(2, region(10, 10), 1)
    finished(session)
    assert session.undo() == 2 and session.undo() == 0 and session.undo() is None
    assert not session.mask(0).any()
    assert session.redo() == 0 and session.redo() == 2 and session.redo() is None
    session.clear(0)
    assert not session.mask(0).any()
    project = finished(session)
    assert not project.read("masks", 1).any()
    assert np.array_equal(project.read("masks", 2) == 1, region(10, 10))
    assert_masks(project, by_api(Drifting(), project))


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("at", range(1, 30))
def test_killed_at_any_moment(video, tmp_path, region, by_api, at):
    """Every change of a file may be the last one."""
    folder, left = tmp_path / "project", [at]
    project = Project.create(folder, video)
    session = Session(project, Drifting)
    session.segmenter  # noqa: B018 - loads before files are counted

    def counted(function):
        def call(*arguments, **options):
            if pathlib.Path(arguments[-1]).is_relative_to(folder) and (
                "/." not in str(arguments[-1])
            ):
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            return function(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "unlink"):
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            session.paint(0, region(8, 10), 1)
            walk_through(session)
            session.paint(3, region(36, 50), 2)
            session.erase(2, region(0, 0, 64, 96))
            session.undo()
            walk_through(session)
        except Killed:
            pass
    reopened = Project.open(folder)
    assert_masks(reopened, by_api(Drifting(), reopened), reopened.done)
    if reopened.painted_frames():
        finished(Session(reopened, Drifting))
        assert_masks(reopened, by_api(Drifting(), reopened))


def walk_through(session):
    """Propagates in this thread."""

    class Here:
        step = staticmethod(lambda *said: True)

    session._propagate(Here)


def test_stop_go_on_and_edit_while_it_runs(session, region, by_api):
    session.paint(0, region(8, 10), 1)
    seen = []
    original = session.project.add_result

    def add_result(index, *maps):
        seen.append(index)
        original(index, *maps)
        if index == 2 and seen.count(2) == 1:
            session.stop()

    session.project.add_result = add_result
    finished(session)
    assert session.project.done == 3 and seen == [1, 2]
    state = session.state()["job"]
    assert (state["kind"], state["at"], state["of"]) == ("propagate", 3, 6)
    session.propagate()
    session.paint(1, region(36, 50), 2)  # stops what runs, and is not lost
    finished(session)
    assert_masks(session.project, by_api(Drifting(), session.project))
    with pytest.raises(InputError, match="no frame 6"):
        session.frames.frame(6)


@pytest.mark.parametrize("kept", [0, 1, 3, 4, 5])
def test_segment_makes_the_same_masks(session, region, tmp_path, kept):
    """Also when it resumes behind `kept` frames."""
    from osmn_recurrent.inference.output import segment_clip

    project = finished(painted_session(session, region))
    folder = tmp_path / "out"
    for _ in range(2):
        clip = open_project_clip(project.folder)
        outcome = segment_clip(Drifting(), clip, folder)
        assert outcome.frames == 6 and clip.name == "project"
        paths = sorted(folder.glob("*.png"))
        assert_masks(project, [read_mask(path) for path in paths])
        for path in paths[kept:]:
            path.unlink()


def test_segment_tunes_no_network_to_a_project_by_default(session, region, monkeypatch):
    """The masks would not be those of the studio."""
    session.paint(0, region(8, 10), 1)
    monkeypatch.setattr(tuning, "AUTO_FRAMES", 1)
    backbone = types.SimpleNamespace(finetune_by_default=True)
    model = types.SimpleNamespace(backbone=backbone)
    clip = open_project_clip(session.project.folder)
    assert tuning.steps_for(shared.AUTO, model, clip) == 0
    assert tuning.steps_for(7, model, clip) == 7


def test_segment_does_not_mix_masks_of_two_states(session, region, tmp_path):
    """A drop alone makes another clip of a project."""
    from osmn_recurrent.inference.output import segment_clip

    project = finished(painted_session(session, region))
    segment_clip(Drifting(), open_project_clip(project.folder), tmp_path / "out")
    session.drop(5, 2)
    with pytest.raises(InputError, match="results of another run"):
        segment_clip(Drifting(), open_project_clip(project.folder), tmp_path / "out")


def test_segment_refuses_a_project_without_objects(session, segment_program):
    code, _, errors = segment_program(video=session.project.folder, mask=[])
    assert code == 2 and len(errors) == 1
    assert str(session.project.folder) in errors[0] and "nothing" in errors[0]
    with pytest.raises(InputError, match="nothing is painted yet"):
        session.propagate()


def test_export(session, region):
    with pytest.raises(InputError, match="no masks yet"):
        session.export()
    painted_session(session, region)
    project = finished(session)
    session.export(("masks", "overlay.mp4", "png", "tracks"))
    session.wait()
    assert list(session.exports()) == [
        f"boxes_{each}"
        for each in ("cutouts.zip", "masks.zip", "overlay.mp4", "tracks.json")
    ]
    with zipfile.ZipFile(session.exports()["boxes_masks.zip"]) as archive:
        names = [f"boxes/{index:05d}.png" for index in range(6)]
        assert archive.namelist() == names
        assert archive.read(names[3]) == project.file("masks", 3).read_bytes()
    tracks = json.loads(session.exports()["boxes_tracks.json"].read_text())
    assert [each["id"] for each in tracks["annotations"]] == [1, 2]
    with pytest.raises(InputError, match="no export films"):
        session.export(("films",))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: p.write_text("{"), "project"),
        (lambda p: p.write_text('{"version": 99}'), "no project of this version"),
        (lambda p: p.write_text("[]"), "project"),
        (
            lambda p: p.write_text(p.read_text().replace('"frames": 6', '"frames": 7')),
            "is not the video",
        ),
    ],
)
def test_damaged_projects(session, damage, said):
    damage(session.project.folder / "project.json")
    with pytest.raises(InputError, match=said):
        Project.open(session.project.folder)


def test_projects_overwrite_nothing(session, video, tmp_path):
    with pytest.raises(InputError, match="is a project already"):
        Project.create(session.project.folder, video)
    write_mask(tmp_path / "mine" / "masks" / "00000.png", np.ones((4, 4), np.uint8))
    with pytest.raises(InputError, match="no project's"):
        Project.create(tmp_path / "mine", video)


def test_segmenters_that_are_kept_are_bounded(session, monkeypatch):
    """In number, spread over the clip, and in bytes."""
    segmenter = Drifting()
    segmenter.start(np.zeros((64, 96, 3), np.uint8))
    assert walk.carried_bytes(segmenter) == 64 * 96
    kept = walk.Walk(session.project, segmenter)
    for index in range(1, 200):
        kept._keep(index, segmenter)
    assert len(kept._branches) <= walk.MOST_BRANCHES
    assert max(kept._branches) == 199 and min(kept._branches) < 60
    monkeypatch.setattr(walk, "MOST_BYTES", 3 * 64 * 96)
    kept = walk.Walk(session.project, segmenter)
    for index in range(1, 200):
        kept._keep(index, segmenter)
    assert 1 <= len(kept._branches) <= 3
    monkeypatch.setattr(walk, "MOST_BYTES", 64 * 96)
    kept = walk.Walk(session.project, segmenter)
    kept._keep(1, segmenter)
    assert not kept._branches


def test_memory_does_not_grow_with_the_clip(video, tmp_path, region):
    """Ten times the frames, about the same memory."""
    most = []
    for count in (6, 60):
        frames = tmp_path / f"frames{count}"
        frames.mkdir()
        for index in range(count):
            source = video / f"{index % 6:05d}.jpg"
            (frames / f"{index:05d}.jpg").write_bytes(source.read_bytes())
        project = Project.create(tmp_path / f"project{count}", frames)
        session = Session(project, Drifting)
        session.paint(0, region(8, 10), 1)
        tracemalloc.start()
        finished(session)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert project.done == count
    # 64 previews of 3 KB are kept, and the results' numbers are few.
    assert most[1] - most[0] < 1_000_000


@pytest.mark.slow
def test_tuned_networks_are_kept_and_used(
    video, tmp_path, packaged, region, monkeypatch
):
    from osmn_recurrent.training.online import FinetuneSettings

    project = Project.create(tmp_path / "project", video)
    session = Session(project, lambda: packaged("osmn-compact"))
    original = FinetuneSettings.for_network

    def quick(model):
        return dataclasses.replace(original(model), iterations=2)

    monkeypatch.setattr(FinetuneSettings, "for_network", quick)
    with pytest.raises(InputError, match="nothing is painted yet"):
        session.finetune()
    session.paint(0, region(8, 10), 1)
    finished(session)
    session.finetune()
    session.wait()
    state = session.state()
    assert state["tuned"] == [1] and state["done"] == 1
    finished(session)
    session.paint(2, region(36, 50), 2)  # has no network of its own
    project = finished(session)
    assert project.done == 6 and (project.read("masks", 5) == 2).any()
    with pytest.warns(InputNote, match="tuned"):
        open_project_clip(project.folder)
    session.forget_tuning()
    assert session.state()["tuned"] == []
    assert session.state()["done"] == 1


def test_time_left_is_that_of_later_steps(monkeypatch):
    """The first one compiles."""
    now = iter([0.0, 50.0, 52.0, 52.0])
    clock = types.SimpleNamespace(monotonic=lambda: next(now))
    monkeypatch.setattr(jobs, "time", clock)
    job = jobs.Job("finetune", print)
    left = []
    for at in range(3):
        job.step(at, 10)
        left.append(job.state()["seconds_left"])
    assert left == [None, None, 16.0]


def test_a_second_program_is_refused(session, tmp_path):
    folder = session.project.folder
    first, second = Studio(Drifting, tmp_path), Studio(Drifting, tmp_path)
    first.open(folder=folder)
    try:
        said = []

        def other():
            try:
                second.open(folder=folder)
            except InputError as error:
                said.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(said) == 1 and str(folder) in said[0]
    finally:
        first.close()
    with run_folder.hold(folder):
        pass


def test_a_network_that_cannot_be_loaded(video, tmp_path, region):
    def fail():
        raise InputError("mine.keras is damaged.")

    session = Session(Project.create(tmp_path / "project", video), fail)
    session.paint(0, region(8, 10), 1)
    session.propagate()
    with pytest.raises(InputError, match="mine.keras is damaged"):
        session.wait()
    deadline = time.monotonic() + 60
    while session.state()["network"] == "loading" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert session.state()["network"] == "mine.keras is damaged."
