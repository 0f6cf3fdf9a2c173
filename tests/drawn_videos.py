"""Small video files for tests, made with OpenCV, FFmpeg's own writer and by hand."""

import fractions
import struct

import av
import cv2
import numpy as np

CODECS = {"avi": "MJPG", "mp4": "mp4v", "webm": "VP80"}

MILLISECOND = fractions.Fraction(1, 1000)


def scene(index, size=(64, 96)):
    """(H, W, 3) uint8 RGB: a red box that moves to the right over green ground."""
    frame = np.zeros((*size, 3), np.uint8)
    frame[..., 1] = 90
    frame[12:32, 10 + 3 * index : 34 + 3 * index] = (220, 30, 30)
    return frame


def write_cv(path, frames, fps=12.0):
    """Writes RGB frames with OpenCV, by the ending's codec of `CODECS`."""
    height, width = frames[0].shape[:2]
    fourcc = cv2.VideoWriter_fourcc(*CODECS[path.suffix[1:]])
    writer = cv2.VideoWriter(str(path), fourcc, fps, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_av(path, frames, times, codec, pixel_format="yuv420p", sound=None):
    """Writes RGB frames at `times` (ms), and mono `sound` (16-bit, 48 kHz)."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = stream.time_base = MILLISECOND
        if sound is not None:
            speech = container.add_stream("aac", rate=48000, layout="mono")
            for start in range(0, len(sound), 1024):
                part = av.AudioFrame.from_ndarray(
                    sound[None, start : start + 1024], format="s16", layout="mono"
                )
                part.sample_rate, part.pts = 48000, start
                container.mux(speech.encode(part))
            container.mux(speech.encode(None))
        for frame, at in zip(frames, times, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = at, MILLISECOND
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def decoded_by_opencv(path):
    """list of (H, W, 3) uint8 RGB."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    capture.release()
    return frames


def turned(content, matrix):
    """An MP4's bytes with another display matrix (a, b, c, d) in its track header."""
    content = bytearray(content)
    at = content.index(b"tkhd") + 4
    at += 40 if content[at] == 0 else 52
    a, b, c, d = (round(value * 65536) for value in matrix)
    struct.pack_into(">9i", content, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return bytes(content)


def with_rate(content, scale, rate):
    """An AVI's bytes that state another frame rate, in both its places."""
    content = bytearray(content)
    microseconds = round(1e6 * scale / rate) if rate else 0
    struct.pack_into("<I", content, content.find(b"avih") + 8, microseconds)
    struct.pack_into("<II", content, content.find(b"strh") + 28, scale, rate)
    return bytes(content)
