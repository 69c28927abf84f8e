"""When work is allowed by the clock on the wall, and when that changes next.

All of it goes by local time, as people read it. In the night in which clocks are put forward or back the hours follow
them: what the clock does not show does not come, and what it shows twice comes twice. Moments are seconds since the
epoch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from flashvsr.settings.hours import DAYS, Hours

_DAY = 86_400.0
_SHIFTS = (0.0, 1800.0, -1800.0, 3600.0, -3600.0, 7200.0, -7200.0)  # by which clocks are put forward or back
_QUARTER = 900.0  # clocks are put forward or back at full quarters of an hour


def allowed(hours: Hours, moment: float) -> bool:
    """Whether the clock shows one of these hours at that moment."""
    local = time.localtime(moment)
    return hours.contain(local.tm_wday, 60 * local.tm_hour + local.tm_min)


def next_change(hours: Hours, moment: float) -> float | None:
    """Return the first moment after that at which the answer of `allowed` is another one; None within eight days."""
    now = allowed(hours, moment)
    found = (later for later in _candidates(hours, moment) if later > moment and allowed(hours, later) is not now)
    return min(found, default=None)


def next_time(minute: int, moment: float) -> float:
    """Return the first moment after that at which the clock shows this minute of the day.

    On a day that leaves it out, the moment at which the clock leaps over it.
    """
    found = _moments(frozenset({minute}), moment, days=2)
    exact = [later for later in found if later > moment and _minute_of(later) == minute]
    leapt = [leap for leap in _quarters(moment, 2) if leap > moment and _leaps_over(leap, minute)]
    return min(exact + leapt)


def clock_words(moment: float, now: float) -> str:
    """Say when that is: "07:00", "Fri 22:00" where it is not within a day, with its date where it is not this week."""
    local = time.localtime(moment)
    clock = time.strftime("%H:%M", local)
    if moment - now < _DAY:
        return clock
    if moment - now < 6 * _DAY:
        return f"{DAYS[local.tm_wday].capitalize()} {clock}"
    return time.strftime("%Y-%m-%d %H:%M", local)


def _candidates(hours: Hours, moment: float) -> Iterator[float]:
    """All moments at which the answer can change: edges of the hours, and whenever clocks are put forward or back."""
    yield from _moments(hours.edges, moment, days=8)
    yield from _quarters(moment, 8)


def _moments(minutes: frozenset[int], moment: float, days: int) -> Iterator[float]:
    """When the clock may show these minutes of the day, today and on so many days after.

    In the nights in which clocks change it shows some of them at another moment than is found first, or twice.
    """
    today = time.localtime(moment)
    for day in range(-1, days + 1):
        for minute in minutes:
            date = (today.tm_year, today.tm_mon, today.tm_mday + day, 0, minute, 0, 0, 0)
            found = time.mktime((*date, -1))
            yield from (found + shift for shift in _SHIFTS)


def _quarters(moment: float, days: int) -> Iterator[float]:
    first = moment // _QUARTER + 1
    return ((first + number) * _QUARTER for number in range(int(days * _DAY / _QUARTER)))


def _minute_of(moment: float) -> int:
    local = time.localtime(moment)
    return 60 * local.tm_hour + local.tm_min


def _leaps_over(leap: float, minute: int) -> bool:
    before, after = _minute_of(leap - 60), _minute_of(leap)
    return before < minute < after and after - before > 1
