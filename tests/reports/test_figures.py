"""Figures: what is drawn is what was given; embedding against distances."""

import cv2
import numpy as np
import pytest

from osmn_recurrent.inference.inspection import GateStatistics
from osmn_recurrent.reports import drawings
from osmn_recurrent.reports.embedding import classical_scaling


def distances(points):
    """(N, N) Euclidean distances."""
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_points_of_a_hidden_plane_are_found_again():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(30, 2)) * (3, 1)
    axes = np.linalg.qr(rng.normal(size=(50, 2)))[0]
    points, kept = classical_scaling(plane @ axes.T + 7)
    np.testing.assert_allclose(distances(points), distances(plane), atol=1e-9)
    assert kept == pytest.approx(1)
    assert points.mean(0) == pytest.approx([0, 0], abs=1e-9)
    assert points[:, 0].var() > points[:, 1].var()


def test_the_best_plane_keeps_the_largest_variances():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(40, 5)) * (5, 3, 1, 0.5, 0.1)
    points, kept = classical_scaling(vectors)
    values = np.linalg.svd(vectors - vectors.mean(0))[1] ** 2
    assert kept == pytest.approx(values[:2].sum() / values.sum())
    assert (points**2).sum(0) == pytest.approx(values[:2])


def test_equal_vectors_lie_in_one_point():
    points, kept = classical_scaling(np.ones((4, 9)))
    assert np.abs(points).max() == 0 and kept == 1.0


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, in order."""
    found, save = [], drawings.save

    def remember(figure, path):
        found.append(figure)
        save(figure, path)

    monkeypatch.setattr(drawings, "save", remember)
    return found


def picture(path):
    """A PNG that shows something, (H, W, 3)."""
    found = cv2.imread(str(path))
    assert found.std() > 5
    return found


def test_curves_over_time(drawn, tmp_path):
    ours = {"a": np.linspace(0.9, 0.1, 11), "b": np.full(11, 0.8)}
    published = {"a": np.linspace(0.9, 0.2, 11), "c": np.full(11, 0.3)}
    drawings.draw_over_time(tmp_path / "f.png", ours, published, "ten clips")
    picture(tmp_path / "f.png")
    lines = drawn[0].axes[0].lines
    labels = [line.get_label() for line in lines]
    assert labels == [
        "b, 80.0",
        "a, 50.0",
        "c (published), 30.0",
        "published, same method",
    ]
    for line, values in zip(
        lines, (ours["b"], ours["a"], published["c"], published["a"]), strict=True
    ):
        assert line.get_ydata() == pytest.approx(100 * values)
        assert line.get_xdata() == pytest.approx(np.linspace(0, 1, 11))


def test_every_value_is_in_its_histogram(drawn, tmp_path):
    rng = np.random.default_rng(0)
    layers = {f"conv{k}": rng.normal(k, 1, 100 * k) for k in range(1, 5)}
    drawings.draw_histograms(
        tmp_path / "f.png", layers, "x", "t", lambda x: f"{len(x)} values"
    )
    picture(tmp_path / "f.png")
    panels = [panel for panel in drawn[0].axes if panel.patches]
    assert len(panels) == 4
    for panel, (name, values) in zip(panels, layers.items(), strict=True):
        assert panel.get_title() == f"{name}: {len(values)} values"
        assert sum(bar.get_height() for bar in panel.patches) == len(values)


def test_thumbnails_lie_where_the_embedding_says(drawn, tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 20))
    pictures = rng.integers(0, 256, (6, 224, 224, 3), dtype=np.uint8)
    labels = ("a", "a", "b", "b", "c", "c")
    drawings.draw_embedding(tmp_path / "f.png", vectors, pictures, labels, "text")
    picture(tmp_path / "f.png")
    boxes = [x for x in drawn[0].axes[0].artists if hasattr(x, "xybox")]
    np.testing.assert_allclose([x.xy for x in boxes], classical_scaling(vectors)[0])
    colours = [tuple(x.patch.get_edgecolor()) for x in boxes]
    assert colours[::2] == colours[1::2] and len(set(colours)) == 3


def test_gates_over_the_frames(drawn, tmp_path):
    rows = np.random.default_rng(0).random((5, 7))
    layers = {"convlstm3": GateStatistics(*rows), "convlstm4": GateStatistics(*rows)}
    drawings.draw_gates(tmp_path / "f.png", layers, "text")
    picture(tmp_path / "f.png")
    for panel in drawn[0].axes:
        found = [line.get_ydata() for line in panel.lines]
        np.testing.assert_array_equal(found, rows)
        assert panel.lines[0].get_xdata().tolist() == list(range(1, 8))
