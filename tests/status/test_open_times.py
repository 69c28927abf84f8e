"""When work is done that goes on at some hours only."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from flashvsr.status.open_times import MOST_SPANS, OpenTimes, _spans

ZONE = ZoneInfo("Europe/Berlin")
HOUR = 3600.0


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", ZONE.key)
    time.tzset()
    _spans.cache_clear()
    yield
    _spans.cache_clear()
    monkeypatch.undo()
    time.tzset()


def at(day: int, hour: int, minute: int = 0) -> float:
    """In November 2026, whose first day is a Sunday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE).timestamp()


def end(run: str, since: float, start: float, hours: float) -> str:
    found = OpenTimes(run, since).end(start, hours * HOUR)
    return f"{datetime.fromtimestamp(found, ZONE):%d %H:%M}"


@pytest.mark.parametrize(
    ("start", "hours", "expected"),
    [
        (at(2, 12), 1, "02 23:00"),
        (at(2, 23), 1, "03 00:00"),
        (at(2, 23), 8, "03 07:00"),
        (at(2, 23), 8.5, "03 22:30"),
        (at(2, 12), 9 + 9 + 1, "04 23:00"),
        (at(2, 6, 30), 1, "02 22:30"),
        (at(2, 22), 0, "02 22:00"),
        (at(4, 12), 1, "04 23:00"),
    ],
)
def test_only_at_night(start: float, hours: float, expected: str) -> None:
    assert end("22:00-07:00", at(2, 6), start, hours) == expected


def test_always() -> None:
    assert OpenTimes("", 100.0).end(150.0, 7.0) == 157.0
    assert OpenTimes("", 200.0).end(150.0, 7.0) == 207.0


def test_a_rest_ends_within_the_hours_or_outside_of_them() -> None:
    assert end("22:00-07:00", at(3, 1), at(2, 23), 1) == "03 02:00"
    assert end("22:00-07:00", at(3, 9), at(2, 23), 1) == "03 23:00"


def test_of_weeks_ahead_the_share_of_the_time_counts() -> None:
    nights = MOST_SPANS * 9.0
    found = OpenTimes("22:00-07:00", at(2, 6)).end(at(2, 12), 2 * nights * HOUR) - at(2, 12)
    assert found == pytest.approx(2 * MOST_SPANS * 24 * HOUR, rel=0.02)
    later = at(2, 12) + 300 * 24 * HOUR
    assert OpenTimes("22:00-07:00", at(2, 6)).end(later, 9 * HOUR) == pytest.approx(later + 24 * HOUR, abs=HOUR)


def test_all_hours_that_are_written_out_have_no_end() -> None:
    assert OpenTimes("00:00-24:00", at(2, 6)).end(at(2, 12), 1e6) == at(2, 12) + 1e6


def test_what_is_known_serves_later_snapshots() -> None:
    run, late = "mon 10:00-11:00", at(2, 10, 50)
    for since in (at(2, 10, 45), late, late + 60):
        assert OpenTimes(run, since).end(since, 60.0) == since + 60
    assert _spans.cache_info().misses == 1
    assert OpenTimes(run, late).end(late, 11 * 60.0) == at(9, 10, 1)
    assert OpenTimes(run, late).end(late, 1e12) < math.inf
