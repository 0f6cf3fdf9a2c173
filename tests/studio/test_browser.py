"""The page in a real headless browser, from the first disc to the export."""

import contextlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from browser import find_browser
from drifting import Drifting
from serving import served

from osmn_recurrent.datasets.projects import Project
from osmn_recurrent.datasets.video_files import open_clip
from osmn_recurrent.media.mask_files import read_mask
from osmn_recurrent.studio import tools
from osmn_recurrent.studio.studio import Studio

pytestmark = [pytest.mark.slow, pytest.mark.needs("starlette", "uvicorn", "playwright")]
EXAMPLES = pathlib.Path(tools.__file__).parents[1] / "examples"
SIZE = (270, 480)
PATIENCE = 120_000
"""Milliseconds that are waited for anything, on a busy machine."""


@pytest.fixture
def browser():
    """A Chromium that is driven by Playwright; one context is one window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_browser(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


def take_picture(page, name):
    """A picture of the page, kept where `OSMN_PICTURES` names a folder."""
    if os.environ.get("OSMN_PICTURES"):
        path = pathlib.Path(os.environ["OSMN_PICTURES"], f"{name}.jpg")
        page.screenshot(path=path, type="jpeg", quality=75)


class Window:
    """The page as a person uses it."""

    def __init__(self, browser, address, ready="osmnStudio.state.name"):
        self.page = browser.new_context(
            viewport={"width": 1280, "height": 1000}, accept_downloads=True
        ).new_page()
        self.page.set_default_timeout(PATIENCE)
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address, wait_until="commit")
        self.until(f"{ready} && osmnStudio.shown")

    def until(self, condition):
        self.page.wait_for_function(f"() => window.osmnStudio && ({condition})")

    def state(self):
        return self.page.evaluate("osmnStudio.state")

    def go_to(self, index):
        """To a frame by the arrow keys, from the first one."""
        self.page.evaluate("osmnStudio.show(0)")
        for _ in range(index):
            self.page.keyboard.press("ArrowRight")
        self.until(f"osmnStudio.shown.startsWith('{index} ')")

    def draw(self, *points):
        """Draws along (x, y) pixels of the frame with the mouse."""
        before = self.state()["version"]
        box = self.page.locator("#canvas").bounding_box()
        places = [
            (
                box["x"] + (x + 0.5) / SIZE[1] * box["width"],
                box["y"] + (y + 0.5) / SIZE[0] * box["height"],
            )
            for x, y in points
        ]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()
        self.until(f"osmnStudio.state.version > {before}")

    def press(self, name):
        self.page.locator(f"#{name}").click()


def agree(first, second):
    """Whether two regions are the same but for rounding of the mouse's place."""
    return (first & second).sum() > 0.93 * (first | second).sum()


@pytest.mark.parametrize("network", ["drifting", "osmn-lite0"])
def test_from_a_disc_to_the_export(browser, packaged, tmp_path, by_api, network):
    folder = tmp_path / "project"
    segmenter = Drifting(0.15) if network == "drifting" else packaged(network)
    studio = Studio(lambda: segmenter, tmp_path)
    studio.open(EXAMPLES / "rabbit.mp4", folder)
    with contextlib.closing(studio), served(studio) as address:
        window = Window(browser, address)
        rabbit = read_mask(EXAMPLES / "rabbit.png") > 0
        y, x = (int(np.median(each)) for each in np.nonzero(rabbit))
        window.page.locator("#radius").fill("60")  # 30 pixels of this video
        window.draw((x, y))
        drawn = Project.open(folder).read("painted", 0)
        assert set(np.unique(drawn)) == {0, 1}
        assert agree(drawn == 1, tools.disc(SIZE, [(x, y)], 30))

        reload_in_mid_propagation(window, folder)
        window.press("stop")
        window.until("!osmnStudio.state.job.running")
        second_tab(browser, address, window, folder)
        correct_and_add(window, folder, (x, y))

        window.press("propagate")
        window.until("osmnStudio.state.done === 60 && !osmnStudio.state.job.running")
        project = Project.open(folder)
        expected = by_api(segmenter, project)
        assert (expected[59] == 2).any()
        for index, ids in enumerate(expected):
            assert np.array_equal(project.read("masks", index), ids), index
        exported(window, tmp_path, project)
        assert window.errors == []


def reload_in_mid_propagation(window, folder):
    """Work goes on while the page is loaded again, and nothing is lost."""
    window.press("propagate")
    window.until("osmnStudio.state.done >= 4")
    take_picture(window.page, "studio_propagate")
    before = window.state()
    window.page.reload(wait_until="commit")
    window.until("osmnStudio.state.name && osmnStudio.shown")
    after = window.state()
    assert after["painted"] == [0] and after["writer"]
    assert after["done"] >= before["done"]
    window.until("osmnStudio.state.done >= 12")


def second_tab(browser, address, window, folder):
    """It sees, and says why it changes nothing, until it takes over."""
    second = Window(browser, address)
    assert second.page.locator("#second").is_visible()
    files = {path: path.read_bytes() for path in folder.rglob("*.png")}
    answer = second.page.evaluate(
        "osmnStudio.post('tool', {frame: 3, tool: 'brush', id: 4, radius: 9, "
        "points: [[9, 9]]})"
    )
    assert "another tab" in answer["error"]
    second.page.locator("#message").wait_for()
    assert files == {path: path.read_bytes() for path in folder.rglob("*.png")}
    second.press("take")
    second.until("osmnStudio.state.writer")
    window.until("osmnStudio.state.writer === false")
    second.page.close(run_before_unload=True)
    window.until("osmnStudio.state.writer")


def correct_and_add(window, folder, middle):
    """Erases in frame 5, undoes and redoes by keys, brings object 2 in frame 8."""
    x, y = middle
    before = Project.open(folder).read("masks", 5)
    window.go_to(5)
    window.page.locator("#radius").fill("30")
    window.draw((x - 20, y), (x + 20, y))
    corrected = Project.open(folder).read("painted", 5)
    line = tools.disc(SIZE, [(x - 20, y), (x + 20, y)], 15)
    assert agree(corrected == 1, (before == 1) | line)
    window.page.keyboard.press("Control+z")
    window.until("osmnStudio.state.painted.join() === '0'")
    window.page.keyboard.press("Control+y")
    window.until("osmnStudio.state.painted.join() === '0,5'")
    assert np.array_equal(Project.open(folder).read("painted", 5), corrected)

    window.go_to(8)
    window.page.keyboard.press("2")
    window.draw((90, 200))
    added = Project.open(folder).read("painted", 8)
    assert agree(added == 2, tools.disc(SIZE, [(90, 200)], 15))
    assert window.state()["objects"] == [1, 2]
    take_picture(window.page, "studio_paint")


def exported(window, tmp_path, project):
    window.press("exporting")
    window.press("export")
    window.until("osmnStudio.state.exports.length === 2")
    window.until("!osmnStudio.state.job.running")
    with window.page.expect_download() as waiting:
        window.page.get_by_text("rabbit_masks.zip").click()
    waiting.value.save_as(tmp_path / "masks.zip")
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        assert len(archive.namelist()) == 60
        content = archive.read("rabbit/00030.png")
    assert content == project.file("masks", 30).read_bytes()


def test_box_and_upload(browser, tmp_path, monkeypatch):
    """A video is opened in the page, and a box is completed by GrabCut."""
    monkeypatch.setattr(tools, "find_spec", lambda name: None)  # no osam
    studio = Studio(Drifting, tmp_path)
    with contextlib.closing(studio), served(studio) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(PATIENCE)
        page.goto(address, wait_until="commit")
        notes = tmp_path / "notes.mp4"
        notes.write_text("dear diary")
        page.locator("#file").set_input_files(notes)
        page.locator("#message", has_text="notes.mp4").wait_for()
        page.locator("#file").set_input_files(EXAMPLES / "rabbit.mp4")
        page.wait_for_function(
            "() => osmnStudio.state.frames === 60 && osmnStudio.shown"
        )
        rabbit = read_mask(EXAMPLES / "rabbit.png") > 0
        rows, columns = np.nonzero(rabbit)
        page.keyboard.press("c")
        page.locator("#message", has_text="osmn_recurrent[click]").wait_for()
        page.keyboard.press("x")
        box = page.locator("#canvas").bounding_box()
        scale = box["width"] / SIZE[1]
        corners = (
            (columns.min() - 4, rows.min() - 4),
            (columns.max() + 4, rows.max() + 4),
        )
        (left, top), (right, bottom) = np.array(corners) * scale
        page.mouse.move(box["x"] + left, box["y"] + top)
        page.mouse.down()
        page.mouse.move(box["x"] + right, box["y"] + bottom, steps=5)
        page.mouse.up()
        page.wait_for_function("() => osmnStudio.state.painted.length === 1")
        page.wait_for_function("() => osmnStudio.shown === '0 1'")
        take_picture(page, "studio_box")
        found = Project.open(tmp_path / "rabbit").read("painted", 0) == 1
        assert (found & rabbit).sum() > 0.6 * (found | rabbit).sum()
        deadline = time.monotonic() + 60
        while not page.evaluate("osmnStudio.state.can_undo"):
            assert time.monotonic() < deadline


def test_camera(browser, tmp_path):
    """A frame is frozen, those after it are kept, and all of them get masks."""

    def frames():
        for frame in itertools.cycle(open_clip(EXAMPLES / "rabbit.mp4", []).frames()):
            yield frame
            time.sleep(0.05)

    studio = Studio(Drifting, tmp_path)
    studio.watch(frames(), "camera0")
    with contextlib.closing(studio), served(studio) as address:
        window = Window(browser, address, "osmnStudio.shown === 'live false'")
        window.press("freeze")
        window.until("osmnStudio.shown === 'live true'")
        window.until("osmnStudio.state.live.count >= 5")
        window.press("stop_watching")
        window.until("osmnStudio.state.frames >= 5 && osmnStudio.shown === '0 0'")
        window.draw((186, 130))
        window.press("propagate")
        window.until("osmnStudio.state.done === osmnStudio.state.frames")
        assert window.errors == []
    project = Project.open(tmp_path / "camera0")
    assert project.done == len(project.clip) and project.read("masks", 4).any()


def test_the_command_to_its_first_mask(browser, tmp_path):
    """From the command line to a propagated mask; Ctrl-C ends it."""
    began = time.monotonic()
    command = [sys.executable, "-m", "osmn_recurrent.cli.main", "studio"]
    process = subprocess.Popen(
        [*command, str(EXAMPLES / "rabbit.mp4"), "--port=0", "--nobrowser"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
        window = Window(browser, address)
        opened = time.monotonic() - began
        window.page.locator("#radius").fill("60")
        window.draw((186, 130))
        window.press("propagate")
        window.until("osmnStudio.state.done >= 2")
        masked = time.monotonic() - began
        print(f"page after {opened:.1f} s, first propagated mask after {masked:.1f} s")
        assert read_mask(tmp_path / "runs/studio/rabbit/masks/00001.png").any()
        assert window.errors == []
    finally:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "runs/studio/rabbit" in said
