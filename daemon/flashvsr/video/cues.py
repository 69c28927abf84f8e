"""Subtitles in time: each cue is shown from one moment to another, and several of them may be shown at once.

MP4 shows one text at a time, so cues that overlap become pieces: a new one wherever the set of shown lines changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

BACK = Fraction(1)  # seconds; a larger step back is a new recording that was joined on


class CueClock:
    """Times as they are, but never backwards: results are written in order. Two cues may begin together.

    `restarts`: whether the source's clock may begin anew; its later cues are then moved behind the earlier ones.
    """

    def __init__(self, restarts: bool) -> None:
        self._restarts = restarts
        self._last: Fraction | None = None
        self._shift = Fraction(0)

    def fix(self, time: Fraction) -> Fraction:
        """The time to use for the next cue, at the earliest that of the one before."""
        time += self._shift
        if self._last is not None and time < self._last:
            if self._restarts and time < self._last - BACK:
                self._shift += self._last - time
            time = self._last
        self._last = time
        return time


@dataclass(frozen=True)
class Cue:
    """A text and when it is shown, in seconds."""

    start: Fraction
    end: Fraction
    text: bytes


class Pieces:
    """Takes cues in the order of their starts and gives back ones that do not overlap, each with all shown lines."""

    def __init__(self) -> None:
        self._shown: list[Cue] = []
        self._done = Fraction(0)  # up to here, pieces have been given

    def add(self, cue: Cue) -> list[Cue]:
        """Take a cue that begins no earlier than those before; returns the pieces up to its start."""
        ready = self.until(cue.start)
        self._shown.append(cue)
        return ready

    def finish(self) -> list[Cue]:
        """The pieces of all that is still shown."""
        return self.until(max((cue.end for cue in self._shown), default=Fraction(0)))

    def until(self, time: Fraction) -> list[Cue]:
        """The pieces up to `time`, where no further cue begins earlier."""
        ready: list[Cue] = []
        while self._shown:
            start = max(self._done, min(cue.start for cue in self._shown))
            showing = [cue for cue in self._shown if cue.start <= start < cue.end]
            changes = [cue.end for cue in showing] + [cue.start for cue in self._shown if cue.start > start]
            end = min([*changes, time])
            if start >= time or (not showing and not changes):
                break
            if showing and end > start:
                ready.append(Cue(start, end, b"\n".join(dict.fromkeys(cue.text for cue in showing))))
            self._done = end
            self._shown = [cue for cue in self._shown if cue.end > end]
        return ready
