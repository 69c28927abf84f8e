"""Subtitles on their way into the result: as they are, or as text written anew where its container asks for it."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from av.error import FFmpegError
from av.packet import Packet

from flashvsr.video.cues import Cue, CueClock, Pieces
from flashvsr.video.probe import codec_name
from flashvsr.video.pyav import fraction

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.stream import Stream
    from av.subtitles.stream import SubtitleStream

    from flashvsr.video.audio import Timed

TEXT = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "microdvd", "subviewer", "sami"})
# Pictures of text. MP4 could hold some of them by FFmpeg's reading of the standard, and no player shows them.
BITMAP = frozenset({"dvdsub", "dvd_subtitle", "pgssub", "hdmv_pgs_subtitle", "dvbsub", "dvb_subtitle", "xsub"})
_OVERRIDES = re.compile(rb"\{\\[^}]*\}")  # {\i1} and the like, into which FFmpeg turns all styles
_TICK = Fraction(1, 1000)
_DEFAULT_SECONDS = Fraction(3)  # shown, where the source does not say how long
_LATE = 10  # seconds by which a file may tell its texts later than its sound
_EMPTY = 2  # bytes of a text of MP4 that only ends the one before
_LONGEST_TEXT = 0xFFFF  # bytes, as MP4 counts them
_ORDERED = ("matroska", "mp4")  # formats with one clock from beginning to end

# What FFmpeg's encoder of mov_text makes the description of the track from; MP4 wants one.
_STYLE = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Sans,18,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


class CueTrack:
    """Passes subtitles on as they are. `end`: where the film ends, if nothing may be shown later; in seconds."""

    def __init__(self, source: Stream, target: Stream, start: Fraction, end: Fraction | None) -> None:
        self.target = target
        self._start = start
        self._end = end
        self._clock = _clock_for(source)
        self._tick = fraction(target.time_base) or _TICK
        self.beyond = 0

    def feed(self, packet: Packet[Stream] | None) -> list[Timed]:
        stamp = None if packet is None else packet.pts if packet.pts is not None else packet.dts
        if packet is None or stamp is None:
            return []
        begin = stamp * packet.time_base - self._start
        lasts = packet.duration * packet.time_base if packet.duration else None
        if begin < 0 and lasts is not None:  # it is being shown when the film begins
            begin, lasts = Fraction(0), begin + lasts
            if lasts <= 0:
                return []
        time = self._clock.fix(max(begin, Fraction(0)))
        if self._end is not None:
            if time >= self._end:
                self.beyond += packet.size > _EMPTY
                return []
            lasts = min(lasts or Fraction(0), self._end - time)
        packet.time_base = self._tick
        packet.pts = packet.dts = round(time / self._tick)
        packet.duration = round((lasts or 0) / self._tick)
        packet.stream = self.target
        return [(time, packet)]


class TextTrack:
    """Decodes text subtitles and writes them as mov_text (MP4) or SubRip (Matroska). Fonts and places are lost.

    `end`: where the film ends, if nothing may be shown later: MP4 would show a still picture for as long as a text goes
    on. `beyond`: texts that begin later still.
    """

    def __init__(
        self, source: SubtitleStream, out: OutputContainer, container: str, start: Fraction, end: Fraction | None
    ) -> None:
        self._source = source
        self._start = start
        self._end = end
        self._pieces = Pieces() if container == "mp4" else None
        self._clock = _clock_for(source)
        if self._pieces is not None:
            stream = out.add_stream("mov_text")
            stream.codec_context.subtitle_header = _STYLE
            stream.codec_context.time_base = _TICK
            self.target: Stream = stream
        else:
            self.target = out.add_mux_stream("subrip")
        self.target.time_base = _TICK
        self.damaged = 0
        self.beyond = 0

    def feed(self, packet: Packet[Stream] | None) -> list[Timed]:
        if packet is None:
            return self._made(self._pieces.finish() if self._pieces is not None else [])
        cue = self._cue(packet)
        if cue is None:
            return []
        return self._made([cue] if self._pieces is None else self._pieces.add(cue))

    def passed(self, time: Fraction) -> list[Timed]:
        """What can be written when the source has been read up to `time`."""
        return self._made(self._pieces.until(time - _LATE) if self._pieces is not None else [])

    def _cue(self, packet: Packet[Stream]) -> Cue | None:
        """None for damage and for empty texts, with which MP4 fills the time between two others."""
        if packet.pts is None:
            return None
        try:
            decoded = self._source.codec_context.decode2(packet)
        except FFmpegError:
            self.damaged += 1
            return None
        lines = [rect.dialogue for rect in decoded.rects if hasattr(rect, "dialogue")] if decoded else []
        text = _OVERRIDES.sub(b"", b"\n".join(line.strip() for line in lines)).strip()
        begin = packet.pts * packet.time_base - self._start
        end = begin + self._seconds(packet, decoded.end_display_time if decoded else 0)
        if not text or end <= 0:
            return None
        time = self._clock.fix(max(begin, Fraction(0)))
        end += time - begin if begin > 0 else 0
        if self._end is not None:
            if time >= self._end:
                self.beyond += 1
                return None
            end = min(end, self._end)
        return Cue(time, end, text)

    def _made(self, cues: list[Cue]) -> list[Timed]:
        made: list[Timed] = []
        for cue in cues:
            text = cue.text[:_LONGEST_TEXT]
            packet: Packet[Stream] = Packet(len(text).to_bytes(2, "big") + text if self._pieces is not None else text)
            packet.stream, packet.time_base = self.target, _TICK
            packet.pts = packet.dts = round(cue.start / _TICK)
            packet.duration = round(cue.end / _TICK) - packet.pts
            made.append((cue.start, packet))
        return made

    def _seconds(self, packet: Packet[Stream], display_ms: int) -> Fraction:
        if packet.duration and packet.duration > 0:
            return packet.duration * packet.time_base
        return Fraction(display_ms, 1000) if 0 < display_ms < 1 << 31 else _DEFAULT_SECONDS


def _clock_for(source: Stream) -> CueClock:
    return CueClock(restarts=not any(name in source.container.format.name for name in _ORDERED))


def is_text(stream: Stream) -> bool:
    """Whether a subtitle stream can be written anew as text."""
    return codec_name(stream) in TEXT


def is_bitmap(stream: Stream) -> bool:
    """Whether it is made of pictures."""
    return codec_name(stream) in BITMAP
