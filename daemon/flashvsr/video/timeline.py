"""Recordings that were joined end to end, or cut: where their clock jumps, and how to read it as one.

MPEG transport and program streams may be concatenated as they are, and receivers restart their clock. Picture and
sound jump together but end at different places, so each closed up for itself would lose its sync. Here the picture
is closed up, and the sound of the same stretch of the file is moved by the same amount.

A picture that leaps while the sound goes on was lost for a while, or is a still: it stands, and nothing is closed up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from flashvsr.video.timing import LONGEST_GAP

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

JOINABLE = frozenset({"mpegts", "mpeg"})  # formats that may be joined by `cat`
BACK, AHEAD = Fraction(1, 2), Fraction(10)  # seconds; a smaller step is reordering, or a gap that stays
_BESIDE = 5  # seconds that tracks may begin and end apart at a joint


@dataclass(frozen=True)
class Joint:
    """From byte `position` of the file on, `shift` seconds are added to all times."""

    position: int
    shift: Fraction


@dataclass(frozen=True)
class _Jump:
    """What one stream does at a joint: `end` is where its old times would go on, `start` where the new ones do."""

    position: int
    end: Fraction
    start: Fraction

    @property
    def is_ahead(self) -> bool:
        return self.start > self.end

    def is_beside(self, other: _Jump) -> bool:
        """Whether two streams do the same. One that goes on long after the other has ended is not in its outage."""
        near = abs(self.start - other.start) < _BESIDE and self.is_ahead == other.is_ahead
        return near and (not self.is_ahead or abs(self.end - other.end) < _BESIDE)


@dataclass
class _Seen:
    """What is known of a stream: its last time and usual distance, and where in the file it begins and ends."""

    time: Fraction
    usual: Fraction
    first: int
    last: int


class JumpFinder:
    """Takes a file's packets in order, without decoding them, and finds the joints. `pictures`: packets of these."""

    def __init__(self, picture: int) -> None:
        self.pictures = 0
        self._picture = picture
        self._seen: dict[int, _Seen] = {}
        self._jumps: dict[int, list[_Jump]] = {}

    def see(self, packet: Packet[Stream]) -> None:
        """Note a packet; one without a time or a place says nothing about joints."""
        self.pictures += packet.stream.index == self._picture
        if packet.dts is None or packet.pos is None or packet.pos < 0:
            return
        stream, time = packet.stream.index, packet.dts * packet.time_base
        step = packet.duration * packet.time_base if packet.duration else None
        known = self._seen.get(stream)
        if known is None:
            self._seen[stream] = _Seen(time, step or Fraction(1, 25), packet.pos, packet.pos)
            return
        if time < known.time - BACK or time > known.time + AHEAD:
            self._jumps.setdefault(stream, []).append(_Jump(packet.pos, known.time + known.usual, time))
        elif step is None and 0 < time - known.time < 1:
            step = time - known.time
        known.time, known.usual, known.last = time, step or known.usual, packet.pos

    def joints(self, foreign: Collection[int] = ()) -> tuple[Joint, ...]:
        """The joints in the order of the file. `foreign`: streams whose clock is another one."""
        others = [number for number in self._seen if number != self._picture and number not in foreign]
        found, shift = [], Fraction(0)
        for jump in self._jumps.get(self._picture, ()):
            beside = [o.position for number in others for o in self._jumps.get(number, ()) if jump.is_beside(o)]
            if beside or self._is_alone(jump, others):
                shift += jump.end - jump.start
                found.append(Joint(min([jump.position, *beside]), shift))  # the first to jump begins the new part
        return tuple(found)

    def _is_alone(self, jump: _Jump, others: Sequence[int]) -> bool:
        """Whether a jump that no other stream makes is one of the clock: no stream runs on through it, and it is none
        that a picture may make which stands still.
        """
        if any(self._seen[number].first < jump.position < self._seen[number].last for number in others):
            return False
        return not jump.is_ahead or jump.start - jump.end > LONGEST_GAP


class Timeline:
    """Moves packets to the times they have in the whole, before they are decoded or copied."""

    def __init__(self, joints: Sequence[Joint]) -> None:
        self._positions = [joint.position for joint in joints]
        self._shifts = [joint.shift for joint in joints]
        self._part = 0

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to move."""
        return not self._shifts

    def place(self, packet: Packet[Stream]) -> bool:
        """Change a packet's times; tell whether it is the first one behind a joint."""
        if self.is_plain or packet.pos is None:
            return False
        number = bisect_right(self._positions, packet.pos)
        fresh, self._part = number > self._part, max(self._part, number)
        if number == 0:
            return False
        ticks = round(self._shifts[number - 1] / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks
        return fresh
