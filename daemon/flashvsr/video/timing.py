"""The output clock: exact frame times, without drift and without jitter that the source's container added.

Containers round. Matroska stores milliseconds, so 24000/1001 frames a second arrive as 0, 42, 83, 125. The
grid puts such times back where they belong and leaves really variable times alone.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

_MIN_TICKS = 90000  # ticks a second: as fine as MPEG's clock
_MAX_TICKS = 1_000_000  # finer clocks overflow 32-bit fields of MP4 within a film
# Seconds between two frames; MP4 holds 2^31 ticks there, 35 minutes of the finest clock. More is a clock gone wrong.
LONGEST_GAP = Fraction(1800)


def standard_rate(rate: Fraction) -> Fraction | None:
    """The exact rate meant by an approximate one: n/2 or n/2 * 1000/1001 a second; None if it is neither."""
    best: Fraction | None = None
    for factor in (Fraction(1), Fraction(1000, 1001)):
        halves = round(rate * 2 / factor)
        candidate = Fraction(halves, 2) * factor
        if 0 < halves <= 480 and (best is None or abs(candidate - rate) < abs(best - rate)):
            best = candidate
    if best is None or abs(best - rate) > rate / 10000:
        return None
    return best


def choose_rate(*guesses: Fraction | None) -> Fraction:
    """The first plausible guess, made exact where it means a standard rate. 25 if there is none."""
    for guess in guesses:
        if guess is not None and Fraction(1, 100) <= guess <= 480:
            return standard_rate(guess) or guess
    return Fraction(25)


class ContinuousClock:
    """Makes a stream's times (in seconds) usable: fills missing ones, repairs repeats, bridges jumps.

    `step`: the usual distance. A step back of more than `jump` is a new recording that was joined on, and all
    times after it are shifted; a smaller one is a mistake of one frame. A step ahead of more than `leap` is bridged
    like the former; without one, gaps may have any length.
    """

    def __init__(self, step: Fraction, jump: Fraction = Fraction(1), leap: Fraction | None = None) -> None:
        self._step = step
        self._jump = jump
        self._leap = leap
        self._last: Fraction | None = None
        self._shift = Fraction(0)
        self.jumps = 0

    def fix(self, time: Fraction | None, step: Fraction | None = None) -> Fraction:
        """The time to use for the next frame, strictly later than the one before. `step`: usual distance."""
        expected = step or self._step
        if self._last is None:
            self._last = Fraction(0) if time is None else time
            return self._last
        if time is None:
            time = self._last + expected
        else:
            time += self._shift
        if time < self._last - self._jump or (self._leap is not None and time > self._last + self._leap):
            self.jumps += 1
            self._shift += self._last + expected - time
            time = self._last + expected
        elif time <= self._last:
            time = self._last + expected / 8
        self._last = time
        return time


class TimestampGrid:
    """Turns source times into output timestamps in `time_base`, strictly increasing.

    `rate`: the source's frame rate. `tick`: the source's time base, seconds per tick. `origin`: time of the
    first frame of the video if it is known (else the first time given). `last`: the last timestamp already
    written.

    A time is moved onto the grid of the frame rate when it lies within one source tick of it *and* its
    distance from the frame before is a whole number of frame durations. The second condition keeps frames of
    variable rate from being moved just because they happen to come near the grid.
    """

    def __init__(self, rate: Fraction, tick: Fraction, origin: Fraction | None = None, last: int | None = None) -> None:
        exact = standard_rate(rate)
        self.rate = exact or rate
        self.time_base = _time_base(exact, tick)
        self.step = max(1, round(1 / self.rate / self.time_base))  # ticks from frame to frame at constant rate
        self._snaps = exact is not None
        self._tolerance = min(tick, 1 / (4 * self.rate))
        self._origin = origin
        self._previous: Fraction | None = None
        self._last = last

    def out_pts(self, time: Fraction) -> int:
        """The output timestamp of the frame at `time` seconds."""
        if self._origin is None:
            self._origin = time
        exact = self._snapped(time, self._origin)
        self._previous = time
        pts = max(0, round(exact / self.time_base))
        if self._last is not None and pts <= self._last:
            pts = self._last + 1
        self._last = pts
        return pts

    def _snapped(self, time: Fraction, origin: Fraction) -> Fraction:
        if not self._snaps:
            return time
        near = origin + round((time - origin) * self.rate) / self.rate
        if abs(near - time) > self._tolerance:
            return time
        if self._previous is not None:
            distance = (time - self._previous) * self.rate
            if round(distance) < 1 or abs(distance - round(distance)) / self.rate > self._tolerance:
                return time
        return near


def _time_base(rate: Fraction | None, tick: Fraction) -> Fraction:
    """A time base that holds the frame rate exactly, and the source's ticks too where that is reasonable."""
    if rate is None:
        denominator = tick.denominator if tick.denominator <= _MAX_TICKS else _MIN_TICKS
    else:
        denominator = lcm(rate.numerator, tick.denominator)
        if denominator > _MAX_TICKS:
            denominator = rate.numerator
    return Fraction(1, denominator * -(-_MIN_TICKS // denominator))


class DecodeClock:
    """Decode timestamps for packets in decode order, from their presentation timestamps alone.

    Encoders derive dts from frame distances, so those of separately encoded chunks collide where the frame
    rate varies (and some encoders leave them undefined for a single frame). Here dts number n is the
    presentation time of frame n - `depth`, which is strictly increasing across any number of chunks and never
    later than the packet's own time as long as no frame is moved by more than `depth` places. Memory: `depth`
    numbers.
    """

    def __init__(self, depth: int, step: int) -> None:
        self._depth = depth
        self._step = step
        self._waiting: list[int] = []
        self._count = 0
        self._first = 0

    def dts(self, pts: int) -> int:
        """The decode timestamp of the next packet, which is shown at `pts`."""
        if self._count == 0:
            self._first = pts
        self._count += 1
        self._waiting.append(pts)
        self._waiting.sort()
        if self._count <= self._depth:
            return self._first - (self._depth - self._count + 1) * self._step
        return self._waiting.pop(0)
