"""Moments in words, by the machine's own clock: "03:40", "tomorrow 03:40", "between 03:10 and 04:30"."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from flashvsr.status.estimate import GUESSED, MEASURED, Estimate

_ROUGH = 1800.0  # seconds from the earliest to the latest end from which on both are told


def clock_text(seconds: float) -> str:
    """Date and time of day, as the machine's clock shows them. `seconds`: since the epoch."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def when_text(moment: float, now: float) -> str:
    """The time of day, with the day where it is not today."""
    day, clock = _parts(moment, now)
    return f"{day} {clock}".lstrip()


def end_text(found: Estimate, now: float) -> str:
    """When something ends that takes so long from `now` on, for example "about 03:40", "between 03:10 and 04:30"."""
    least, most = _rounded(now + found.least, found), _rounded(now + found.most, found)
    perhaps = "perhaps " if found.basis == GUESSED else ""
    if found.basis == MEASURED and found.most - found.least < _ROUGH:
        return _about(_rounded(now + (found.least + found.most) / 2, found), now)
    first, last = when_text(least, now), when_text(most, now)
    if first == last:
        return f"{perhaps}{last}" if perhaps else _about(most, now)
    (day, _), (last_day, clock) = _parts(least, now), _parts(most, now)
    if not day and last_day:
        first = f"{first} today"
    return f"{perhaps}between {first} and {clock if day == last_day else last}"


def _about(moment: float, now: float) -> str:
    """For example "tomorrow about 03:40"."""
    day, clock = _parts(moment, now)
    return f"{day} about {clock}".lstrip()


def _parts(moment: float, now: float) -> tuple[str, str]:
    """The day, empty for today, and the time of day."""
    then, today = datetime.fromtimestamp(moment), datetime.fromtimestamp(now).date()
    ahead = (then.date() - today) // timedelta(days=1)
    day = {0: "", 1: "tomorrow", -1: "yesterday"}.get(ahead, "")
    if 2 <= ahead <= 6:
        day = f"{then:%A}"
    elif not -1 <= ahead <= 6:
        day = f"{then:%Y-%m-%d}"
    return day, f"{then:%H:%M}"


def _rounded(moment: float, found: Estimate) -> float:
    """Nobody knows it to the minute: of more than an hour every fifth is enough."""
    step = 300 if found.most > 3600 else 60
    return round(moment / step) * step
