"""How long a video's last picture stands: slides, recordings of a screen and animations end on one that stays.

The time of each frame ends at the next one's; only the last needs to be told. Packets tell their length in some
formats, in others the track or the file tells where it ends, which is believed of a file that is whole.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av

from flashvsr.video.media import beginning, source_status
from flashvsr.video.pyav import fraction, tags

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_LEAST = Fraction(3, 2)  # of a frame's usual length; less is rounding, and a frame like the others
_CLOSE = Fraction(1, 10)  # of a frame's length
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # the two elements a Matroska file is made of


class LastPicture:
    """Sees a video's packets and frames, and tells at the end how long the last one stands.

    `step`: seconds that a frame is shown usually.
    """

    def __init__(self, stream: VideoStream, container_format: str, step: Fraction) -> None:
        self._stream = stream
        self._format = container_format
        self._step = step
        self._tick = fraction(stream.time_base) or step
        self._decoded: int | None = None  # decode time of the last packet
        self._time: Fraction | None = None  # of the last frame, by the file's own clock
        self._length: Fraction | None = None  # that it says to have
        self._honest = True  # whether the length of the frame before was the distance to the last

    def read(self, dts: int | None) -> None:
        """Note a packet by its decode time."""
        self._decoded = dts if dts is not None else self._decoded

    def shown(self, ticks: int | None, length: int | None) -> None:
        """Note a frame, in the order shown, with its time and length in the stream's ticks where they are known."""
        time = None if ticks is None else ticks * self._tick
        if self._time is not None and time is not None:
            told = self._length
            self._honest = told is not None and abs(time - self._time - told) <= _CLOSE * self._step
        self._time, self._length = time, length * self._tick if length else None

    def seconds(self, path: Path) -> Fraction | None:
        """How long the last frame stands; None where it is as long as the others, or nobody knows."""
        if self._time is None:
            return None
        if self._format.startswith("mov"):
            lengths = [self._until(self._within_file(self._end_of_track()))]
        else:
            lengths = [self._length if self._honest else None]
            if self._format.startswith("matroska"):
                lengths.append(self._until(self._within_file(self._end_by_tag(path))))
        longest = max((length for length in lengths if length is not None), default=Fraction(0))
        return longest if longest >= _LEAST * self._step else None

    def _until(self, end: Fraction | None) -> Fraction | None:
        return None if end is None or self._time is None else end - self._time

    def _within_file(self, end: Fraction | None) -> Fraction | None:
        """No later than the whole file ends: an empty edit at the front counts twice, and tags outlive a cut.

        A file of fragments, whose track has no frames of its own, does not tell its length.
        """
        whole = cast("InputContainer", self._stream.container).duration
        in_fragments = self._format.startswith("mov") and not self._stream.frames
        return end if end is None or not whole or in_fragments else min(end, Fraction(whole, av.time_base))

    def _end_of_track(self) -> Fraction | None:
        """What the track of an MP4 says, if its last packet was there to be read.

        Packets do not tell: their lengths are those between decode times.
        """
        stream = self._stream
        index = stream.index_entries
        whole = len(index) > 0 and self._decoded is not None and self._decoded >= index[len(index) - 1].timestamp
        if not whole or not stream.duration:
            return None
        return ((stream.start_time or 0) + stream.duration) * self._tick

    def _end_by_tag(self, path: Path) -> Fraction | None:
        """What the muxer noted about the track of a Matroska file, if the file is as long as it says."""
        known = tags(self._stream.metadata)
        others = (value for key, value in known.items() if key.startswith("DURATION"))  # with a language, as mkvmerge's
        end = _seconds(known.get("DURATION") or next(others, ""))
        if end is None or not is_whole(path):
            return None
        counts_from_first = "_STATISTICS_WRITING_APP" in known  # mkvmerge's habit
        return end + ((self._stream.start_time or 0) * self._tick if counts_from_first else 0)


def _seconds(text: str) -> Fraction | None:
    """Seconds of 00:00:04.960000000; None where it is not written so."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None


def is_whole(path: Path) -> bool:
    """Whether a Matroska file is as long as its main element says; one of unknown length is not known to be."""
    head = beginning(path, 1 << 12)
    if head[:4] != _EBML:
        return False
    size, at = _number(head, 4)
    at += size or 0
    if size is None or head[at : at + 4] != _SEGMENT:
        return False
    size, at = _number(head, at + 4)
    return size is not None and at + size <= source_status(path).st_size


def _number(data: bytes, at: int) -> tuple[int | None, int]:
    """A length as Matroska writes it, as long as its first byte's leading zeros say; and where it ends.

    None where it is not told (all ones) or not there.
    """
    if at >= len(data) or not data[at]:
        return None, at
    size = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + size], "big") & ((1 << 7 * size) - 1)
    return (None if value == (1 << 7 * size) - 1 else value), at + size
