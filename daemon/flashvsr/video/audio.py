"""Sound on its way into the result, copied as it is.

A track takes the source's packets and gives back packets for the output, with times that count from the
source's start.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from av.error import FFmpegError

from flashvsr.video.probe import codec_name
from flashvsr.video.pyav import fraction
from flashvsr.video.sound_format import SoundFormat, format_of
from flashvsr.video.timing import LONGEST_GAP, ContinuousClock

if TYPE_CHECKING:
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

_LEAD_IN = 2  # packets before the start that decoders want for their first sounds
_SURE = 3  # packets of another format in a row: fewer are damage


class Unfit(Exception):
    """A track cannot be treated as was thought; `reason` in words that follow "because"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Track(Protocol):
    """One stream of the output beside the picture, which is `target` there."""

    @property
    def target(self) -> Stream:
        """The stream of the output."""
        ...

    def feed(self, packet: Packet[Stream] | None) -> list[Timed]:
        """Take a packet (None: the end) and return (time in seconds, packet) pairs to write."""
        ...


def is_counted(stream: Stream) -> bool:
    """Whether a track's times are found by counting its samples."""
    return (stream.container.format.name, codec_name(stream)) == _COUNTED


def overlaps(time: Fraction | None, end: Fraction | None, duration: Fraction | None) -> bool:
    """Whether most of what starts at `time` has been heard when the sound so far ends at `end`."""
    return time is not None and end is not None and duration is not None and time < end - duration / 2


def first_stamp(stream: Stream) -> int:
    """Where a counted track begins, in ticks."""
    return stream.start_time or 0


class CopyTrack:
    """Passes packets on unchanged but for their times. `start`: the source's start in seconds.

    `joined`: the source was joined from parts, whose sound may overlap where the picture is closed up; what is
    heard already is then left out. Raises Unfit where copying would play something else than the source does.
    """

    def __init__(self, source: Stream, target: Stream, start: Fraction, joined: bool = False) -> None:
        self._joined = joined
        self._end: Fraction | None = None
        self.target = target
        self._start = start
        self._counted = is_counted(source)
        self._tick = fraction(source.time_base) or Fraction(1, 1000)
        self._out_tick = fraction(target.time_base) or self._tick
        self._clock = ContinuousClock(self._tick, leap=LONGEST_GAP)
        self._duration: Fraction | None = None
        self._last: int | None = None
        self._watch = _FormatWatch(source)
        self._lead_in = 0 if codec_name(source).startswith("pcm") else _LEAD_IN
        self._begun = self._cut = False

    def feed(self, packet: Packet[Stream] | None) -> list[Timed]:
        if packet is None or self._is_cut(packet):
            return []
        self._watch.see(packet)
        reorder = packet.pts - packet.dts if packet.pts is not None and packet.dts is not None else 0
        stamp = packet.dts if packet.dts is not None else packet.pts
        if self._counted:
            reorder, stamp = 0, first_stamp(packet.stream) if self._last is None else None
        given = None if stamp is None else stamp * self._tick - self._start
        if self._joined and overlaps(given, self._end, packet.duration * self._tick if packet.duration else None):
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
        packet.stream = self.target
        return [(time, packet)]

    def _is_cut(self, packet: Packet[Stream]) -> bool:
        """Whether an edit list leaves a packet out. Packets are too coarse to be cut in the middle of the sound."""
        if packet.is_discard:
            self._cut = self._begun
            ahead = -self._start if packet.pts is None else packet.pts * self._tick - self._start
            lead_in = self._lead_in * (packet.duration or 0) * self._tick
            return self._begun or ahead < -lead_in
        if self._cut:
            raise Unfit("its edit list cuts it into pieces")
        self._begun = True
        return False

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


class _FormatWatch:
    """Notices when a track's packets are of another format than its first ones."""

    def __init__(self, source: Stream) -> None:
        self._header = source.codec_context.extradata
        self._first: SoundFormat | None = None
        self._other: SoundFormat | None = None
        self._times = 0

    def see(self, packet: Packet[Stream]) -> None:
        """Look at a packet; raises Unfit."""
        fresh = packet.has_sidedata("new_extradata") and bytes(packet.get_sidedata("new_extradata"))
        if fresh and self._header and fresh != self._header:
            raise Unfit("its format changes on the way")
        found = format_of(packet)
        if found is None:
            return
        self._first = self._first or found
        if found == self._first:
            self._times = 0
            return
        self._times = self._times + 1 if found == self._other else 1
        self._other = found
        if self._times == _SURE:
            raise Unfit(f"it changes on the way from {self._first} to {found}")
