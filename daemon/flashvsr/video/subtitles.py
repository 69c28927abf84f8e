"""Subtitles that the result's container cannot hold as they are: text is written anew, pictures are not."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from av.error import FFmpegError
from av.packet import Packet

from flashvsr.video.probe import codec_name

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


class TextTrack:
    """Decodes text subtitles and writes them as mov_text (MP4) or SubRip (Matroska). Fonts and places are lost."""

    def __init__(self, source: SubtitleStream, out: OutputContainer, container: str, start: Fraction) -> None:
        self._source = source
        self._start = start
        self._prefixed = container == "mp4"
        if self._prefixed:
            stream = out.add_stream("mov_text")
            stream.codec_context.subtitle_header = _STYLE
            stream.codec_context.time_base = _TICK
            self.target: Stream = stream
        else:
            self.target = out.add_mux_stream("subrip")
        self.target.time_base = _TICK
        self.damaged = 0

    def feed(self, packet: Packet[Stream] | None) -> list[Timed]:
        """See `flashvsr.video.audio.Track`."""
        if packet is None or packet.pts is None:
            return []
        try:
            decoded = self._source.codec_context.decode2(packet)
        except FFmpegError:
            self.damaged += 1
            return []
        lines = [rect.dialogue for rect in decoded.rects if hasattr(rect, "dialogue")] if decoded else []
        text = _OVERRIDES.sub(b"", b"\n".join(line.strip() for line in lines)).strip()
        time = packet.pts * packet.time_base - self._start
        if not text or time < 0:
            return []  # MP4 fills the time between subtitles with empty ones
        made: Packet[Stream] = Packet(len(text).to_bytes(2, "big") + text if self._prefixed else text)
        made.stream, made.time_base = self.target, _TICK
        made.pts = made.dts = round(time / _TICK)
        made.duration = round(self._seconds(packet, decoded.end_display_time if decoded else 0) / _TICK)
        return [(time, made)]

    def _seconds(self, packet: Packet[Stream], display_ms: int) -> Fraction:
        if packet.duration:
            return packet.duration * packet.time_base
        return Fraction(display_ms, 1000) if 0 < display_ms < 1 << 31 else _DEFAULT_SECONDS


def is_text(stream: Stream) -> bool:
    """Whether a subtitle stream can be written anew as text."""
    return codec_name(stream) in TEXT


def is_bitmap(stream: Stream) -> bool:
    """Whether it is made of pictures."""
    return codec_name(stream) in BITMAP
