"""Taking over the sound of a video file into another one."""

import warnings

import av

from osmn_recurrent.errors import InputNote

_RATE = 48_000
"""Samples per second of sound that is encoded anew; Opus knows no 44100."""


class Sound:
    """Copies the first sound track of a video file; a context manager.

    As it is where the other container takes it, encoded anew where not. Time stamps
    count from the video's first frame. Sound that cannot be read is left out, and an
    `InputNote` says so.

    Args:
        video: `VideoFile`.
        container: PyAV container that is written; gets a stream if there is sound.
        codecs: see `Kind.sound`.
    """

    def __init__(self, video, container, codecs):
        self._video, self._container, self._codecs = video, container, codecs
        self._packets, self._next = iter(()), None

    def __enter__(self):
        self._source = av.open(str(self._video.path.absolute()))
        track = self._source.streams.best("audio")
        if track is not None and track.codec_context is not None:
            name = track.codec_context.name
            if name in self._codecs[1:] or name == self._codecs[0]:
                self._stream = self._container.add_stream_from_template(track)
                self._packets = self._copied(track)
            else:
                self._stream = self._container.add_stream(
                    self._codecs[0], rate=_RATE, layout=self._layout(track)
                )
                self._packets = self._encoded(track)
        self._next = self._pull()
        return self

    def __exit__(self, *error):
        self._source.close()

    def _layout(self, track):
        return "mono" if track.codec_context.channels == 1 else "stereo"

    def mux_until(self, seconds):
        """Adds the sound up to a time of the video."""
        while self._next is not None and self._next[0] < seconds:
            self._container.mux(self._next[1])
            self._next = self._pull()

    def finish(self):
        """Ends the sound where the video ends."""
        self._next, self._packets = None, iter(())

    def _pull(self):
        """The next `(seconds, packet)`, None at the end."""
        try:
            return next(self._packets, None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            warnings.warn(
                f"the sound of {self._video.path} cannot be read on "
                f"({getattr(error, 'strerror', None) or error}) and is left out from "
                "there.",
                InputNote,
                stacklevel=2,
            )
            return None

    def _copied(self, track):
        for packet in self._source.demux(track):
            if packet.dts is None:
                continue
            shift = round(self._video.start / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            seconds = float(packet.pts * packet.time_base)
            if packet.dts >= 0:
                packet.stream = self._stream
                yield seconds, packet

    def _encoded(self, track):
        encoder = self._stream.codec_context
        resampler = av.AudioResampler(
            format=encoder.format, layout=encoder.layout, rate=_RATE
        )
        for frame in self._source.decode(track):
            if frame.time is None or frame.time < self._video.start:
                continue
            frame.pts = round((frame.time - self._video.start) / frame.time_base)
            for each in resampler.resample(frame):
                yield from self._timed(self._stream.encode(each))
        yield from self._timed(self._stream.encode(None))

    def _timed(self, packets):
        for packet in packets:
            yield float(packet.pts * packet.time_base), packet
