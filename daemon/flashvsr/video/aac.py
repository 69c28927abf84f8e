"""Sound encoded anew as AAC: each track decoded, brought to one format, kept in sync, cut into AAC's frames."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av.filter
from av.audio.frame import AudioFrame
from av.error import BlockingIOError as AvBlockingIOError
from av.error import EOFError as AvEOFError
from av.error import FFmpegError

from flashvsr.video.audio import Timed, first_stamp, is_counted, overlaps
from flashvsr.video.layouts import aac_layout, channels_of, mixer
from flashvsr.video.pyav import fraction
from flashvsr.video.timing import LONGEST_GAP, ContinuousClock

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.filter.graph import Graph
    from av.packet import Packet
    from av.stream import Stream

_RATES = frozenset({96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000})
_FRAME = 1024  # samples
_SYNC_SECONDS = 0.015  # a larger gap is filled with silence, a larger overlap is cut
_EXACT_SECONDS = 0.001  # the same where times are exact, and gaps and overlaps are edits
_SILENT_SECONDS = 1  # of silence at a time: the resampler would make all of a long gap's in memory
_BITS_PER_CHANNEL = 96_000  # 192 kb/s for stereo
_SAMPLES, _PACKED = "fltp", "flt"


class AacTrack:
    """Decodes a source's audio and encodes it as AAC, filling gaps with silence so that it stays in sync.

    `channels`: of the source where it has the most of them, if more than at the beginning.
    """

    def __init__(
        self, source: AudioStream, container: OutputContainer, start: Fraction, joined: bool = False,
        channels: int = 0,
    ) -> None:  # fmt: skip
        self._joined = joined
        self._end: Fraction | None = None
        context = source.codec_context
        self._source = source
        self._start = start
        self._counted = is_counted(source)
        self._rate = context.sample_rate if context.sample_rate in _RATES else 48000
        self._layout = aac_layout(context.layout, channels)
        self._encoder: AudioStream = container.add_stream("aac", rate=self._rate)
        self.target = cast("Stream", self._encoder)
        encoder = self._encoder.codec_context
        encoder.layout, encoder.format = self._layout, _SAMPLES
        encoder.bit_rate = _BITS_PER_CHANNEL * channels_of(self._layout)
        encoder.time_base = Fraction(1, self._rate)
        self._clock = ContinuousClock(Fraction(_FRAME, self._rate), leap=LONGEST_GAP)
        self._step: Fraction | None = None
        self._format: Graph | None = None  # from the source's format, of which there may be several, to the encoder's
        self._key: tuple[object, ...] | None = None
        self._frames = self._framing()  # the encoder wants one unbroken row of full frames
        self.damaged = 0

    def feed(self, packet: Packet[Stream] | None) -> list[Timed]:
        """See `flashvsr.video.audio.Track`. Damaged packets are counted and replaced by silence."""
        try:
            frames = self._source.decode(packet)
        except AvEOFError:
            frames = []
        except FFmpegError:
            self.damaged += 1
            frames = []
        encoded = [p for frame in frames for p in self._encode(frame)]
        if packet is None:
            encoded += self._drain()
            self._frames.push(None)
            encoded += self._pull()
            encoded += self._encoder.encode(None)
        return [self._timed(packet) for packet in encoded]

    def _timed(self, packet: Packet[AudioStream]) -> Timed:
        stamp = packet.dts if packet.dts is not None else packet.pts
        return (stamp or 0) * packet.time_base, cast("Packet[Stream]", packet)

    def _encode(self, frame: AudioFrame) -> list[Packet[AudioStream]]:
        tick = fraction(self._source.time_base) or Fraction(1, frame.sample_rate)
        stamp = frame.pts
        if self._counted:
            stamp = first_stamp(self._source) if self._step is None else None
        given = None if stamp is None else stamp * tick - self._start
        length = Fraction(frame.samples, frame.sample_rate)
        if self._joined and overlaps(given, self._end, length):
            return []
        time = self._clock.fix(given, self._step)
        encoded = self._fill(time)
        key = (frame.sample_rate, frame.layout.name, frame.format.name)
        if self._format is None or key != self._key:  # the first frame, or a stream that changes on the way
            encoded += self._drain()
            self._format, self._key = self._conversion(frame), key
        self._step, self._end = length, time + length
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(time * frame.sample_rate)
        self._format.push(frame)
        return encoded + self._converted()

    def _fill(self, time: Fraction) -> list[Packet[AudioStream]]:
        """Silence up to shortly before `time`."""
        encoded: list[Packet[AudioStream]] = []
        if self._end is None or time - self._end <= _SILENT_SECONDS:
            return encoded
        encoded += self._drain()
        while time - self._end > _SILENT_SECONDS:
            for silent in self._silence():
                silent.pts = round(self._end * self._rate)
                self._frames.push(silent)
            encoded += self._pull()
            self._end += _SILENT_SECONDS
        return encoded

    def _drain(self) -> list[Packet[AudioStream]]:
        """What the conversion still holds; another one has to begin after that."""
        if self._format is None:
            return []
        self._format.push(None)
        encoded = self._converted()
        self._format = None
        return encoded

    def _converted(self) -> list[Packet[AudioStream]]:
        assert self._format is not None
        encoded: list[Packet[AudioStream]] = []
        for frame in _ready(self._format):
            self._frames.push(frame)
            encoded += self._pull()
        return encoded

    def _pull(self) -> list[Packet[AudioStream]]:
        return [packet for frame in _ready(self._frames) for packet in self._encoder.encode(frame)]

    def _conversion(self, frame: AudioFrame) -> Graph:
        mixed = mixer(frame.layout, self._layout)
        return _graph(
            frame.sample_rate, frame.format.name, frame.layout.name,
            [("pan", mixed)] if mixed else [],
            [("aresample", f"osr={self._rate}"), ("aformat", f"sample_fmts={_SAMPLES}:channel_layouts={self._layout}")],
        )  # fmt: skip

    def _framing(self) -> Graph:
        exact = self._source.container.format.name.startswith("mov")
        sync = _EXACT_SECONDS if exact else _SYNC_SECONDS
        steady = [("aresample", f"async=1:min_hard_comp={sync}"), ("asetnsamples", f"n={_FRAME}:p=0")]
        return _graph(self._rate, _SAMPLES, self._layout, steady)

    def _silence(self) -> list[AudioFrame]:
        """A stretch of nothing, in the encoder's format."""
        # PyAV counts planes until it finds an empty one, beyond the end where there are eight. Packed, there is one.
        silent = AudioFrame(_PACKED, self._layout, _SILENT_SECONDS * self._rate)
        silent.sample_rate, silent.pts, silent.time_base = self._rate, 0, Fraction(1, self._rate)
        silent.planes[0].update(bytes(silent.planes[0].buffer_size))
        graph = _graph(self._rate, _PACKED, self._layout, [("aformat", f"sample_fmts={_SAMPLES}")])
        graph.push(silent)
        return _ready(graph)


def _graph(rate: int, samples: str, layout: str, *filters: list[tuple[str, str]]) -> Graph:
    graph = av.filter.Graph()
    chain = [
        graph.add_abuffer(sample_rate=rate, format=samples, layout=layout, time_base=Fraction(1, rate)),
        *(graph.add(name, arguments) for part in filters for name, arguments in part),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*chain)
    graph.configure()
    return graph


def _ready(graph: Graph) -> list[AudioFrame]:
    frames: list[AudioFrame] = []
    while True:
        try:
            frames.append(cast("AudioFrame", graph.pull()))
        except (AvBlockingIOError, AvEOFError):
            return frames
