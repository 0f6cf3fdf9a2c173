"""What gestures do to masks."""

import sys
import types

import numpy as np
import pytest

from osmn_recurrent.errors import InputError
from osmn_recurrent.studio import tools


@pytest.fixture
def picture():
    """A bright textured ellipse on a dark ground, and where it is."""
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[:120, :160]
    inside = ((rows - 60) / 30) ** 2 + ((columns - 80) / 45) ** 2 <= 1
    frame = rng.integers(0, 60, (120, 160, 3))
    frame[inside] = rng.integers(180, 255, (inside.sum(), 3))
    return frame.astype(np.uint8), inside


def overlap(first, second):
    return (first & second).sum() / (first | second).sum()


@pytest.mark.parametrize("scale", [1, 5])
def test_box_and_scribble_are_completed(picture, scale):
    frame, inside = (
        np.kron(a, np.ones((scale, scale) + (1,) * (a.ndim - 2), a.dtype))
        for a in picture
    )
    size = frame.shape[:2]
    corners = np.array([(28, 24), (132, 24), (132, 96), (28, 96)]) * scale
    found = tools.complete(frame, tools.outline(size, corners), box=True)
    assert overlap(found, inside) > 0.95
    again = tools.complete(frame, tools.outline(size, corners), box=True)
    assert np.array_equal(found, again)
    drawn = tools.disc(
        size, [(60 * scale, 60 * scale), (100 * scale, 60 * scale)], 4 * scale
    )
    assert overlap(tools.complete(frame, drawn), inside) > 0.9


def test_marks_that_say_nothing(picture):
    frame, _ = picture
    for region, box in (
        (np.zeros((120, 160), bool), True),
        (np.zeros((120, 160), bool), False),
        (np.ones((120, 160), bool), True),
    ):
        with pytest.raises(InputError, match="too little"):
            tools.complete(frame, region, box=box)


def test_disc_is_round_and_joined():
    one = tools.disc((40, 60), [(20, 15)], 6)
    rows, columns = np.ogrid[:40, :60]
    assert np.array_equal(one, (columns - 20) ** 2 + (rows - 15) ** 2 <= 36)
    line = tools.disc((40, 60), [(10, 20), (50, 20)], 2)
    assert line[18:23, 10:51].all() and not line[:18].any() and not line[23:].any()
    assert tools.disc((40, 60), [(-50, -50)], 3).sum() == 0


def test_painting_erasing_and_dropping():
    base = np.zeros((10, 10), np.uint8)
    base[:5], base[5:] = 1, 2
    nothing = tools.Said(np.zeros_like(base))
    region = np.zeros((10, 10), bool)
    region[4:6] = True
    painted = tools.paint(nothing, base, region, 1)
    expected = base.copy()
    expected[5] = 1
    assert np.array_equal(painted.shown(base), expected)
    gone = tools.erase(painted, base, np.ones((10, 10), bool), 1)
    assert gone.dropped == {1} and not (gone.shown(base) == 1).any()
    back = tools.paint(gone, base, region, 1)
    assert back.dropped == frozenset()
    assert np.array_equal(back.shown(base) == 1, region)
    dropped = tools.drop(painted, 2)
    assert set(np.unique(dropped.shown(base))) == {0, 1}


def test_too_small():
    ids = np.zeros((480, 854), np.uint8)
    ids[:10, :10], ids[100:200, 100:200] = 1, 2
    assert list(tools.too_small(ids, (240, 427))) == [1]


class TestClick:
    """One click, with a stand-in for the package and its weights."""

    @pytest.fixture
    def osam(self, monkeypatch):
        apis, kinds = types.SimpleNamespace(), types.SimpleNamespace()
        apis.get_model_type_by_name = lambda name: types.SimpleNamespace(
            get_size=lambda: apis.size
        )
        kinds.Prompt = kinds.GenerateRequest = types.SimpleNamespace
        apis.size, apis.found = 10, []

        def generate(request):
            apis.asked = request
            return types.SimpleNamespace(annotations=apis.found)

        apis.generate = generate
        package = types.SimpleNamespace(apis=apis, types=kinds)
        monkeypatch.setitem(sys.modules, "osam", package)
        monkeypatch.setattr(tools, "find_spec", lambda name: package)
        return apis

    def test_the_region_around_the_point(self, osam):
        box = types.SimpleNamespace(xmin=3, ymin=2, xmax=5, ymax=3)
        mask = np.array([[True, True, False], [False, True, True]])
        osam.found = [types.SimpleNamespace(bounding_box=box, mask=mask)]
        assert tools.click_missing() is None
        region = tools.click(np.zeros((8, 9, 3), np.uint8), (4, 2))
        expected = np.zeros((8, 9), bool)
        expected[2:4, 3:6] = mask
        assert np.array_equal(region, expected)
        assert osam.asked.model == "efficientsam"
        assert osam.asked.prompt.points.tolist() == [[4, 2]]

    def test_nothing_there(self, osam):
        with pytest.raises(InputError, match="no object was found"):
            tools.click(np.zeros((8, 9, 3), np.uint8), (4, 2))

    def test_no_weights(self, osam):
        osam.size = None
        with pytest.raises(InputError, match="osam pull efficientsam"):
            tools.click(np.zeros((8, 9, 3), np.uint8), (4, 2))

    def test_no_package(self, monkeypatch):
        monkeypatch.setattr(tools, "find_spec", lambda name: None)
        with pytest.raises(InputError, match=r"osmn_recurrent\[click\]"):
            tools.click(np.zeros((8, 9, 3), np.uint8), (4, 2))
