"""Overlays, videos, contact sheets and tables."""

import cv2
import numpy as np
import pytest

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.reports import overlays, text_tables


def scene(size=(48, 64)):
    """A random frame and ids with one object, void, and background."""
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    ids = np.zeros(size, np.uint8)
    ids[10:30, 10:40] = 2
    ids[40:, :5] = 255
    return frame, ids


def test_an_overlay_blends_objects_and_nothing_else():
    frame, ids = scene()
    result = overlays.overlay(frame, ids, opacity=0.25)
    np.testing.assert_array_equal(result[ids != 2], frame[ids != 2])
    colour = np.array(masks.davis_palette()[6:9])
    inside = (slice(11, 29), slice(11, 39))
    expected = 0.75 * frame[inside] + 0.25 * colour
    assert np.abs(result[inside] - expected).max() <= 0.5
    outline = ids == 2
    outline[inside] = False
    assert (result[outline] == 255).all()


def test_an_overlay_of_nothing_is_the_frame():
    frame, ids = scene()
    np.testing.assert_array_equal(overlays.overlay(frame, 0 * ids), frame)


@pytest.mark.parametrize("ending", [".webm", ".mp4"])
def test_a_video_has_all_frames_and_the_size(tmp_path, ending):
    frame, ids = scene()
    path = tmp_path / f"video{ending}"
    with overlays.OverlayVideo(path, (48, 64), fps=12.0) as video:
        for _ in range(7):
            video.write(frame, ids)
        assert not path.exists()
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.0, rel=0.01)
    shapes = []
    while True:
        good, picture = capture.read()
        if not good:
            break
        shapes.append(picture.shape)
    assert shapes == [(48, 64, 3)] * 7


def test_a_video_that_breaks_off_leaves_no_file(tmp_path):
    with (
        pytest.raises(RuntimeError),
        overlays.OverlayVideo(tmp_path / "video.webm", (48, 64), fps=12) as video,
    ):
        video.write(*scene())
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected one of .mp4, .webm, .gif"):
        overlays.OverlayVideo(tmp_path / "video.avi", (48, 64), fps=12)


def test_a_contact_sheet_shows_first_and_last_frames(tmp_path):
    frame, ids = scene()
    dark, bright = np.zeros_like(frame), np.full_like(frame, 200)
    frames = [dark, *[frame] * 8, bright]
    path = tmp_path / "sheet.png"
    rows = [("one\nJ 50.0", frames, [0 * ids] * 10)] * 2
    overlays.contact_sheet(path, rows, columns=3, width=128)
    sheet = cv2.imread(str(path))
    margin = overlays.MARGIN
    assert sheet.shape[1] == overlays.LABEL_WIDTH + 3 * (margin + 128)
    assert sheet.shape[0] == 2 * (96 + margin)
    first = sheet[30:90, overlays.LABEL_WIDTH + margin + 40 :][:, :60]
    assert (first == 0).all()
    assert (sheet[30:90, -100:-10] == 200).all()
    assert (sheet[:96, : overlays.LABEL_WIDTH] < 128).any()  # the label


ROWS = [
    {"method": "a", "J": 1.25, "s/frame": None, "n": 3},
    {"method": "longer", "J": 100.0, "s/frame": 0.1234, "n": 12},
]


def test_tables_as_text_and_markdown():
    assert text_tables.text_table(ROWS, {"J": 2, "s/frame": 3}).splitlines() == [
        "method       J  s/frame   n",
        "------  ------  -------  --",
        "a         1.25        -   3",
        "longer  100.00    0.123  12",
    ]
    assert text_tables.markdown_table(ROWS).splitlines() == [
        "| method | J | s/frame | n |",
        "| :-- | --: | --: | --: |",
        "| a | 1.2 | - | 3 |",
        "| longer | 100.0 | 0.1 | 12 |",
    ]


def test_tables_as_csv():
    assert text_tables.csv_table(ROWS).splitlines() == [
        "method,J,s/frame,n",
        "a,1.25,,3",
        "longer,100.0,0.1234,12",
    ]


def test_names_that_would_steer_a_terminal_or_part_a_row():
    rows = [{"a\x1b[2J": "x|y\x1b[31m"}]
    assert "\x1b" not in text_tables.text_table(rows)
    assert text_tables.markdown_table(rows).splitlines()[-1] == "| x\\|y\\x1b[31m |"
