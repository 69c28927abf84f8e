"""How many frames a file has. Containers say anything: it is held against what is seen of the file itself.

A wrong length does no harm to the result, but a job would wait for room that it does not need, be refused as too long,
and show a progress that makes no sense.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from flashvsr.video.media import packets, source_status
from flashvsr.video.pyav import fraction

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

TIMES = 8  # as many frames as the file's beginning promises are believed: few films are so unlike it
ALIKE = Fraction(1, 10)  # of the frames, that a count of packets may be off: some hold none, or two

_ENOUGH_FRAMES, _ENOUGH_PACKETS, _ENOUGH_BYTES = 250, 5000, 8 << 20
_PLACES = (0.25, 0.5, 0.75)  # of the length, where there are frames if it is true
_NEAR, _NEAR_SHARE = 30.0, 0.02  # seconds, and of the length, that the nearest frame may be away from there


class Beginning:
    """The first packets of a file, of all its tracks, counted as they pass."""

    def __init__(self, source: Iterable[Packet[Stream]], picture: int) -> None:
        self.frames = 0
        self.is_all = False
        self._bytes = 0
        self._packets = 0
        self._picture = picture
        self._passing = self._pass(source)

    def __iter__(self) -> Iterator[Packet[Stream]]:
        return self._passing

    def promised(self, size: int) -> float:
        """Frames that a file of `size` bytes has if it goes on as it begins; reads on as far as that takes."""
        while not self._is_enough and next(self._passing, None) is not None:
            pass
        return size * self.frames / max(1, self._bytes)

    @property
    def _is_enough(self) -> bool:
        return self.frames >= _ENOUGH_FRAMES or self._packets >= _ENOUGH_PACKETS or self._bytes >= _ENOUGH_BYTES

    def _pass(self, source: Iterable[Packet[Stream]]) -> Iterator[Packet[Stream]]:
        for packet in source:
            self._packets += 1
            self._bytes += packet.size
            self.frames += packet.stream_index == self._picture
            yield packet
        self.is_all = True


def credible_count(
    claimed: int, seconds: float, beginning: Beginning, container: InputContainer, stream: VideoStream, path: Path
) -> int | None:
    """The number of frames, near enough; None where nobody knows.

    `claimed`: what the container says, 0 if nothing; `seconds`: its length. Reads on in the file, and may seek in it.
    Raises Transient when reading fails.
    """
    promised = beginning.promised(source_status(path).st_size)
    if beginning.is_all:
        return claimed if abs(claimed - beginning.frames) <= ALIKE * beginning.frames + 1 else beginning.frames
    if not beginning.frames <= claimed:
        return None
    if claimed <= TIMES * promised or _is_filled(seconds, container, stream, path):
        return claimed
    return None


def _is_filled(seconds: float, container: InputContainer, stream: VideoStream, path: Path) -> bool:
    """Whether there are frames all over the length, as in a film whose beginning is unlike the rest."""
    return all(_has_frames_near(place * seconds, seconds, container, stream, path) for place in _PLACES)


def _has_frames_near(moment: float, seconds: float, container: InputContainer, stream: VideoStream, path: Path) -> bool:
    tick = fraction(stream.time_base)
    if tick is None:
        return False
    wanted = moment + float((stream.start_time or 0) * tick)
    try:
        container.seek(int(wanted * av.time_base))
    except FFmpegError:
        return False
    for packet in packets(container, path, [stream], lambda: None):
        time = packet.dts if packet.pts is None else packet.pts
        if time is not None:
            return abs(float(time * tick) - wanted) <= max(_NEAR, _NEAR_SHARE * seconds)
    return False


def until_of(seconds: float) -> Fraction | None:
    """Where the wanted part of a source ends, if so many seconds are wanted; 0 is for all."""
    return Fraction(seconds).limit_denominator(1000) if seconds else None


def frames_before(until: Fraction, rate: Fraction) -> int:
    """How many frames begin before a moment, in seconds, at a steady rate."""
    return max(1, math.ceil(until * rate))
