"""Where a clock is taken to jump, by packets alone: each bound at its edge, and what the streams beside say."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.video.timeline import AHEAD, BACK, JOINABLE, Joint, JumpFinder, Timeline
from flashvsr.video.timing import LONGEST_GAP

TICK = Fraction(1, 1000)
PICTURE, SOUND, OTHER = 0, 1, 2


@dataclass
class Packet:
    """What a finder looks at."""

    stream: Any
    dts: int | None
    pts: int | None
    pos: int | None
    duration: int | None = 40
    time_base: Fraction = TICK


def packet(stream: int, seconds: Fraction | float | None, pos: int | None, duration: int | None = 40) -> Packet:
    time = None if seconds is None else round(Fraction(seconds).limit_denominator(10_000) / TICK)
    return Packet(SimpleNamespace(index=stream), time, time, pos, duration)


def joints(*packets: Packet, foreign: tuple[int, ...] = ()) -> list[tuple[int, Fraction]]:
    finder = JumpFinder(PICTURE)
    for given in packets:
        finder.see(given)  # type: ignore[arg-type]
    return [(joint.position, joint.shift) for joint in finder.joints(foreign)]


def picture(*given: tuple[float, int]) -> list[Packet]:
    return [packet(PICTURE, seconds, pos) for seconds, pos in given]


def sound(*given: tuple[float, int], stream: int = SOUND) -> list[Packet]:
    return [packet(stream, seconds, pos) for seconds, pos in given]


def test_the_formats_that_cat_joins() -> None:
    assert {"mpegts", "mpeg"} == JOINABLE
    assert (Fraction(1, 2), Fraction(10)) == (BACK, AHEAD)


@pytest.mark.parametrize(("back", "found"), [(0.5, False), (0.501, True), (3, True)])
def test_a_step_back(back: float, found: bool) -> None:
    """Half a second may be reordering. The new part begins where the old one would go on, a frame later."""
    shift = Fraction(back).limit_denominator(1000) + Fraction(40, 1000)
    assert joints(*picture((20, 100), (20 - back, 200))) == ([(200, shift)] if found else [])


@pytest.mark.parametrize(("ahead", "found"), [(10, False), (10.001, True)])
def test_a_step_ahead_of_both(ahead: float, found: bool) -> None:
    packets = [*picture((20, 100), (20 + ahead, 200)), *sound((20, 110), (20 + ahead, 210))]
    shift = Fraction(40, 1000) - Fraction(ahead).limit_denominator(1000)
    assert joints(*packets) == ([(200, shift)] if found else [])


@pytest.mark.parametrize(
    ("ahead", "found"), [(LONGEST_GAP, False), (LONGEST_GAP + Fraction(40, 1000), False), (LONGEST_GAP + 1, True)]
)
def test_a_picture_that_leaps_alone_stands_as_long_as_a_result_can_hold(ahead: Fraction, found: bool) -> None:
    assert bool(joints(*picture((20, 100), (float(20 + ahead), 200)))) is found


def test_sound_that_runs_through_says_that_the_picture_stands() -> None:
    run = sound((19, 90), (21, 190), (33, 290))
    assert joints(*picture((20, 100), (40, 200)), *run) == []
    assert joints(*picture((20, 100), (2, 200)), *run) == []
    assert joints(*picture((20, 100), (2, 200)), *sound((19, 90), (20, 190))) != [], "it ends before the jump"
    assert joints(*picture((20, 100), (2, 200)), *sound((2, 210), (3, 290))) != [], "it begins after the jump"
    assert joints(*picture((20, 100), (2, 200)), *run, foreign=(SOUND,)) != [], "another programme's clock"


@pytest.mark.parametrize(("apart", "together"), [(4.999, True), (5, False)])
def test_how_far_apart_streams_jump_together(apart: float, together: bool) -> None:
    """Of two that jump back, the places where they go on; of two that leap ahead, also where they stop."""
    on = sound((200, 90), (201, 150))  # its clock is another after the jump
    back = [*picture((200, 100), (20, 200)), *on, *sound((20 + apart, 160), (21 + apart, 300))]
    assert bool(joints(*back)) is together
    ahead = [*picture((20, 100), (60, 200)), *sound((19, 90), (20 - apart, 95), (60, 160), (61, 300))]
    assert bool(joints(*ahead)) is together


def test_one_that_leaps_and_one_that_goes_back_do_not_jump_together() -> None:
    """Though they go on at one time: the sound was not lost when the clock began anew."""
    assert joints(*picture((200, 100), (20, 200)), *sound((5, 90), (20, 160), (21, 300))) == []


def test_the_new_part_begins_with_the_first_stream_that_jumps() -> None:
    late = [*picture((20, 100), (2, 200)), *sound((20, 110), (2, 210))]
    early = [*picture((20, 100), (2, 200)), *sound((20, 110), (2, 190))]
    third = [*early, *sound((20, 120), (2, 180), stream=OTHER)]
    assert [joints(*packets)[0][0] for packets in (late, early, third)] == [200, 190, 180]
    assert joints(*third, foreign=(OTHER,))[0][0] == 190


def test_shifts_add_up() -> None:
    step = Fraction(40, 1000)
    assert joints(*picture((20, 100), (2, 200), (12, 300), (5, 400))) == [(200, 18 + step), (400, 25 + 2 * step)]


def test_the_usual_distance_is_told_or_measured_or_a_frame_of_25() -> None:
    told = [packet(PICTURE, 20, 100, 80), packet(PICTURE, 2, 200, 80)]
    assert joints(*told) == [(200, 18 + Fraction(80, 1000))]
    measured = [packet(PICTURE, time, pos, None) for time, pos in ((20, 100), (20.1, 200), (2, 300))]
    assert joints(*measured) == [(300, Fraction(182, 10))]
    a_gap = [packet(PICTURE, time, pos, None) for time, pos in ((20, 100), (21, 200), (2, 300))]
    assert joints(*a_gap) == [(300, 19 + Fraction(40, 1000))]


def test_packets_without_a_time_or_a_place_say_nothing() -> None:
    nothing = [packet(PICTURE, None, 150), packet(PICTURE, 900, None), packet(PICTURE, 900, -1)]
    assert joints(*picture((20, 100)), *nothing, *picture((20.04, 200))) == []
    assert joints(*picture((20, 0), (2, 200))) != [], "the first byte is a place"
    finder = JumpFinder(PICTURE)
    for given in [*nothing, *picture((1, 1)), *sound((1, 2))]:
        finder.see(given)  # type: ignore[arg-type]
    assert finder.pictures == 4, "pictures are counted all the same"


def placed(timeline: Timeline, given: Packet) -> tuple[bool, int | None, int | None]:
    fresh = timeline.place(given)  # type: ignore[arg-type]
    return fresh, given.pts, given.dts


def test_packets_are_moved_from_the_very_byte_on() -> None:
    timeline = Timeline([Joint(100, Fraction(1)), Joint(200, Fraction(3))])
    assert not timeline.is_plain
    found = [placed(timeline, packet(PICTURE, 10, pos)) for pos in (0, 99, 100, 101, 199, 200, 300)]
    assert [fresh for fresh, _, _ in found] == [False, False, True, False, False, True, False]
    assert [pts for _, pts, _ in found] == [10_000, 10_000, 11_000, 11_000, 11_000, 13_000, 13_000]
    assert all(pts == dts for _, pts, dts in found)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_shift_between_two_ticks_is_rounded_to_the_nearer(sign: int) -> None:
    """Each stream has ticks of its own, and none may drift from the others by more than half of one."""
    for shift, ticks in ((Fraction(4, 10_000), 0), (Fraction(6, 10_000), 1), (Fraction(16, 10_000), 2)):
        timeline = Timeline([Joint(100, sign * shift)])
        assert placed(timeline, packet(PICTURE, 10, 100))[1:] == 2 * (10_000 + sign * ticks,)


def test_a_packet_of_the_part_before_is_moved_as_that_and_begins_nothing() -> None:
    timeline = Timeline([Joint(100, Fraction(1)), Joint(200, Fraction(3))])
    assert placed(timeline, packet(SOUND, 10, 200)) == (True, 13_000, 13_000)
    assert placed(timeline, packet(PICTURE, 10, 199)) == (False, 11_000, 11_000)
    assert placed(timeline, packet(PICTURE, 10, 201)) == (False, 13_000, 13_000)


def test_what_has_no_place_or_no_time_stays() -> None:
    timeline = Timeline([Joint(100, Fraction(1))])
    assert placed(timeline, packet(PICTURE, 10, None)) == (False, 10_000, 10_000)
    assert placed(timeline, packet(PICTURE, None, 150)) == (True, None, None)
    assert Timeline([]).is_plain
    assert placed(Timeline([]), packet(PICTURE, 10, 150)) == (False, 10_000, 10_000)
