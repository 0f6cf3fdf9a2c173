"""Writing video files through FFmpeg (PyAV), with the times and sound of a source."""

import contextlib
import dataclasses
import fractions
import pathlib

import av
import numpy as np

from osmn_recurrent import files
from osmn_recurrent.errors import InputError
from osmn_recurrent.media import DEFAULT_FPS
from osmn_recurrent.media.sound import Sound

CLOCK = 90_000
"""Ticks per second of time stamps in what is written."""

_HD = "ITU709"


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a kind of video is encoded.

    Attributes:
        suffix: of the file.
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixel format.
        options: of the encoder.
        alpha: whether frames are RGBA.
        even: whether height and width must be even; frames are padded.
        sound: codecs of sound that are taken over as they are, the one that others
            are turned into first; () for none.
        container: options of the container.
    """

    suffix: str
    codec: str
    pixels: str
    options: dict
    alpha: bool = False
    even: bool = True
    sound: tuple = ()
    container: dict = dataclasses.field(default_factory=dict)


KINDS = {
    # Plays in browsers, on telephones and in office programs.
    "h264": Kind(
        ".mp4",
        "libx264",
        "yuv420p",
        {"preset": "veryfast", "crf": "18", "bf": "0"},
        sound=("aac", "mp3", "ac3"),
        container={"movflags": "+faststart"},
    ),
    "vp9": Kind(
        ".webm",
        "libvpx-vp9",
        "yuv420p",
        {"deadline": "realtime", "cpu-used": "7", "crf": "24", "b": "0"},
        even=False,
        sound=("libopus", "opus", "vorbis"),
    ),
    "vp9-alpha": Kind(
        ".webm",
        "libvpx-vp9",
        "yuva420p",
        {
            "deadline": "realtime",
            "cpu-used": "7",
            "crf": "24",
            "b": "0",
            "auto-alt-ref": "0",  # the encoder refuses alpha with it
        },
        alpha=True,
        even=False,
        sound=("libopus", "opus", "vorbis"),
    ),
    # ProRes 4444, for editing programs.
    "prores": Kind(
        ".mov",
        "prores_ks",
        "yuva444p10le",
        {
            "profile": "4444",
            "vendor": "apl0",
            "alpha_bits": "16",
            # A fixed quantiser of 4 (of FFmpeg's 118 a step): a sixth of the time that
            # the search for a bit rate takes, and half a grey level off on average.
            "flags": "+qscale",
            "global_quality": str(4 * 118),
        },
        alpha=True,
        sound=("pcm_s16le", "aac", "mp3", "ac3", "pcm_s24le"),
    ),
    "gif": Kind(".gif", "gif", "pal8", {}, even=False),
}
"""Kinds of videos by the names that users give."""

GIF_WIDTH = 480
"""Widest GIF; wider frames are scaled down, for pages and messages."""

GIF_DELAY = 2
"""Hundredths of a second that a GIF shows a frame at least: browsers show those of a
shorter delay for ten. Frames that follow faster are left out."""


class VideoWriter:
    """Writes frames as a video; a context manager.

    The file appears under its name, whole, when the block ends without an error.
    Equal frames give equal files.

    Args:
        path: the file; its ending must be that of the kind.
        size: `(height, width)` of the frames. Odd lengths are padded by a row or a
            column where the codec wants even ones.
        kind: a key of `KINDS`.
        fps: frames per second, where there are no `times`.
        times: seconds at which each frame is shown, ascending, or None.
        end: seconds at which the last frame ends, with `times`.
        aspect: width of a pixel by its height.
        sound_of: `VideoFile` whose sound is taken over, or None.

    Raises:
        InputError: unknown kind, another ending, a rate that is none; the file
            cannot be written, or the disk is full.
    """

    def __init__(
        self,
        path,
        size,
        kind="h264",
        fps=None,
        times=None,
        end=None,
        aspect=1.0,
        sound_of=None,
    ):
        self.path, self.size = pathlib.Path(path), tuple(size)
        self.kind = KINDS[kind]
        if self.path.suffix.lower() != self.kind.suffix:
            raise InputError(
                f"{path} has the ending {self.path.suffix!r}, expected "
                f"{self.kind.suffix} for {kind}."
            )
        if times is None and not (fps and 0 < fps < float("inf")):
            raise InputError(f"{fps} is not a frame rate, expected a number above 0.")
        self.fps, self.times, self.end = fps, times, end
        self.aspect, self.sound_of = aspect, sound_of
        self.count = self._encoded = 0
        self._durations = {}

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        try:
            self._temporary = self._stack.enter_context(
                files.replace_when_done(self.path)
            )
            self._container = av.open(
                str(self._temporary),
                "w",
                container_options={"fflags": "+bitexact", **self.kind.container},
            )
            self._stream = self._make_stream()
            self._sound = None
            if self.sound_of is not None and self.kind.sound:
                self._sound = self._stack.enter_context(
                    Sound(self.sound_of, self._container, self.kind.sound)
                )
            self._gif = (
                _GifPalette(self._stream) if self.kind.suffix == ".gif" else None
            )
        except BaseException as error:
            if not self._stack.__exit__(type(error), error, None):
                raise
        return self

    def _make_stream(self):
        height, width = self.size
        if self.kind.even:
            height, width = height + height % 2, width + width % 2
        if self.kind.suffix == ".gif" and width > GIF_WIDTH:
            height, width = round(height * GIF_WIDTH / width), GIF_WIDTH
        stream = self._container.add_stream(
            self.kind.codec, rate=self._average_rate(), options=self.kind.options
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = self.kind.pixels
        context = stream.codec_context
        context.time_base = stream.time_base = fractions.Fraction(1, CLOCK)
        if self.kind.suffix == ".gif":
            context.time_base = stream.time_base = fractions.Fraction(1, 100)
        else:
            context.color_range, context.colorspace = 1, 1  # 16-235, BT.709
            context.color_primaries = context.color_trc = 1
        if self.aspect != 1.0:
            ratio = fractions.Fraction(self.aspect).limit_denominator(1000)
            context.sample_aspect_ratio = ratio
        return stream

    def _average_rate(self):
        rate = self.fps
        if self.times is not None:
            rate = len(self.times) / self.end if self.end else DEFAULT_FPS
        return fractions.Fraction(rate).limit_denominator(1001)

    def _ticks(self, index):
        """When frame `index` begins, on the stream's clock."""
        clock = 1 / self._stream.codec_context.time_base
        if self.times is None:
            return round(index / fractions.Fraction(self.fps) * clock)
        last = len(self.times)
        seconds = self.times[index] if index < last else self.end
        return round(seconds * clock)

    def write(self, pixels):
        """Adds a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB, (H, W, 4) RGBA or (H, W) grey.

        Raises:
            InputError: the disk is full.
        """
        begin, end = self._ticks(self.count), self._ticks(self.count + 1)
        self.count += 1
        if self._gif is not None:
            if self._encoded and begin - self._last < GIF_DELAY:
                return
            self._last = begin
        if self.kind.even and (pixels.shape[0] % 2 or pixels.shape[1] % 2):
            more = [(0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)]
            pixels = np.pad(pixels, more[: pixels.ndim], "edge")
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        frame = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(pixels),
            format="rgba" if pixels.shape[2] == 4 else "rgb24",
        )
        if self._gif is None:
            frame = frame.reformat(format=self.kind.pixels, dst_colorspace=_HD)
        frame.pts, frame.time_base = begin, self._stream.codec_context.time_base
        frame.duration = max(end - begin, 1)
        self._encoded += 1
        if self._sound is not None:
            self._sound.mux_until(begin / CLOCK)
        self._durations[begin] = frame.duration
        for each in [frame] if self._gif is None else self._gif(frame):
            self._encode(each)

    def _encode(self, frame):
        """Adds a frame's packets, None: what is left; encoders forget durations."""
        for packet in self._stream.encode(frame):
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._container.mux(packet)

    def __exit__(self, kind, error, trace):
        if kind is not None:
            with contextlib.suppress(Exception):
                self._container.close()
            return self._stack.__exit__(kind, error, trace)
        try:
            if self._gif is not None:
                for each in self._gif(None):
                    self._encode(each)
            if self.count:
                self._encode(None)
            if self._sound is not None:
                self._sound.mux_until(self._ticks(self.count) / CLOCK)
                self._sound.finish()
            self._container.close()
            self._check_whole()
        except BaseException as error:
            if not self._stack.__exit__(type(error), error, None):
                raise
            return True
        return self._stack.__exit__(None, None, None)

    def _check_whole(self):
        """A muxer may say nothing where it could not write its index."""
        try:
            with av.open(str(self._temporary)) as written:
                packets = written.demux(video=0)
                found = sum(1 for packet in packets if packet.size)
        except (av.error.FFmpegError, OSError, IndexError):
            found = 0
        if found != self._encoded:
            raise InputError(
                f"{self.path} cannot be written (only {found} of {self._encoded} "
                "frames could be stored); make room or name another place, and run the "
                "command again."
            )


class _GifPalette:
    """Turns RGB frames into frames with a palette of their own each."""

    def __init__(self, stream):
        self._stream, self._graph = stream, None

    def __call__(self, frame):
        if self._graph is None:
            if frame is None:
                return []
            self._build(frame)
        self._source.push(frame)
        found = []
        while True:
            try:
                found.append(self._sink.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return found

    def _build(self, frame):
        graph = av.filter.Graph()
        self._source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base,
        )
        scale = graph.add("scale", f"{self._stream.width}:{self._stream.height}")
        split, sink = graph.add("split"), graph.add("buffersink")
        make = graph.add("palettegen", "stats_mode=single")
        use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
        self._source.link_to(scale)
        scale.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(make, 1, 0)
        make.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._graph, self._sink = graph, sink
