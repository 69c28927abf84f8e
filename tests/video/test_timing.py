from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest

from flashvsr.video.timing import ContinuousClock, DecodeClock, TimestampGrid, choose_rate, standard_rate

FILM = Fraction(24000, 1001)


@pytest.mark.parametrize(
    ("guess", "meant"),
    [
        (Fraction(2997, 100), Fraction(30000, 1001)),
        (Fraction(23976, 1000), FILM),
        (Fraction(24), Fraction(24)),
        (Fraction(5994, 100), Fraction(60000, 1001)),
        (Fraction(25, 2), Fraction(25, 2)),
        (Fraction(614400, 23327), None),  # an average of a variable rate
    ],
)
def test_standard_rate(guess: Fraction, meant: Fraction | None) -> None:
    assert standard_rate(guess) == meant


def test_implausible_rates_are_passed_over() -> None:
    assert choose_rate(Fraction(15360), None, Fraction(2997, 100)) == Fraction(30000, 1001)
    assert choose_rate(Fraction(0), None) == 25


@pytest.mark.parametrize("rate", [FILM, Fraction(30000, 1001), Fraction(60000, 1001), Fraction(25), Fraction(60)])
def test_milliseconds_become_exact_again(rate: Fraction) -> None:
    grid = TimestampGrid(rate, Fraction(1, 1000))
    stamps = [grid.out_pts(Fraction(round(1000 * n / rate), 1000)) for n in range(20000)]
    assert [pts * grid.time_base for pts in stamps[:3]] == [0, 1 / rate, 2 / rate]
    assert {b - a for a, b in itertools.pairwise(stamps)} == {grid.step}
    assert 1 / grid.time_base >= 90000
    assert grid.step * grid.time_base == 1 / rate


def test_an_offset_start_stays_where_it_is() -> None:
    grid = TimestampGrid(Fraction(30000, 1001), Fraction(1, 90000))
    first = Fraction(843, 90000)
    assert [grid.out_pts(first + n * Fraction(1001, 30000)) * grid.time_base for n in range(2)] == [
        first,
        first + Fraction(1001, 30000),
    ]


def test_variable_rate_is_kept_to_the_tick() -> None:
    chance = random.Random(3)
    tick = Fraction(1, 15360)
    times, now = [], Fraction(0)
    for _ in range(500):
        times.append(now)
        now += chance.choice([512, 640, 461, 210, 1300]) * tick
    for rate in (Fraction(30), Fraction(614400, 23327)):
        grid = TimestampGrid(rate, tick)
        kept = [grid.out_pts(time) * grid.time_base for time in times]
        assert max(abs(a - b) for a, b in zip(kept, times, strict=True)) <= tick


def test_a_gap_in_a_constant_rate_keeps_its_length() -> None:
    grid = TimestampGrid(FILM, Fraction(1, 1000))
    indices = [0, 1, 2, 10, 11, 12]
    stamps = [grid.out_pts(Fraction(round(1000 * n / FILM), 1000)) for n in indices]
    assert stamps == [n * grid.step for n in indices]


def test_output_never_goes_back() -> None:
    grid = TimestampGrid(Fraction(25), Fraction(1, 25), last=7200)
    stamps = [grid.out_pts(Fraction(n, 25)) for n in (0, 1, 1, 3)]
    assert stamps == sorted(set(stamps))
    assert stamps[0] == 7201


def test_continuous_clock_fills_repairs_and_bridges() -> None:
    clock = ContinuousClock(Fraction(1, 10))
    given = [
        Fraction(0),
        None,
        Fraction(2, 10),
        Fraction(2, 10),
        Fraction(3, 10),
        Fraction(-5),
        Fraction(-49, 10),
    ]
    fixed = [clock.fix(time) for time in given]
    assert fixed[:3] == [0, Fraction(1, 10), Fraction(2, 10)]
    assert Fraction(2, 10) < fixed[3] < fixed[4] == Fraction(3, 10)
    assert fixed[5:] == [Fraction(4, 10), Fraction(5, 10)]
    assert clock.jumps == 1


def test_a_leap_ahead_is_bridged_where_there_is_a_limit() -> None:
    """One broken timestamp, or a clock that starts anew hours later; a gap of a minute stays."""
    step, leap = Fraction(1, 25), Fraction(1800)
    given = [Fraction(0), step, Fraction(60), Fraction(40_000), 60 + 2 * step, 60 + 3 * step]
    clock = ContinuousClock(step, 2 * step, leap)
    assert [clock.fix(time) for time in given] == [0, step, 60, 60 + step, 60 + 2 * step, 60 + 3 * step]
    assert clock.jumps == 2
    unlimited = ContinuousClock(step)
    assert [unlimited.fix(time) for time in (Fraction(0), Fraction(40_000))] == [0, 40_000]


def test_decode_times_rise_and_never_pass_the_picture() -> None:
    clock = DecodeClock(2, 10)
    order = [0, 40, 20, 10, 30, 1000, 60, 50, 1010, 2000]  # decode order with two chunks and a gap
    stamps = [clock.dts(pts) for pts in order]
    assert stamps == sorted(set(stamps))
    assert all(dts <= pts for dts, pts in zip(stamps, order, strict=True))
