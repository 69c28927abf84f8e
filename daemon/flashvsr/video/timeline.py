"""Recordings that were joined end to end, or cut: where their clock jumps, and how to read it as one.

MPEG transport and program streams may be concatenated as they are, and receivers restart their clock. Picture and
sound jump together but end at different places, so each closed up for itself would lose its sync. Here the picture
is closed up, and the sound of the same stretch of the file is moved by the same amount.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

JOINABLE = frozenset({"mpegts", "mpeg"})  # formats that may be joined by `cat`
BACK, AHEAD = Fraction(1, 2), Fraction(10)  # seconds; a smaller step is reordering, or a gap that stays


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


class JumpFinder:
    """Takes a file's packets in order, without decoding them, and finds the joints. `pictures`: packets of these."""

    def __init__(self, picture: int) -> None:
        self.pictures = 0
        self._picture = picture
        self._last: dict[int, tuple[Fraction, Fraction]] = {}  # stream -> time and usual distance
        self._jumps: dict[int, list[_Jump]] = {}

    def see(self, packet: Packet[Stream]) -> None:
        """Note a packet; one without a time or a place says nothing about joints."""
        self.pictures += packet.stream.index == self._picture
        if packet.dts is None or packet.pos is None or packet.pos < 0:
            return
        stream, time = packet.stream.index, packet.dts * packet.time_base
        known = self._last.get(stream)
        step = packet.duration * packet.time_base if packet.duration else None
        if known is not None:
            before, usual = known
            if time < before - BACK or time > before + AHEAD:
                self._jumps.setdefault(stream, []).append(_Jump(packet.pos, before + usual, time))
            elif step is None and 0 < time - before < 1:
                step = time - before
        self._last[stream] = time, step or (known[1] if known else Fraction(1, 25))

    def joints(self) -> tuple[Joint, ...]:
        """The joints in the order of the file."""
        found, shift = [], Fraction(0)
        for jump in self._jumps.get(self._picture, ()):
            shift += jump.end - jump.start
            found.append(Joint(min([jump.position, *self._beside(jump)]), shift))
        return tuple(found)

    def _beside(self, jump: _Jump) -> list[int]:
        """Where the other streams make the same jump; the first of them is where the new part begins."""
        return [
            other.position
            for stream, jumps in self._jumps.items()
            if stream != self._picture
            for other in jumps
            if abs(other.start - jump.start) < 5 and abs(other.end - jump.end) < 5
        ]


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
