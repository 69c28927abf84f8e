"""Sound and subtitles on their way into the result: copied as they are, or sound encoded anew as AAC.

A track takes the source's packets and gives back packets for the output, with times that count from the
source's start.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Protocol, cast

import av.filter
from av.audio.frame import AudioFrame
from av.error import BlockingIOError as AvBlockingIOError
from av.error import EOFError as AvEOFError
from av.error import FFmpegError

from flashvsr.video.probe import codec_name
from flashvsr.video.pyav import fraction
from flashvsr.video.timing import LONGEST_GAP, ContinuousClock

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.filter.graph import Graph
    from av.packet import Packet
    from av.stream import Stream

Timed = tuple[Fraction, "Packet[Stream]"]

# Ogg stores one time per page, and libavformat fills in the others by counting every packet, also the empty
# ones that some Vorbis encoders write: seconds of error. Vorbis in Ogg has no gaps, so there the decoded
# samples are counted.
_COUNTED = ("ogg", "vorbis")

# What players expect in an MP4 file. The format could hold more (Vorbis, FLAC, MP2), but phones and browsers
# stay mute.
MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
_AAC_RATES = frozenset({96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000})
_AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_AAC_FRAME = 1024  # samples
_SYNC_SECONDS = 0.015  # a larger gap is filled with silence, a larger overlap is cut
_SILENT_SECONDS = 1  # of silence at a time: the resampler would make all of a long gap's in memory
_BITS_PER_CHANNEL = 96_000  # 192 kb/s for stereo


class Track(Protocol):
    """One stream of the output beside the picture."""

    def feed(self, packet: Packet[Stream] | None) -> list[Timed]:
        """Take a packet (None: the end) and return (time in seconds, packet) pairs to write."""
        ...


def _is_counted(stream: Stream) -> bool:
    return (stream.container.format.name, codec_name(stream)) == _COUNTED


def _overlaps(time: Fraction | None, end: Fraction | None, duration: Fraction | None) -> bool:
    """Whether most of what starts at `time` has been heard when the sound so far ends at `end`."""
    return time is not None and end is not None and duration is not None and time < end - duration / 2


def _first_stamp(stream: Stream) -> int:
    return stream.start_time or 0


class CopyTrack:
    """Passes packets on unchanged but for their times. `start`: the source's start in seconds.

    `joined`: the source was joined from parts, whose sound may overlap where the picture is closed up; what is
    heard already is then left out.
    """

    def __init__(self, source: Stream, target: Stream, start: Fraction, joined: bool = False) -> None:
        self._joined = joined
        self._end: Fraction | None = None
        self._target = target
        self._start = start
        self._counted = _is_counted(source)
        self._tick = fraction(source.time_base) or Fraction(1, 1000)
        self._out_tick = fraction(target.time_base) or self._tick
        self._clock = ContinuousClock(self._tick, leap=LONGEST_GAP if source.type == "audio" else None)
        self._duration: Fraction | None = None
        self._last: int | None = None

    def feed(self, packet: Packet[Stream] | None) -> list[Timed]:
        """See `Track`."""
        if packet is None:
            return []
        reorder = packet.pts - packet.dts if packet.pts is not None and packet.dts is not None else 0
        stamp = packet.dts if packet.dts is not None else packet.pts
        if self._counted:
            reorder, stamp = 0, _first_stamp(packet.stream) if self._last is None else None
        given = None if stamp is None else stamp * self._tick - self._start
        if self._joined and _overlaps(given, self._end, packet.duration * self._tick if packet.duration else None):
            return []
        time = self._clock.fix(given, self._duration)
        self._duration = self._duration_of(packet)
        self._end = time + (self._duration or 0)
        dts = round(time / self._out_tick)
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        self._last = dts
        packet.time_base = self._out_tick
        packet.dts = dts
        packet.pts = dts + max(0, round(reorder * self._tick / self._out_tick))
        packet.duration = round((self._duration or 0) / self._out_tick)
        packet.stream = self._target
        return [(time, packet)]

    def _duration_of(self, packet: Packet[Stream]) -> Fraction | None:
        """Seconds, None when unknown."""
        if not self._counted:
            return packet.duration * self._tick if packet.duration else None
        try:
            frames = packet.decode()
        except FFmpegError:
            return None
        samples = [Fraction(f.samples, f.sample_rate) for f in frames]  # type: ignore[union-attr]
        return sum(samples, start=Fraction(0))


class AacTrack:
    """Decodes a source's audio and encodes it as AAC, filling gaps with silence so that it stays in sync."""

    def __init__(self, source: AudioStream, container: OutputContainer, start: Fraction, joined: bool = False) -> None:
        self._joined = joined
        self._end: Fraction | None = None
        context = source.codec_context
        self._source = source
        self._start = start
        self._counted = _is_counted(source)
        self._rate = context.sample_rate if context.sample_rate in _AAC_RATES else 48000
        self._layout = _AAC_LAYOUTS.get(context.channels, "stereo")
        self.target: AudioStream = container.add_stream("aac", rate=self._rate)
        channels = context.channels if context.channels in _AAC_LAYOUTS else 2
        encoder = self.target.codec_context
        encoder.layout, encoder.format = self._layout, "fltp"
        encoder.bit_rate = _BITS_PER_CHANNEL * channels
        encoder.time_base = Fraction(1, self._rate)
        self._clock = ContinuousClock(Fraction(_AAC_FRAME, self._rate), leap=LONGEST_GAP)
        self._step: Fraction | None = None
        self._graph: Graph | None = None
        self._key: tuple[object, ...] | None = None
        self.damaged = 0

    def feed(self, packet: Packet[Stream] | None) -> list[Timed]:
        """See `Track`. Damaged packets are counted and replaced by silence."""
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
            encoded += self.target.encode(None)
        return [self._timed(packet) for packet in encoded]

    def _timed(self, packet: Packet[AudioStream]) -> Timed:
        stamp = packet.dts if packet.dts is not None else packet.pts
        return (stamp or 0) * packet.time_base, cast("Packet[Stream]", packet)

    def _encode(self, frame: AudioFrame) -> list[Packet[AudioStream]]:
        key = (frame.sample_rate, frame.layout.name, frame.format.name)
        encoded = []
        if key != self._key:  # the first frame, or a stream that changes its format on the way
            encoded = self._drain()
            self._graph = self._build(frame)
            self._key = key
        tick = fraction(self._source.time_base) or Fraction(1, frame.sample_rate)
        stamp = frame.pts
        if self._counted:
            stamp = _first_stamp(self._source) if self._step is None else None
        given = None if stamp is None else stamp * tick - self._start
        length = Fraction(frame.samples, frame.sample_rate)
        if self._joined and _overlaps(given, self._end, length):
            return encoded
        time = self._clock.fix(given, self._step)
        while self._end is not None and time - self._end > _SILENT_SECONDS:
            encoded += self._push(_silence(frame), self._end)
            self._end += _SILENT_SECONDS
        self._step = length
        self._end = time + length
        return encoded + self._push(frame, time)

    def _push(self, frame: AudioFrame, time: Fraction) -> list[Packet[AudioStream]]:
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(time * frame.sample_rate)
        assert self._graph is not None
        self._graph.push(frame)
        return self._pull()

    def _drain(self) -> list[Packet[AudioStream]]:
        if self._graph is None:
            return []
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> list[Packet[AudioStream]]:
        assert self._graph is not None
        encoded: list[Packet[AudioStream]] = []
        while True:
            try:
                frame = self._graph.pull()
            except (AvBlockingIOError, AvEOFError):
                return encoded
            encoded += self.target.encode(frame)  # type: ignore[arg-type]

    def _build(self, frame: AudioFrame) -> Graph:
        graph = av.filter.Graph()
        chain = [
            graph.add_abuffer(
                sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name,
                time_base=Fraction(1, frame.sample_rate),
            ),
            graph.add("aresample", f"async=1:min_hard_comp={_SYNC_SECONDS}:osr={self._rate}"),
            graph.add("aformat", f"sample_fmts=fltp:channel_layouts={self._layout}"),
            graph.add("asetnsamples", f"n={_AAC_FRAME}:p=0"),
            graph.add("abuffersink"),
        ]  # fmt: skip
        graph.link_nodes(*chain)
        graph.configure()
        return graph


def _silence(like: AudioFrame) -> AudioFrame:
    """A stretch of nothing, in the format of a frame."""
    silent = AudioFrame(like.format.name, like.layout.name, _SILENT_SECONDS * like.sample_rate)
    silent.sample_rate = like.sample_rate
    middle = b"\x80" if like.format.name.startswith("u8") else b"\0"
    for plane in silent.planes:
        plane.update(middle * plane.buffer_size)
    return silent
