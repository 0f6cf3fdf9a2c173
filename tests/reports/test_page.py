"""The page of results, as text and in a real browser."""

import base64
import html.parser
import io
import json
import re

import numpy as np
import pytest
from browser import Browser, find_browser
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.metrics import davis_scores
from osmn_recurrent.metrics.statistics import summarise
from osmn_recurrent.reports import html as page

LENGTH = 9


def page_clip(name, objects, seed, shift):
    """A `PageClip` of noise and boxes; "B" is `shift` pixels off, "A" one."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (LENGTH, 60, 100, 3), dtype=np.uint8)
    ids = np.zeros((LENGTH, 60, 100), np.uint8)
    for t in range(LENGTH):
        for i in objects:
            ids[t, 5 + t : 25 + t, 30 * i - 20 : 30 * i] = i
    ids[:, -3:] = masks.VOID
    predicted = {"A": np.roll(ids, 1, 2), "B": np.roll(ids, shift, 2)}
    scores = {}
    for method, found in predicted.items():
        scored = davis_scores.evaluate_masks(ids, found, objects)
        names = tuple(f"{t:05d}" for t in range(1, LENGTH - 1))
        scores[method] = {
            i: davis_scores.ObjectScores(each.j, each.f, names)
            for i, each in scored.items()
        }
    return page.PageClip(
        name,
        tuple(f"{t:05d}" for t in range(LENGTH)),
        frames.__getitem__,
        ids.__getitem__,
        {method: found.__getitem__ for method, found in predicted.items()},
        scores,
    )


@pytest.fixture(scope="module")
def clips():
    """Three clips, 10, 9 and 2 by name; "B" is best in the second."""
    return [
        page_clip("clip10", (1,), 0, 6),
        page_clip("clip9", (1, 2), 1, 0),
        page_clip("clip2", (2,), 2, 9),
    ]


@pytest.fixture(scope="module")
def written(clips, tmp_path_factory):
    """The page's file."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    rows = [
        {"method": m}
        | summarise({f"{c.name}{i}": s for c in clips for i, s in c.scores[m].items()})
        for m in "AB"
    ]
    page.write_page(path, "A <title>", "Text & more.", rows, clips)
    return path


class Tags(html.parser.HTMLParser):
    """Collects tags, and checks that they are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "input", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def decoded(uri):
    """A data URI as a picture."""
    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


def stored_data(text):
    """The data in a page's text."""
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(data[1])


@pytest.mark.parametrize("name", ["<!--<script>", "</script><b>", "a'\"&<", "\u2028"])
def test_names_cannot_end_or_extend_a_script(tmp_path, name):
    clip = page_clip(name, (1,), 0, 2)
    path = tmp_path / "page.html"
    page.write_page(path, name, name, [{"method": name, "J": 1.0}], [clip])
    text = path.read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert stored_data(text)["clips"][0]["name"] == name
    body = text.partition('id="data">')[2].partition("</script>")[0]
    assert "<" not in body
    assert [tag for tag, _ in tags.seen].count("script") == 2


def test_the_page_is_whole_and_self_contained(written, clips):
    text = written.read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert "A &lt;title&gt;" in text and "Text &amp; more." in text
    assert not re.search(
        r"(https?:)?//[a-z0-9-]+\.[a-z]", text.replace("http://www.w3.org", "")
    )
    data = stored_data(text)
    assert [each["name"] for each in data["clips"]] == ["clip10", "clip9", "clip2"]
    stored, clip = data["clips"][1], clips[1]
    for t in (0, 5):
        frame = np.asarray(decoded(stored["pictures"][t]).convert("RGB"), float)
        assert frame.shape == (60, 100, 3)
        mask = decoded(stored["masks"]["A"][t])
        assert mask.info["transparency"] in (0, b"\x00")
        ids = clip.predicted["A"](t)
        expected = np.where(ids == masks.VOID, 0, ids)
        np.testing.assert_array_equal(np.asarray(mask), expected)
    own = stored["scores"]["A"]["2"]
    assert own["at"] == list(range(1, LENGTH - 1))
    assert own["J"] == pytest.approx(clip.scores["A"][2].j.tolist(), abs=1e-4)


def test_pictures_are_reduced_alike():
    frame, ids = np.zeros((101, 203, 3), np.uint8), np.ones((101, 203), np.uint8)
    for width, size in ((64, (64, 32)), (320, (203, 101))):
        found = {decoded(page.frame_uri(frame, width)).size}
        found.add(decoded(page.mask_uri(ids, width)).size)
        assert found == {size}


def test_rows_of_objects(clips):
    rows = page.object_rows(clips)
    assert [(row["clip"], row["object"]) for row in rows] == [
        ("clip10", "1"),
        ("clip9", "1"),
        ("clip9", "2"),
        ("clip2", "2"),
    ]
    means = [100 * clips[2].scores[m][2].j.mean() for m in "AB"]
    assert rows[3]["A J"] == pytest.approx(means[0])
    assert rows[3]["B J over A"] == pytest.approx(means[1] - means[0])


@pytest.fixture(scope="module")
def browser(written, tmp_path_factory):
    """A browser that shows the page."""
    with Browser(find_browser(), tmp_path_factory.mktemp("profile")) as opened:
        opened.open(written.as_uri())
        yield opened


SOURCES = "[...document.querySelectorAll('#panels img')].map((each) => each.src)"


def set_input(browser, name, value, event):
    """Sets an input as a person does."""
    browser.value(
        f"document.getElementById('{name}').value = {json.dumps(value)};"
        f"document.getElementById('{name}').dispatchEvent(new Event('{event}'))"
    )


def column(browser, table, number):
    """The texts of a column, top to bottom."""
    return browser.value(
        f"[...document.querySelectorAll('#{table} tbody tr')]"
        f".map((row) => row.cells[{number}].textContent)"
    )


def click(browser, selector):
    """Clicks on the first element that fits."""
    browser.value(
        f"document.querySelector({json.dumps(selector)}).dispatchEvent("
        "new MouseEvent('click', {bubbles: true}))"
    )


def test_it_loads_without_errors_and_shows_pictures(browser):
    sizes = browser.value(
        "Promise.all([...document.images].map((each) => each.decode().then("
        "() => each.naturalWidth)))"
    )
    assert len(sizes) >= 6
    assert set(sizes) == {100}
    assert browser.value("document.querySelectorAll('polyline').length") == 2
    assert browser.errors == []


def test_the_slider_moves_the_picture(browser, written):
    data = browser.value("data.clips[0].pictures")
    set_input(browser, "clip", "clip10", "change")
    set_input(browser, "frame", 0, "input")
    before, seen = browser.value(SOURCES), browser.screenshot()
    set_input(browser, "frame", 6, "input")
    after = browser.value(SOURCES)
    assert [before[0], after[0]] == [data[0], data[6]]
    assert len(before) == len(after) == 6  # frame and mask: ground truth, A, B
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert browser.screenshot() != seen
    name = browser.value("document.getElementById('frame-name').textContent")
    assert name == "00006 (7 of 9)"
    captions = browser.value(
        "[...document.querySelectorAll('#panels figcaption')].map((e) => e.textContent)"
    )
    score = browser.value("data.clips[0].scores.B['1'].J[5]")
    assert f"J {100 * score:.1f}" in captions[2]
    cursor = browser.value(
        "Number(document.getElementById('cursor').getAttribute('x1'))"
    )
    assert cursor == pytest.approx(30 + 860 * 6 / 8)
    assert browser.errors == []


def test_the_columns_sort(browser, clips):
    click(browser, "#objects th:nth-child(5)")  # B J
    values = [float(text) for text in column(browser, "objects", 4)]
    assert values == sorted(values, reverse=True) and len(set(values)) > 1
    click(browser, "#objects th:nth-child(5)")
    assert [float(text) for text in column(browser, "objects", 4)] == values[::-1]
    click(browser, "#objects th:nth-child(1)")
    assert column(browser, "objects", 0) == ["clip2", "clip9", "clip9", "clip10"]
    order = browser.value(
        "document.querySelector('#objects th').getAttribute('aria-sort')"
    )
    assert order == "ascending"
    click(browser, "#methods th:nth-child(1)")
    click(browser, "#methods th:nth-child(1)")
    assert column(browser, "methods", 0) == ["B", "A"]
    assert browser.errors == []


def test_a_row_shows_its_clip_and_the_metric_changes_the_curves(browser):
    click(browser, "#objects tr[data-clip='clip9']")
    assert browser.value("document.getElementById('clip').value") == "clip9"
    points = "document.querySelector('polyline').getAttribute('points')"
    before = browser.value(points)
    set_input(browser, "metric", "F", "change")
    assert browser.value(points) != before
    set_input(browser, "metric", "J", "change")
    assert browser.value(points) == before
    assert browser.value("document.querySelectorAll('polyline').length") == 4
    assert browser.errors == []


@pytest.mark.parametrize("choice", [["own", "A"], ["own", "B"], ["over", "B"]])
def test_worst_frames_come_first(browser, clips, choice):
    kind, method = choice
    set_input(browser, "worst-of", json.dumps(choice, separators=(",", ":")), "change")
    values = browser.value(
        "[...document.querySelectorAll('#worst button')]"
        ".map((each) => Number(each.dataset.value))"
    )
    expected = []
    for clip in clips:
        for i, scores in clip.scores[method].items():
            own = scores.j - (clip.scores["A"][i].j if kind == "over" else 0)
            expected += sorted(own)[:3]
    assert values == pytest.approx(sorted(expected), abs=2e-4)
    click(browser, "#worst button")
    shown = browser.value("document.getElementById('clip').value")
    text = browser.value("document.querySelector('#worst figcaption').textContent")
    assert text.startswith(f"{shown} ")
    assert browser.errors == []
