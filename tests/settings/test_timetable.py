"""Hours by the clock on the wall: midnight, week days, the nights in which clocks change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flashvsr.settings.hours import parse_hours
from flashvsr.settings.timetable import allowed, clock_words, next_change, next_time

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ZoneInfo]]:
    def use(name: str) -> ZoneInfo:
        monkeypatch.setenv("TZ", name)
        time.tzset()
        return ZoneInfo(name)

    yield use
    monkeypatch.undo()
    time.tzset()


def at(text: str, place: ZoneInfo, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=place, fold=fold).timestamp()


def shown(moment: float | None, place: ZoneInfo) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment, place).strftime("%a %H:%M")


# 2026-11-30 is a Monday.
@pytest.mark.parametrize(
    ("hours", "moment", "inside", "change"),
    [
        ("22:00-07:00", "2026-11-30 21:59:59", False, "Mon 22:00"),
        ("22:00-07:00", "2026-11-30 22:00:00", True, "Tue 07:00"),
        ("22:00-07:00", "2026-11-30 00:00:00", True, "Mon 07:00"),
        ("22:00-07:00", "2026-11-30 07:00:00", False, "Mon 22:00"),
        ("09:00-12:30, 14:00-17:00", "2026-11-30 12:29:00", True, "Mon 12:30"),
        ("09:00-12:30, 14:00-17:00", "2026-11-30 12:30:00", False, "Mon 14:00"),
        ("22:00-02:00, 01:00-07:00", "2026-11-30 23:00:00", True, "Tue 07:00"),  # they meet
        ("mon-fri 22:00-07:00", "2026-11-29 23:00:00", False, "Mon 22:00"),
        ("mon-fri 22:00-07:00", "2026-11-30 03:00:00", False, "Mon 22:00"),  # Sunday's night
        ("mon-fri 22:00-07:00", "2026-12-05 03:00:00", True, "Sat 07:00"),  # Friday's
        ("mon-fri 22:00-07:00", "2026-12-05 07:00:00", False, "Mon 22:00"),
        ("mon-fri 22:00-07:00, sat,sun 00:00-24:00", "2026-12-05 07:00:00", True, "Mon 00:00"),
        ("sat 00:00-24:00", "2026-12-06 00:00:00", False, "Sat 00:00"),
        ("sun 23:00-24:00", "2026-12-06 23:59:59", True, "Mon 00:00"),
        ("00:00-24:00", "2026-11-30 12:00:00", True, ""),
    ],
)
def test_inside_or_not_and_until_when(
    zone: Callable[[str], ZoneInfo], hours: str, moment: str, inside: bool, change: str
) -> None:
    place = zone("Europe/Berlin")
    now = at(moment, place)
    assert allowed(parse_hours(hours), now) is inside
    assert shown(next_change(parse_hours(hours), now), place) == change


def test_always_without_hours() -> None:
    assert allowed(parse_hours(""), 0.0)
    assert next_change(parse_hours(" "), 0.0) is None


def test_clocks_put_forward(zone: Callable[[str], ZoneInfo]) -> None:
    place = zone("Europe/Berlin")  # 2026-03-29: at 02:00 it is 03:00
    evening = at("2026-03-28 23:00", place)
    night = parse_hours("22:00-07:00")
    end = next_change(night, evening)
    assert end == evening + 7 * 3600  # an hour shorter
    assert shown(end, place) == "Sun 07:00"
    within_the_gap = parse_hours("02:30-05:00")
    begin = next_change(within_the_gap, evening)
    assert begin == at("2026-03-29 03:00", place)  # at once: the clock has passed half past two
    assert allowed(within_the_gap, begin or 0.0)
    assert not allowed(within_the_gap, (begin or 0.0) - 1)


def test_clocks_put_back(zone: Callable[[str], ZoneInfo]) -> None:
    place = zone("Europe/Berlin")  # 2026-10-25: at 03:00 it is 02:00
    evening = at("2026-10-24 23:00", place)
    assert next_change(parse_hours("22:00-07:00"), evening) == evening + 9 * 3600  # an hour longer
    half_past = parse_hours("22:00-02:20")
    first = next_change(half_past, evening) or 0.0
    assert first == at("2026-10-25 02:20", place)
    again = next_change(half_past, first) or 0.0
    assert again == at("2026-10-25 02:00", place, fold=1)
    assert next_change(half_past, again) == at("2026-10-25 02:20", place, fold=1)


@pytest.mark.parametrize("name", ZONES)
def test_the_next_change_is_the_first_one(zone: Callable[[str], ZoneInfo], name: str) -> None:
    """Against a look at every minute, over the nights in which clocks change in these places."""
    place = zone(name)
    for text in ("22:00-02:40", "02:10-02:20, 23:59-00:01", "sun 01:50-03:30"):
        hours = parse_hours(text)
        for night in ("2026-03-28", "2026-10-24", "2026-04-04", "2026-09-05", "2026-10-03", "2026-11-01", "2026-03-08"):
            begin = at(f"{night} 20:30", place)
            minutes = [begin + 60 * number for number in range(12 * 60)]
            answers = [allowed(hours, moment) for moment in minutes]
            for number in range(0, len(minutes), 197):
                later = (n for n in range(number + 1, len(minutes)) if answers[n] is not answers[number])
                found = next_change(hours, minutes[number])
                if (first := next(later, None)) is not None:
                    assert found == minutes[first], (name, text, night, number)
                else:
                    assert found is None or found > minutes[-1]


@pytest.mark.parametrize("name", ZONES)
def test_the_next_time_of_the_day(zone: Callable[[str], ZoneInfo], name: str) -> None:
    place = zone(name)
    for day in range(0, 366, 3):
        noon = datetime(2026, 1, 1, 12, tzinfo=place) + timedelta(days=day)
        found = next_time(7 * 60, noon.timestamp())
        assert datetime.fromtimestamp(found, place).strftime("%H:%M:%S") == "07:00:00"
        assert datetime.fromtimestamp(found, place).date() == noon.date() + timedelta(days=1)


def test_the_next_time_on_odd_nights(zone: Callable[[str], ZoneInfo]) -> None:
    place = zone("Europe/Berlin")
    assert next_time(150, at("2026-03-28 23:00", place)) == at("2026-03-29 03:00", place)  # 02:30 is left out
    assert next_time(150, at("2026-10-25 02:29", place)) == at("2026-10-25 02:30", place)
    assert next_time(150, at("2026-10-25 02:31", place)) == at("2026-10-25 02:30", place, fold=1)  # it comes twice
    assert next_time(420, at("2026-11-30 07:00", place)) == at("2026-12-01 07:00", place)
    assert next_time(0, at("2026-11-30 23:59", place)) == at("2026-12-01 00:00", place)


def test_words_for_a_moment(zone: Callable[[str], ZoneInfo]) -> None:
    place = zone("America/New_York")
    now = at("2026-11-30 21:00", place)
    assert clock_words(at("2026-12-01 07:00", place), now) == "07:00"
    assert clock_words(at("2026-12-04 22:00", place), now) == "Fri 22:00"
    assert clock_words(at("2026-12-24 18:00", place), now) == "2026-12-24 18:00"
