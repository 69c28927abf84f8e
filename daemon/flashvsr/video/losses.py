"""Frames that are not there: taken by damage, and repeated for the sound's sake, or missing in the source's clock."""

from __future__ import annotations

from fractions import Fraction

_SUSPICION = 32  # frames after damage in which a gap is put down to it: decoders hold frames back
_CADENCE = 8  # frames at constant distance, after which a larger one is a gap
_STEADY = Fraction(1, 10)  # of a frame's length, that milliseconds and the like may be off
_LONGEST_FILL = 60  # seconds of repeated frames; a longer gap keeps the last frame standing instead


class Losses:
    """`damaged`: places that could not be decoded, or not without faults. `repeated`: frames that stand in for others.

    `rate`: frames per second.
    """

    def __init__(self, rate: Fraction) -> None:
        self.damaged = 0
        self.repeated = 0
        self._rate = rate
        self._suspicion = 0
        self._regular = 0  # frames in a row that came one frame's length after the one before
        self._gaps: list[int] = []  # lengths in frames
        self._long: list[Fraction] = []  # seconds that were lost at a time

    def damage(self) -> None:
        self.damaged += 1
        self.suspect()

    def suspect(self) -> None:
        """Put a gap in what follows down to damage."""
        self._suspicion = _SUSPICION

    def between(self, before: Fraction, time: Fraction) -> list[Fraction]:
        """The times of the frames that damage took between two that follow each other; the sound goes on there, too."""
        distance = (time - before) * self._rate
        lost = round(distance) - 1
        suspected, self._suspicion = self._suspicion, max(0, self._suspicion - 1)
        regular = self._regular >= _CADENCE
        self._regular = self._regular + 1 if abs(distance - 1) < _STEADY else 0
        if lost < 1:
            return []
        if not suspected:
            if regular:
                self._gaps.append(lost)
            return []
        if lost > _LONGEST_FILL * self._rate:
            self._long.append(time - before)
            return []
        self.repeated += lost
        return [before + n / self._rate for n in range(1, lost + 1)]

    def warnings(self, frames: int) -> list[str]:
        """What a person should know of a video of so many frames."""
        found = [f"{float(seconds):.0f} seconds are lost; the last frame stands still there" for seconds in self._long]
        if self.damaged:
            found.append(f"{self.damaged} damaged places in the video stream: frames are missing or faulty there")
        if self.repeated:
            found.append(f"{self.repeated} lost frames were replaced by repeating the last good one")
        if self._gaps and len(self._gaps) <= max(1, frames // 50):  # more of them are a variable rate
            found.append(
                f"{sum(self._gaps)} frames seem to be missing in {len(self._gaps)} gaps of the source's clock; the "
                "frame before each stands still there"
            )
        return found
