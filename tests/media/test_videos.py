"""Video files through FFmpeg: OpenCV's frames, upright, with their times."""

import functools
import http.server
import pathlib
import re
import threading
import warnings

import drawn_videos as make
import numpy as np
import pytest

import osmn_recurrent
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.media import videos
from osmn_recurrent.media.videos import address_frames, is_address, open_video

UNEVEN = [0, 37, 91, 203, 251, 700, 733, 1290]


def frames(count=8, size=(64, 96)):
    return [make.scene(index, size) for index in range(count)]


@pytest.mark.parametrize("suffix", make.CODECS)
def test_frames_are_those_of_opencv(tmp_path, suffix):
    path = make.write_cv(tmp_path / f"clip.{suffix}", frames(20))
    video = open_video(path)
    assert len(video) == 20 and video.size == (64, 96) and video.aspect == 1.0
    np.testing.assert_allclose(video.times, np.arange(20) / 12, atol=0.001)
    assert video.end == pytest.approx(20 / 12, abs=0.001)
    expected = make.decoded_by_opencv(path)
    for start in (0, 17):
        found = list(video.frames(start))
        np.testing.assert_array_equal(found, expected[start:])


def test_frames_of_the_example_are_those_of_opencv():
    path = pathlib.Path(osmn_recurrent.__file__).parent / "examples" / "rabbit.mp4"
    for ours, theirs in zip(
        open_video(path).frames(), make.decoded_by_opencv(path), strict=True
    ):
        assert np.abs(ours.astype(int) - theirs).max() <= 2


MATRICES = {
    "as stored": ((1, 0, 0, 1), lambda x: x),
    "to the right": ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
    "upside down": ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
    "to the left": ((0, -1, 1, 0), np.rot90),
    "mirrored": ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
    "mirrored and upside down": ((1, 0, 0, -1), lambda x: x[::-1]),
    "along the diagonal": ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1)),
}


@pytest.mark.parametrize("case", MATRICES)
def test_frames_are_upright(tmp_path, case):
    matrix, expected = MATRICES[case]
    plain = make.write_cv(tmp_path / "plain.mp4", frames(3))
    path = tmp_path / "turned.mp4"
    path.write_bytes(make.turned(plain.read_bytes(), matrix))
    video = open_video(path)
    found = list(video.frames())
    assert video.size == found[0].shape[:2]
    for ours, before in zip(found, open_video(plain).frames(), strict=True):
        np.testing.assert_array_equal(ours, expected(before))


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [
        ("mkv", "libx265", "yuv420p10le"),
        ("mov", "prores_ks", "yuva444p10le"),
        ("webm", "libvpx-vp9", "yuva420p"),
        ("mkv", "ffv1", "gbrp16le"),
    ],
)
def test_ten_bits_and_alpha(tmp_path, suffix, codec, pixel_format):
    drawn = frames(4)
    path = make.write_av(
        tmp_path / f"deep.{suffix}", drawn, [0, 40, 80, 120], codec, pixel_format
    )
    found = list(open_video(path).frames())
    for ours, before in zip(found, drawn, strict=True):
        assert ours.dtype == np.uint8
        assert np.abs(ours.astype(int) - before).mean() < 6


def test_uneven_time_stamps(tmp_path):
    path = make.write_av(tmp_path / "vfr.mkv", frames(), UNEVEN, "mjpeg", "yuvj420p")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        video = open_video(path)
    np.testing.assert_allclose(video.times, np.array(UNEVEN) / 1000, atol=0.001)
    assert video.end > video.times[-1]


@pytest.mark.parametrize(
    ("scale", "rate", "fps"),
    [(1, 30000, 24), (0, 0, 25), (60, 1, 1 / 60), (1, 240, 240)],
)
def test_absurd_rates(tmp_path, scale, rate, fps):
    """A container without time stamps: what it states, if that makes sense."""
    plain = make.write_cv(tmp_path / "plain.avi", frames())
    path = tmp_path / "rate.avi"
    path.write_bytes(make.with_rate(plain.read_bytes(), scale, rate))
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        video = open_video(path)
    assert video.end == pytest.approx(8 / fps, rel=1e-3)
    assert [n.category for n in notes] == [InputNote] * (rate == 30000)


def test_a_damaged_frame_is_left_out_and_told(tmp_path):
    times = [100 * t for t in range(8)]
    path = make.write_av(tmp_path / "a.mkv", frames(), times, "mjpeg", "yuvj420p")
    content = bytearray(path.read_bytes())
    starts = [i for i in range(len(content)) if content[i : i + 3] == b"\xff\xd8\xff"]
    content[starts[3] : starts[4] - 40] = b"U" * (starts[4] - 40 - starts[3])
    path.write_bytes(content)
    with pytest.warns(
        InputNote, match=r"1 frame of .*a.mkv cannot .*at 0.30 s.* the 7 that"
    ):
        video = open_video(path)
    np.testing.assert_allclose(video.times, np.array([*times[:3], *times[4:]]) / 1000)
    reds = [(frame[..., 0] > 150).any(0).argmax() for frame in video.frames()]
    np.testing.assert_allclose(reds, [10 + 3 * t for t in range(8) if t != 3], atol=1)


def test_a_video_that_is_cut_off(tmp_path):
    whole = make.write_cv(tmp_path / "whole.avi", frames(50)).read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(whole[: int(0.7 * len(whole))])
    with pytest.warns(InputNote, match=r"cut.avi states 50 frames but only \d\d can"):
        video = open_video(path)
    assert 15 < len(video) < 45
    assert len(list(video.frames())) == len(video)


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_a_video_that_states_a_length_but_no_number_of_frames(tmp_path, suffix):
    """Cut between two frames: nothing is damaged."""
    kind = {"codec": "mjpeg", "pixel_format": "yuvj420p"}
    kind["sound"] = np.zeros(5 * 48000, np.int16)
    if suffix == "webm":
        kind = {"codec": "libvpx"}
    times = [40 * t for t in range(30)]
    whole = make.write_av(tmp_path / f"a.{suffix}", frames(30), times, **kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # sound may be longer than the picture
        assert len(open_video(whole)) == 30
    path = tmp_path / f"cut.{suffix}"
    content = whole.read_bytes()
    path.write_bytes(content[: int(0.7 * len(content))])
    with pytest.warns(InputNote, match=rf"cut.{suffix} ends early: \d+ can be decoded"):
        video = open_video(path)
    assert len(video) < 30


def test_a_video_that_changes_after_opening_is_named(tmp_path):
    path = make.write_cv(tmp_path / "clip.avi", frames(20))
    video = open_video(path)
    make.write_cv(path, frames(8))
    with pytest.raises(InputError, match="now ends after 8 of 20 frames"):
        list(video.frames())


@pytest.mark.parametrize("content", [b"", b"no video\n" * 50, bytes(5000), b"#EXTM3U"])
@pytest.mark.parametrize("suffix", ["mp4", "avi", "txt", "m3u8", "srt"])
def test_files_that_are_no_video_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"bad.{suffix}"):
        open_video(path)


def test_names_that_look_like_protocols(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make.write_cv(tmp_path / "clip.avi", frames(3)).rename("http:clip %03d.avi")
    assert len(open_video(pathlib.Path("http:clip %03d.avi"))) == 3


def test_frames_of_two_sizes_are_refused(tmp_path):
    first = make.write_av(
        tmp_path / "a.mjpeg", frames(3), [0, 40, 80], "mjpeg", "yuvj420p"
    )
    small = frames(2, (48, 64))
    second = make.write_av(tmp_path / "b.mjpeg", small, [0, 40], "mjpeg", "yuvj420p")
    path = tmp_path / "both.mjpeg"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(InputError, match=r"frame 3 of .*both.mjpeg is 64x48.*96x64"):
        open_video(path)


# Addresses.


@pytest.fixture
def server(tmp_path):
    """`(folder, address of it)` of a web server on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_frames_of_an_address_are_those_of_the_file(server):
    folder, address = server
    path = make.write_cv(folder / "a.avi", [make.scene(t) for t in range(5)])
    found = list(address_frames(f"{address}/a.avi"))
    np.testing.assert_array_equal(found, list(open_video(path).frames()))


def test_bad_addresses_are_one_sentence(server, monkeypatch):
    folder, address = server
    (folder / "text.mp4").write_text("no video")
    (folder / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n"
        "#EXT-X-ENDLIST\n"
    )
    monkeypatch.setattr(videos, "PATIENCE", 2.0)
    for bad in (
        f"{address}/none.mp4",
        f"{address}/text.mp4",
        f"{address}/list.m3u8",
        "http://127.0.0.1:1/a.mp4",
        "rtsp://127.0.0.1:1/a",
        "https://127.0.0.1:1/a",
    ):
        with pytest.raises(InputError, match=re.escape(bad)) as error:
            next(address_frames(bad))
        assert "\n" not in str(error.value)
    assert is_address("RTSP://camera/1") and not is_address("clips/http/a.mp4")
