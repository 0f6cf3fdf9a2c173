"""Reading video files through FFmpeg (PyAV): upright frames and their times."""

import contextlib
import dataclasses
import os
import pathlib
import re
import warnings

import av
import numpy as np
from tqdm import tqdm

from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.image_files import check_size
from osmn_recurrent.media import DEFAULT_FPS

FASTEST = 1000.0
"""Frames per second above which a stated rate is taken for nonsense."""

_NO_VIDEOS = {"tty", "image2", "lrc", "subviewer", "subviewer1", "srt", "webvtt"}
"""Formats that FFmpeg makes of texts and single pictures."""

_ADDRESSES = ("rtsp://", "rtsps://", "https://", "http://")

_NETWORK = "rtsp,rtp,srtp,udp,tcp,tls,https,http,httpproxy,crypto,data"
"""Protocols that an address may lead to: none that reads files."""

PATIENCE = 10.0
"""Seconds without an answer after which an address is given up."""

_LONGEST = 1e6
"""Seconds; a longer stated length is nonsense, such as a live recording's."""

_CLOCK = re.compile(r"\d+:\d\d:\d\d(\.\d+)?")

_UPRIGHT = (False, False, False)


@dataclasses.dataclass(frozen=True)
class VideoFile:
    """A video file that was gone through once.

    Attributes:
        path: the file.
        size: (height, width) of its upright frames, as stored: `aspect` says how
            wide players show a pixel.
        times: seconds at which each frame is shown, from 0.0 on, ascending.
        end: seconds at which the last frame ends.
        aspect: width of a pixel by its height, 1.0 if square.
        start: seconds of the first frame on the file's own clock, which sound has.
    """

    path: pathlib.Path
    size: tuple
    times: tuple
    end: float
    aspect: float = 1.0
    start: float = 0.0

    def __len__(self):
        return len(self.times)

    def frames(self, start=0):
        """Iterates over the frames from `start` on, (H, W, 3) uint8 RGB.

        All frames before are decoded too: seeking is not exact in many containers.

        Raises:
            InputError: the file has changed since it was opened.
        """
        index = 0
        with _opened(self.path) as (container, stream):
            for frame in _decoded(container, stream, []):
                if index == len(self):
                    break
                if index >= start:
                    yield _rgb(frame)
                index += 1
        if index < len(self):
            raise InputError(
                f"{self.path} now ends after {index} of {len(self)} frames; it must "
                "not change while it is read."
            )


def open_video(path):
    """Goes through a video file once: counts its frames and notes their times.

    Frames that cannot be decoded are left out, and an `InputNote` says so.

    Args:
        path: any container and codec that FFmpeg reads.

    Returns:
        `VideoFile`.

    Raises:
        InputError: no such file, no video, no frame that decodes, or frames of
            different sizes.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such video file or folder of frames.")
    stamps, lost, size, pixel = [], [], None, None
    with _opened(path) as (container, stream):
        # Containers may state no length, or a nonsensical one.
        stated, rate = max(stream.frames, 0), _stated_rate(stream)
        length = _stated_length(container, stream)
        progress = tqdm(
            total=stated or None,
            desc=f"counting frames of {path.name}",
            unit="frame",
            leave=False,
        )
        with progress:
            for frame in _decoded(container, stream, lost):
                if size is None:
                    size = (frame.height, frame.width)
                    turn = _turn(frame)
                    pixel = stream.sample_aspect_ratio
                elif (frame.height, frame.width) != size:
                    raise InputError(
                        f"frame {len(stamps)} of {path} is {frame.width}x"
                        f"{frame.height}, the first {size[1]}x{size[0]}; re-encode it "
                        "to one size."
                    )
                stamps.append(frame.time)
                progress.update()
    if not stamps:
        raise InputError(
            f"{path}: no frame can be decoded; re-encode it, or give a folder of "
            "frames."
        )
    times, end = _times(path, stamps, rate)
    if not stated and _ends_early(length, times, end, stamps[0] or 0.0):
        lost.append(None)
    _note_lost(path, len(stamps), stated, lost, stamps[0] or 0.0)
    aspect = float(pixel) if pixel else 1.0
    if turn[0]:
        size, aspect = size[::-1], 1.0 / aspect
    return VideoFile(path, size, times, end, aspect, float(stamps[0] or 0.0))


def is_address(video):
    """Whether a `--video` is an address of the network."""
    return str(video).lower().startswith(_ADDRESSES)


def address_frames(address):
    """Frames of an address, as they come.

    Args:
        address: URL of `_ADDRESSES`: a camera's stream, or a video file.

    Yields:
        (H, W, 3) uint8 RGB, upright.

    Raises:
        InputError: nothing answers there within `PATIENCE` seconds, or it gives no
            video; later, frames of another size.
    """
    size, count, lost = None, 0, []
    with _opened(address) as (container, stream):
        for frame in _decoded(container, stream, lost):
            size = size or (frame.height, frame.width)
            if (frame.height, frame.width) != size:
                raise InputError(
                    f"{address} now gives frames of {frame.width}x{frame.height}, the "
                    f"first was {size[1]}x{size[0]}; start again from here."
                )
            count += 1
            yield _rgb(frame)
    if not count:
        raise InputError(
            f"{address} gives no frame that can be decoded; check the address."
        )
    if None in lost:
        warnings.warn(
            f"{address} was interrupted after {count} frames.", InputNote, stacklevel=2
        )


@contextlib.contextmanager
def _opened(path):
    """`(container, video stream)` of a file or an address."""
    container = None
    try:
        if is_address(path):
            container = av.open(
                str(path),
                options={"protocol_whitelist": _NETWORK},
                timeout=PATIENCE,
            )
        else:  # an absolute path, since "name:" would be taken for a protocol
            container = av.open(
                os.path.abspath(path),
                options={"protocol_whitelist": "file,crypto,data"},
            )
        stream = container.streams.best("video")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if container is not None:
            container.close()
        expected = (
            "a file that FFmpeg decodes (mp4, avi, mov, webm ...), re-encode it or "
            "give a folder of frames"
        )
        if is_address(path):
            expected = "a stream or a video file, check the address and the network"
        raise InputError(
            f"{path} cannot be opened as a video ({_reason(error)}); expected "
            f"{expected}."
        ) from None
    with container:
        kinds = set(container.format.name.split(","))
        if stream is None or stream.codec_context is None or kinds & _NO_VIDEOS:
            raise InputError(
                f"{path} holds no video that can be decoded; give another file, or a "
                "folder of frames."
            )
        check_size(path, stream.codec_context.width, stream.codec_context.height)
        stream.thread_type = "AUTO"
        yield container, stream


def _reason(error):
    return str(getattr(error, "strerror", None) or error)


def _decoded(container, stream, lost):
    """Iterates over all frames that decode; the times of others go to `lost`.

    A damaged packet does not end it, and neither does damage to the container.
    """
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError):
            lost.append(None)
            packet = av.Packet()  # empties the decoder
            packet.stream = stream
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, OSError):
            lost.append(_seconds(packet))
            frames = []
        yield from frames
        if lost and lost[-1] is None:
            return


def _seconds(packet):
    stamp = packet.pts if packet.pts is not None else packet.dts
    return -1.0 if stamp is None else float(stamp * packet.time_base)


def _turn(frame):
    """How a frame is brought upright: (swap axes, flip columns, flip rows).

    From its display matrix, whose entries a, b, c, d move the pixel at (x, y) to
    (a x + c y, b x + d y).
    """
    for each in frame.side_data:
        if each.type.name == "DISPLAYMATRIX":
            matrix = np.frombuffer(bytes(each), np.int32)
            a, b, _, c, d = matrix[:5].astype(float) / 65536.0
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return False, a < 0, d < 0
            return True, c < 0, b < 0
    return _UPRIGHT


def _rgb(frame):
    """(H, W, 3) uint8 RGB of a decoded frame, upright."""
    pixels = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
    swap, columns, rows = turn = _turn(frame)
    if turn == _UPRIGHT:
        return pixels
    pixels = pixels.swapaxes(0, 1) if swap else pixels
    pixels = pixels[:, ::-1] if columns else pixels
    return np.ascontiguousarray(pixels[::-1] if rows else pixels)


def _note_lost(path, count, stated, lost, start):
    """Says what cannot be decoded."""
    damaged = [each for each in lost if each is not None]
    if count + len(damaged) < stated or len(damaged) < len(lost):
        says = f"states {stated} frames but only" if count < stated else "ends early:"
        said = f"{path} {says} {count} can be decoded (is it cut off or damaged?)"
    elif damaged:
        at = f", the first at {damaged[0] - start:.2f} s" if damaged[0] >= 0 else ""
        frames = "1 frame" if len(damaged) == 1 else f"{len(damaged)} frames"
        said = f"{frames} of {path} cannot be decoded{at} (is it damaged?)"
    else:
        return
    warnings.warn(
        f"{said}; the clip is made of the {count} that can.", InputNote, stacklevel=2
    )


def _stated_rate(stream):
    """Frames per second that the container states, or None for nonsense."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < float(rate) <= FASTEST:
            return float(rate)
    return None


def _stated_length(container, stream):
    """Seconds that the container states for the video, or None.

    Matroska and WebM state no number of frames. Their length is the longest stream's,
    so that it says nothing of the video where there is sound.
    """
    text = stream.metadata.get("DURATION", "")
    if _CLOCK.fullmatch(text):
        hours, minutes, seconds = text.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _ends_early(length, times, end, start):
    """Whether a frame or more is missing before the stated length in seconds."""
    longest = max(np.diff([*times, end]))
    return length is not None and start + end + 0.75 * longest < length < _LONGEST


def _times(path, stamps, rate):
    """`(times from 0 on, end)` in seconds from the frames' time stamps.

    Where a stamp is missing or does not ascend, the usual distance takes its
    place. A file whose stamps make no sense at all plays at the rate that it
    states, or at `DEFAULT_FPS`.
    """
    values = np.array([np.nan if each is None else each for each in stamps], float)
    gaps = np.diff(values)
    good = gaps > 0  # false for nan too
    usual = float(np.median(gaps[good])) if good.any() else 1.0 / (rate or DEFAULT_FPS)
    gaps = np.where(good, gaps, usual)
    if len(gaps) and gaps.mean() * FASTEST < 1:
        usual = 1.0 / (rate or DEFAULT_FPS)
        gaps = np.full(len(gaps), usual)
        warnings.warn(
            f"the frames of {path} have no time stamps that make sense; they are "
            f"taken to follow at {1 / usual:g} a second.",
            InputNote,
            stacklevel=2,
        )
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    return tuple(times.tolist()), float(times[-1] + usual)
