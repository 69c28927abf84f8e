"""Frames that are not there: which gaps are put down to damage and filled, and which are told."""

from __future__ import annotations

from fractions import Fraction

import pytest

from flashvsr.video.losses import Losses

RATE = Fraction(25)
STEP = 1 / RATE


class Clock:
    """Frames one after the other, at constant distance but where a test says otherwise."""

    def __init__(self, regular: int = 20, rate: Fraction = RATE) -> None:
        self.losses = Losses(rate)
        self._step, self._time = 1 / rate, Fraction(0)
        self.after(*[1] * regular)

    def after(self, *distances: Fraction | float) -> list[int]:
        """The next frames, so many frames' lengths apart; how many stand in for lost ones before each."""
        found = []
        for distance in distances:
            time = self._time + Fraction(distance).limit_denominator(1000) * self._step
            filled = self.losses.between(self._time, time)
            assert filled == [self._time + n * self._step for n in range(1, len(filled) + 1)]
            assert all(self._time < moment < time for moment in filled)
            found.append(len(filled))
            self._time = time
        return found


def test_a_gap_after_damage_is_filled_for_the_sounds_sake() -> None:
    clock = Clock()
    clock.losses.damage()
    assert clock.after(1, 4, 1, 2) == [0, 3, 0, 1]
    assert (clock.losses.damaged, clock.losses.repeated) == (1, 4)
    assert clock.losses.warnings(30) == [
        "1 damaged places in the video stream: frames are missing or faulty there",
        "4 lost frames were replaced by repeating the last good one",
    ]


@pytest.mark.parametrize(("between", "filled"), [(0, 3), (31, 3), (32, 0)])
@pytest.mark.parametrize("why", ["damage", "suspect"])
def test_how_long_a_gap_is_put_down_to_damage(why: str, between: int, filled: int) -> None:
    """Decoders hold frames back. Where a new part begins nothing is known to be damaged."""
    clock = Clock()
    getattr(clock.losses, why)()
    clock.after(*[1] * between)
    assert clock.after(4) == [filled]
    assert clock.losses.damaged == (why == "damage")


def test_a_gap_without_damage_is_told_and_not_filled() -> None:
    clock = Clock()
    assert clock.after(4, *[1] * 9, 3) == [0] * 11
    assert clock.losses.warnings(100) == [
        "5 frames seem to be missing in 2 gaps of the source's clock; the frame before each stands still there"
    ]


@pytest.mark.parametrize(("regular", "told"), [(7, False), (8, True), (9, True)])
def test_after_how_many_frames_alike_a_longer_distance_is_a_gap(regular: int, told: bool) -> None:
    clock = Clock(0)
    clock.after(1.5, *[1] * regular, 4)
    assert bool(clock.losses.warnings(100)) is told


@pytest.mark.parametrize(("off", "told"), [(0.09, True), (-0.09, True), (0.1, False), (-0.11, False)])
def test_how_even_frames_come_that_come_evenly(off: float, told: bool) -> None:
    clock = Clock(7)
    clock.after(1 + off, 4)
    assert bool(clock.losses.warnings(100)) is told


@pytest.mark.parametrize(("gaps", "frames", "told"), [(1, 10, True), (2, 99, False), (2, 100, True), (3, 149, False)])
def test_many_gaps_are_a_variable_rate(gaps: int, frames: int, told: bool) -> None:
    clock = Clock()
    for _ in range(gaps):
        clock.after(4, *[1] * 9)
    assert bool(clock.losses.warnings(frames)) is told


@pytest.mark.parametrize("rate", [RATE, Fraction(50)])
def test_a_minute_is_filled_and_more_is_told(rate: Fraction) -> None:
    clock = Clock(rate=rate)
    clock.losses.damage()
    assert clock.after(60 * rate + 1) == [60 * rate]
    clock.losses.damage()
    assert clock.after(60 * rate + 2) == [0]
    assert clock.losses.repeated == 60 * rate
    assert clock.losses.warnings(9)[0] == "60 seconds are lost; the last frame stands still there"


@pytest.mark.parametrize(("distance", "lost"), [(0.5, 0), (1, 0), (1.49, 0), (1.51, 1), (2.49, 1)])
def test_a_frame_that_comes_a_little_late_is_no_loss(distance: float, lost: int) -> None:
    clock = Clock()
    clock.losses.damage()
    assert clock.after(distance) == [lost]
