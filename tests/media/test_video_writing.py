"""Videos that are written: streams, pixel formats, times and sound, read by FFmpeg."""

import json
import shutil
import subprocess

import av
import drawn_videos as make
import numpy as np
import pytest

from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.video_exports import KeyedVideo, MatteVideo, keyed
from osmn_recurrent.media.video_writing import GIF_WIDTH, KINDS, VideoWriter
from osmn_recurrent.media.videos import open_video

CODECS = {  # kind: codec, pixel format as FFmpeg reads it
    "h264": ("h264", "yuv420p"),
    "vp9": ("vp9", "yuv420p"),
    "vp9-alpha": ("vp9", "yuv420p"),  # alpha is a stream beside it
    "prores": ("prores", "yuva444p12le"),
    "gif": ("gif", "bgra"),
}
UNEVEN = [0, 40, 120, 130, 330, 370, 500]  # ms
SIZE = (64, 96)


@pytest.fixture
def source(tmp_path):
    """A video of uneven times whose sound is a beep from 100 ms to 200 ms on."""
    samples = np.zeros(26400, np.int16)
    samples[4800:9600] = 20000 * np.sin(np.arange(4800) * 0.3)
    frames = [make.scene(t) for t in range(7)]
    path = make.write_av(
        tmp_path / "source.mp4", frames, UNEVEN, "libx264", sound=samples
    )
    return open_video(path)


def box(index):
    """(H, W) bool, where `make.scene` has its box."""
    mask = np.zeros(SIZE, bool)
    mask[12:32, 10 + 3 * index : 34 + 3 * index] = True
    return mask


def write(path, kind, source, frames=None):
    times = {"times": source.times, "end": source.end, "sound_of": source}
    with VideoWriter(path, SIZE, kind, **times) as video:
        for t in range(len(source)):
            frame = make.scene(t) if frames is None else frames[t]
            if KINDS[kind].alpha and frame.shape[2] == 3:
                frame = np.dstack([frame, 255 * box(t)]).astype(np.uint8)
            video.write(frame)
    return path


def alpha_planes(path):
    """list of (H, W) opacity of a video, whatever its depth, 0 to 1."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = stream.codec_context
        if decoder.name == "vp9":  # FFmpeg's own decoder knows no alpha
            decoder = av.CodecContext.create("libvpx-vp9", "r")
            decoder.extradata = stream.codec_context.extradata
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                found.append(frame.to_ndarray(format="rgba")[..., 3] / 255)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_streams_times_and_sound(tmp_path, source, kind):
    path = write(tmp_path / f"out{KINDS[kind].suffix}", kind, source)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == CODECS[kind]
        assert (stream.width, stream.height) == SIZE[::-1]
        assert len(container.streams.audio) == (0 if kind == "gif" else 1)
        times = [float(frame.time) for frame in container.decode(stream)]
    given = np.array(source.times)
    if kind == "gif":  # 130 ms is 10 ms after 120 ms: left out
        given = given[[0, 1, 2, 4, 5, 6]]
    assert len(times) == len(given)
    frame_duration = np.diff(source.times).min()
    assert np.abs(np.array(times) - times[0] - given).max() < frame_duration / 2 + 0.002
    written = open_video(path)
    assert written.end == pytest.approx(source.end, abs=0.15)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gif"])
def test_sound_stays_in_step(tmp_path, source, kind):
    """The beep is where it was, after decoding, and nothing follows the picture."""
    path = write(tmp_path / f"out{KINDS[kind].suffix}", kind, source)
    loud, last = [], 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            values = np.abs(frame.to_ndarray().astype(float))
            values /= 32768 if values.max() > 2 else 1
            places = np.flatnonzero(values.max(0) > 0.2)
            loud += [frame.time + k / frame.sample_rate for k in places]
            last = frame.time + frame.samples / frame.sample_rate
    assert min(loud) == pytest.approx(0.1, abs=0.03)
    assert max(loud) == pytest.approx(0.2, abs=0.03)
    assert last <= source.end + 0.1


@pytest.mark.parametrize("kind", ["vp9-alpha", "prores"])
def test_alpha_is_read_back(tmp_path, source, kind):
    path = write(tmp_path / f"out{KINDS[kind].suffix}", kind, source)
    found = alpha_planes(path)
    assert len(found) == len(source)
    for t, alpha in enumerate(found):
        assert np.abs(alpha - box(t)).mean() < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_odd_sizes(tmp_path, kind):
    """Padded by the last row and column where the codec wants even lengths."""
    channels = 4 if KINDS[kind].alpha else 3
    frame = np.full((33, 47, channels), 255, np.uint8)
    path = tmp_path / f"odd{KINDS[kind].suffix}"
    with VideoWriter(path, (33, 47), kind, fps=10) as video:
        for _ in range(3):
            video.write(frame)
    found = list(open_video(path).frames())
    assert len(found) == 3
    assert found[0].shape[:2] == ((34, 48) if KINDS[kind].even else (33, 47))
    assert found[-1].min() > 240


def test_frames_faster_than_a_gif_shows_them(tmp_path):
    with VideoWriter(tmp_path / "fast.gif", SIZE, "gif", fps=100) as video:
        for t in range(10):
            video.write(make.scene(t))
    written = open_video(tmp_path / "fast.gif")
    assert len(written) == 5
    assert written.times == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08])


def test_wide_gifs_are_scaled_down(tmp_path):
    with VideoWriter(tmp_path / "wide.gif", (100, 1000), "gif", fps=5) as video:
        video.write(np.full((100, 1000, 3), 90, np.uint8))
    assert open_video(tmp_path / "wide.gif").size == (48, GIF_WIDTH)


def test_a_matte_is_black_and_white(tmp_path):
    with MatteVideo(tmp_path / "matte.mp4", SIZE, fps=10) as video:
        for t in range(4):
            video.write(make.scene(t), 3 * box(t).astype(np.uint8))
    for t, frame in enumerate(open_video(tmp_path / "matte.mp4").frames()):
        assert ((frame[..., 0] > 127) == box(t)).mean() > 0.98
        assert frame[box(t)].mean() > 245 and frame[~box(t)].mean() < 10


def test_keyed_frames_keep_colours_around_the_object(tmp_path):
    frame = make.scene(0)
    found = keyed(frame, (255 * box(0)).astype(np.uint8))
    np.testing.assert_array_equal(found[..., 3] == 255, box(0))
    near, far = found[12 - 8, 20], found[12 - 9, 20]
    assert near.tolist() == [*frame[4, 20], 0] and far.tolist() == [0, 0, 0, 0]
    soft = np.zeros(SIZE, np.uint8)
    soft[20, 40] = 90
    with KeyedVideo(tmp_path / "soft.mov", SIZE, "prores", fps=10) as video:
        video.write(frame, 0 * soft, soft)
    (alpha,) = alpha_planes(tmp_path / "soft.mov")
    assert alpha[20, 40] == pytest.approx(90 / 255, abs=0.02)
    assert alpha.sum() == pytest.approx(90 / 255, abs=0.02)


def test_what_cannot_be_written_is_said_first(tmp_path):
    with pytest.raises(InputError, match=r"ending '.avi', expected .mp4 for h264"):
        VideoWriter(tmp_path / "a.avi", SIZE, "h264", fps=10)
    with pytest.raises(InputError, match="0 is not a frame rate"):
        VideoWriter(tmp_path / "a.mp4", SIZE, "h264", fps=0)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")
@pytest.mark.parametrize("kind", ["h264", "prores"])
def test_ffprobe_agrees(tmp_path, source, kind):
    path = write(tmp_path / f"out{KINDS[kind].suffix}", kind, source)
    command = "ffprobe -v error -count_frames -show_streams -show_format -of json"
    said = subprocess.run(
        [*command.split(), str(path)], check=True, capture_output=True, text=True
    )
    assert not said.stderr
    report = json.loads(said.stdout)
    video, sound = sorted(report["streams"], key=lambda each: each["codec_type"])[::-1]
    assert video["codec_name"] == CODECS[kind][0]
    assert video["pix_fmt"] in (CODECS[kind][1], "yuva444p10le")
    assert int(video["nb_read_frames"]) == len(source)
    assert float(video["duration"]) == pytest.approx(source.end, abs=0.01)
    assert float(sound["duration"]) == pytest.approx(source.end, abs=0.05)
    assert float(report["format"]["duration"]) == pytest.approx(source.end, abs=0.05)
