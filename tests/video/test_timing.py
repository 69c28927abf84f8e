from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest

from flashvsr.video.timing import (
    LONGEST_GAP,
    ContinuousClock,
    DecodeClock,
    TimestampGrid,
    choose_rate,
    standard_rate,
)

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


@pytest.mark.slow
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


@pytest.mark.parametrize("given", [True, False], ids=["known", "first"])
def test_the_grid_begins_at_the_first_frame_and_not_at_zero(given: bool) -> None:
    tick, origin = Fraction(1, 1000), Fraction(17, 1000)  # not near the grid of 25 frames a second
    grid = TimestampGrid(Fraction(25), tick, origin if given else None)
    rounded = [origin + Fraction(n, 25) + late * tick for n, late in enumerate((0, 1, 0, -1, 0))]
    assert [grid.out_pts(time) * grid.time_base for time in rounded] == [origin + Fraction(n, 25) for n in range(5)]


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


def test_the_distance_counts_from_where_the_frame_before_really_was() -> None:
    """Both come near the grid, but two ticks apart from a frame's duration: rounding alone makes no more than one."""
    tick = Fraction(1, 1000)
    grid = TimestampGrid(Fraction(25), tick)
    assert [grid.out_pts(n * tick) * grid.time_base for n in (0, 39, 81)] == [0, 40 * tick, 81 * tick]


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


@pytest.mark.parametrize("rate", [Fraction(1, 2), Fraction(240), Fraction(240_000, 1001)])
def test_the_slowest_and_the_fastest_standard_rate(rate: Fraction) -> None:
    assert standard_rate(rate) == rate


@pytest.mark.parametrize("rate", [Fraction(0), Fraction(1, 5), Fraction(481, 2), Fraction(300)])
def test_rates_beyond_them_are_no_standard(rate: Fraction) -> None:
    assert standard_rate(rate) is None


@pytest.mark.parametrize("sign", [-1, 1])
def test_how_near_a_standard_rate_is_meant(sign: int) -> None:
    """One part in ten thousand of the rate that is told."""
    assert standard_rate(25 + sign * Fraction(24, 10_000)) == 25
    assert standard_rate(25 + sign * Fraction(26, 10_000)) is None


def test_the_bounds_of_plausible_rates() -> None:
    assert choose_rate(Fraction(1, 100), Fraction(30)) == Fraction(1, 100)
    assert choose_rate(Fraction(1, 101), Fraction(30)) == 30
    assert choose_rate(Fraction(480), Fraction(30)) == 480
    assert choose_rate(Fraction(481), Fraction(30)) == 30


STEP = Fraction(1, 10)


@pytest.mark.parametrize("jump", [None, Fraction(1, 2)])
def test_a_step_back_of_just_the_jump_is_one_frames_mistake(jump: Fraction | None) -> None:
    for back, bridged in ((jump or 1, False), ((jump or 1) + Fraction(1, 1000), True)):
        clock = ContinuousClock(STEP) if jump is None else ContinuousClock(STEP, jump)
        assert clock.fix(Fraction(5)) == 5
        assert clock.fix(Fraction(5 - back)) == 5 + (STEP if bridged else STEP / 8)
        assert clock.jumps == bridged
        assert clock.fix(5 + 2 * STEP) == 5 + (3 * STEP + back if bridged else 2 * STEP)


def test_a_step_ahead_of_just_the_leap_is_a_gap() -> None:
    for ahead, bridged in ((Fraction(30), False), (Fraction(30_001, 1000), True)):
        clock = ContinuousClock(STEP, leap=Fraction(30))
        assert clock.fix(Fraction(5)) == 5
        assert clock.fix(5 + ahead) == 5 + (STEP if bridged else ahead)
        assert clock.jumps == bridged


def test_the_first_time_is_taken_as_it_is_and_is_zero_where_there_is_none() -> None:
    assert ContinuousClock(STEP).fix(Fraction(-7)) == -7
    clock = ContinuousClock(STEP)
    assert [clock.fix(None), clock.fix(None), clock.fix(None, STEP * 3)] == [0, STEP, STEP * 4]


def on_grid(times: list[Fraction], rate: Fraction | int = 25, tick: Fraction = Fraction(1, 1000)) -> list[Fraction]:
    grid = TimestampGrid(Fraction(rate), tick, Fraction(0))
    return [grid.out_pts(time) * grid.time_base for time in times]


def test_a_time_is_moved_by_one_tick_and_no_more() -> None:
    frame, tick = Fraction(1, 25), Fraction(1, 1000)
    assert on_grid([frame + tick]) == on_grid([frame - tick]) == [frame]
    assert on_grid([frame + tick + tick / 10]) == [frame + tick + tick / 10]


def test_a_coarse_tick_moves_a_time_by_a_quarter_of_a_frame_at_most() -> None:
    frame, tick = Fraction(1, 25), Fraction(1, 10)
    assert on_grid([frame + frame / 4], tick=tick) == [frame]
    assert on_grid([frame + frame * 3 / 10], tick=tick) == [frame + frame * 3 / 10]


def test_two_frames_at_almost_one_time_keep_their_distance() -> None:
    assert on_grid([Fraction(0), Fraction(1, 1000)]) == [0, Fraction(1, 1000)]


def test_no_output_time_is_negative() -> None:
    assert on_grid([Fraction(-1), Fraction(1)]) == [0, 1]


@pytest.mark.parametrize(
    ("rate", "tick", "ticks_a_second"),
    [
        (Fraction(25), 1000, 90_000),  # lcm 1000, made finer
        (FILM, 1000, 96_000),  # lcm 24 000
        (Fraction(25), 1_000_000, 1_000_000),  # just fine enough to be kept
        (Fraction(30_000, 1001), 1_000_000, 90_000),  # lcm 3 000 000 is too fine: the rate alone
        (FILM, 1_000_000, 96_000),  # the same, where a clock of 90 000 would not hold the rate
        (Fraction(614400, 23327), 15_360, 92_160),  # a variable rate keeps the source's ticks
        (Fraction(614400, 23327), 1_000_000, 1_000_000),
        (Fraction(614400, 23327), 1_000_001, 90_000),
        (Fraction(614400, 23327), 90_000, 90_000),
    ],
)
def test_the_clock_of_the_output(rate: Fraction, tick: int, ticks_a_second: int) -> None:
    assert TimestampGrid(rate, Fraction(1, tick)).time_base == Fraction(1, ticks_a_second)


def test_the_longest_gap_fits_into_mp4_by_the_finest_clock() -> None:
    assert 1200 < LONGEST_GAP < (1 << 31) * TimestampGrid(Fraction(25), Fraction(1, 1_000_000)).time_base


def test_decode_times_are_those_of_frames_so_many_places_before() -> None:
    clock = DecodeClock(2, 10)
    assert [clock.dts(pts) for pts in (5, 45, 25, 15, 35)] == [-15, -5, 5, 15, 25]
    plain = DecodeClock(0, 10)
    assert [plain.dts(pts) for pts in (5, 15, 25)] == [5, 15, 25]
