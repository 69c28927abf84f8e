"""When work is done that goes on at some times only: in the hours of `[schedule] run`, not while a service rests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from flashvsr.settings.hours import Hours, parse_hours
from flashvsr.settings.timetable import allowed, next_change

MOST_SPANS = 60  # that are looked up; what comes later is reckoned by the share of the time that these are
_KEPT_SECONDS = 900.0  # how long what was looked up is of use to later snapshots

Span = tuple[float, float]


@dataclass(frozen=True)
class OpenTimes:
    """Work goes on from `since` on, in the hours `run` as the settings have them. All in seconds since the epoch."""

    run: str
    since: float

    def end(self, start: float, seconds: float) -> float:
        """When work of so many seconds is done that begins at `start` or later; infinity if that never comes."""
        start = max(start, self.since)
        if not self.run:
            return start + seconds
        spans = _spans(self.run, int(self.since // _KEPT_SECONDS))
        for number in range(MOST_SPANS):
            span = spans.get(number)
            if span is None:
                return math.inf
            begins, ends = max(start, span[0]), span[1]
            if begins + seconds <= ends:
                return begins + seconds
            seconds -= max(0.0, ends - begins)
        return max(start, spans.known_until) + seconds / spans.share


class _Spans:
    """The times that are open, one after the other, from a moment on; looked up when they are asked for."""

    def __init__(self, hours: Hours, moment: float) -> None:
        self._hours = hours
        self._moment = self.known_until = moment
        self._found: list[Span] = []

    @property
    def share(self) -> float:
        """Which part of the time that is known is open."""
        return sum(ends - begins for begins, ends in self._found) / (self.known_until - self._moment)

    def get(self, number: int) -> Span | None:
        """The span of that number, from 0; None if there is none."""
        while len(self._found) <= number:
            at = self.known_until
            begins = at if at < math.inf and allowed(self._hours, at) else next_change(self._hours, at)
            if begins is None:
                return None
            ends = next_change(self._hours, begins)
            self.known_until = math.inf if ends is None else ends
            self._found.append((begins, self.known_until))
        return self._found[number]


@lru_cache(maxsize=4)
def _spans(run: str, part: int) -> _Spans:
    return _Spans(parse_hours(run), part * _KEPT_SECONDS)
