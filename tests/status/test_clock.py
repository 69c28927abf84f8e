"""Moments in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from flashvsr.status.clock import clock_text, end_text, when_text
from flashvsr.status.estimate import GUESSED, MEASURED, NEAR, Estimate

HOUR = 3600.0


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """People read their own clock, here that of a place five and a half hours ahead."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+05:30").timestamp()


NOW = at("2026-12-01T20:00:00")  # a Tuesday


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-12-01T03:40:00", "03:40"),
        ("2026-12-01T23:59:59", "23:59"),
        ("2026-12-02T00:00:00", "tomorrow 00:00"),
        ("2026-11-30T23:00:00", "yesterday 23:00"),
        ("2026-11-29T14:02:00", "2026-11-29 14:02"),
        ("2026-12-03T03:40:00", "Thursday 03:40"),
        ("2026-12-07T03:40:00", "Monday 03:40"),
        ("2026-12-08T03:40:00", "2026-12-08 03:40"),
    ],
)
def test_the_day_is_said_where_it_is_not_today(moment: str, text: str) -> None:
    assert when_text(at(moment), NOW) == text


def test_date_and_seconds() -> None:
    assert clock_text(NOW) == "2026-12-01 20:00:00"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Estimate(590, 670, MEASURED), "about 20:10"),
        (Estimate(7 * HOUR, 7.4 * HOUR, MEASURED), "tomorrow about 03:10"),
        (Estimate(7 * HOUR, 8 * HOUR, MEASURED), "between tomorrow 03:00 and 04:00"),
        (Estimate(HOUR, 2 * HOUR, NEAR), "between 21:00 and 22:00"),
        (Estimate(HOUR, HOUR + 70, NEAR), "about 21:00"),
        (Estimate(HOUR, 8 * HOUR, GUESSED), "perhaps between 21:00 today and tomorrow 04:00"),
        (Estimate(10, 20, GUESSED), "perhaps 20:00"),
        (Estimate(30 * HOUR, 60 * HOUR, GUESSED), "perhaps between Thursday 02:00 and Friday 08:00"),
    ],
)
def test_ends_are_as_exact_as_they_are_known(found: Estimate, text: str) -> None:
    assert end_text(found, NOW) == text
