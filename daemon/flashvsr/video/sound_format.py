"""What each packet of sound says about its format. A copied track has one description, at the front of the result.

Broadcasts change between stereo and surround on the way. A player that was told of one format is mute, or worse, where
the other one begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flashvsr.video.counted import Progress, nothing
from flashvsr.video.media import open_source, packets
from flashvsr.video.probe import codec_name
from flashvsr.video.renumber import renumbered

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

    from flashvsr.video.probe import SourceInfo

_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_AC3_RATES = (48000, 44100, 32000)
_AC3_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)  # by "acmod"; the first are two programmes of one channel
_MPEG_RATES = (44100, 48000, 32000)
_MPEG_HALVES = {3: 1, 2: 2, 0: 4}  # MPEG 1, 2 and 2.5
_DTS_RATES = {1: 8000, 2: 16000, 3: 32000, 6: 11025, 7: 22050, 8: 44100, 11: 12000, 12: 24000, 13: 48000}
_DTS_CHANNELS = (1, 2, 2, 2, 2, 3, 3, 4, 4, 5)


@dataclass(frozen=True)
class SoundFormat:
    """`channels` (0: not told), the bass not counted, and samples a second."""

    channels: int
    rate: int

    def __str__(self) -> str:
        return f"{self.channels or 'other'} channels at {self.rate} Hz"


def format_of(packet: Packet[Stream]) -> SoundFormat | None:
    """What a packet says about itself; None where it says nothing, or is damaged."""
    reader = _READERS.get(codec_name(packet.stream))
    data = memoryview(packet)[:16]
    return reader(bytes(data)) if reader is not None and len(data) >= 10 else None


def widest(info: SourceInfo, stream: int, progress: Progress = nothing) -> int:
    """The most channels, the bass counted, that a track tells of on its way. Reads the whole file."""
    most = 0
    with open_source(info.path, progress, view=renumbered(info.renumberings), known=info.identity) as container:
        for packet in packets(container, info.path, [container.streams[stream]], lambda: None):
            found = format_of(packet)
            if found is not None:
                most = max(most, found.channels + (found.channels == 5))
    return most


def _adts(head: bytes) -> SoundFormat | None:
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    rate, channels = head[2] >> 2 & 15, (head[2] & 1) << 2 | head[3] >> 6
    if rate >= len(_ADTS_RATES):
        return None
    return SoundFormat({6: 5, 7: 7}.get(channels, channels), _ADTS_RATES[rate])


def _ac3(head: bytes) -> SoundFormat | None:
    if head[:2] != b"\x0b\x77":
        return None
    if head[5] >> 3 <= 10:
        rate = head[4] >> 6
        return SoundFormat(_AC3_CHANNELS[head[6] >> 5], _AC3_RATES[rate]) if rate < 3 else None
    rate = head[4] >> 6
    known = _AC3_RATES[rate] if rate < 3 else _AC3_RATES[head[4] >> 4 & 3] // 2 if head[4] >> 4 & 3 < 3 else 0
    return SoundFormat(_AC3_CHANNELS[head[4] >> 1 & 7], known)


def _mpeg(head: bytes) -> SoundFormat | None:
    version, rate = head[1] >> 3 & 3, head[2] >> 2 & 3
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or version not in _MPEG_HALVES or rate == 3:
        return None
    return SoundFormat(1 if head[3] >> 6 == 3 else 2, _MPEG_RATES[rate] // _MPEG_HALVES[version])


def _dts(head: bytes) -> SoundFormat | None:
    if head[:4] != b"\x7f\xfe\x80\x01":
        return None
    bits = int.from_bytes(head[4:10], "big")  # from bit 32 of the frame on
    amode, rate = bits >> (48 - 34) & 63, bits >> (48 - 38) & 15
    return SoundFormat(_DTS_CHANNELS[amode], _DTS_RATES[rate]) if amode < 10 and rate in _DTS_RATES else None


_READERS: dict[str, Callable[[bytes], SoundFormat | None]] = {
    "aac": _adts, "ac3": _ac3, "eac3": _ac3, "mp2": _mpeg, "mp3": _mpeg, "dts": _dts,
}  # fmt: skip
