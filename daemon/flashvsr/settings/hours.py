"""Hours of the week, as people write them: "22:00-07:00", "mon-fri 22:00-07:00, sat,sun 00:00-24:00"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flashvsr.settings.kinds import Kind, Refused, Text, shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # as time.struct_time counts them, from 0
WHOLE_DAY = 24 * 60  # minutes

_LONG = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = r"([0-9]{1,2}):([0-9]{2})"
_SPAN = re.compile(rf"{_TIME}\s*[-\u2013]\s*{_TIME}")  # with a hyphen or a dash


@dataclass(frozen=True)
class Span:
    """From one time of the day to another, on each of `days`: those on which it begins. Times are in minutes.

    One that ends no later than it begins goes on into the next day.
    """

    days: frozenset[int]
    start: int
    end: int

    def contains(self, day: int, minute: int) -> bool:
        """Whether the clock shows a time of this span: a day of the week from 0, and a minute of that day."""
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        if minute >= self.start:
            return day in self.days
        return minute < self.end and (day - 1) % 7 in self.days


@dataclass(frozen=True)
class Hours:
    """All spans; none means always."""

    spans: tuple[Span, ...]

    def contain(self, day: int, minute: int) -> bool:
        """Whether one of the spans contains that."""
        return not self.spans or any(span.contains(day, minute) for span in self.spans)

    @property
    def edges(self) -> frozenset[int]:
        """The times of the day, in minutes, at which a span begins or ends."""
        return frozenset(edge for span in self.spans for edge in (span.start, span.end))


@dataclass(frozen=True)
class WeekHours(Kind):
    """Hours of the week as text; the empty text for always."""

    @property
    def allowed(self) -> str:
        """How they are written."""
        return '"" for always, or hours such as "22:00-07:00" or "mon-fri 22:00-07:00, sat,sun 00:00-24:00"'

    def accept(self, value: object, base: Path) -> str:
        """Return the text as it is, once it is understood."""
        text = Text().accept(value, base)
        parse_hours(text)
        return text


@lru_cache(maxsize=8)
def parse_hours(text: str) -> Hours:
    """Understand hours. Raises Refused, which says what of it is not understood.

    Parts are separated by commas. Days stand before the hours that they are for; further days, after commas, too.
    """
    spans: list[Span] = []
    days: set[int] = set()
    for part in text.split(",") if text.strip() else ():
        words = part.strip().lower()
        match = _SPAN.search(words)
        named = words[: match.start()].strip() if match else words
        if match is None:
            if ":" in words or words[:1].isdigit() or not words:
                raise Refused(_not_understood(part))
            days |= _days(named, part)
            continue
        if words[match.end() :]:
            raise Refused(_not_understood(part))
        if days and not named:
            raise Refused(f'write the last day and its hours without a comma between, such as "sat,sun {words}"')
        days |= _days(named, part) if named else set(range(7))
        spans.append(Span(frozenset(days), *_times(match, part)))
        days = set()
    if days:
        raise Refused(f'{shown(text)} ends with days without hours; the whole day is "sat,sun 00:00-24:00"')
    return Hours(tuple(spans))


def minutes_of(text: str) -> int:
    """Read a time of the day, "07:00", in minutes. Raises Refused."""
    match = re.fullmatch(_TIME, text.strip())
    if match is None:
        raise Refused(f'{shown(text)} is not a time such as "07:00"')
    return _minutes(match[1], match[2], text)


def _times(match: re.Match[str], part: str) -> tuple[int, int]:
    start, end = _minutes(match[1], match[2], part), _minutes(match[3], match[4], part, last=WHOLE_DAY)
    if start == end:
        raise Refused(f'{shown(part.strip())} ends when it begins; the whole day is "00:00-24:00"')
    return start, end


def _minutes(hour: str, minute: str, part: str, last: int = WHOLE_DAY - 1) -> int:
    found = 60 * int(hour) + int(minute)
    if int(minute) > 59 or found > last:
        raise Refused(f"{hour}:{minute} in {shown(part.strip())} is no time of the day")
    return found


def _days(named: str, part: str) -> set[int]:
    """The days of "mon", "Monday" or "fri-mon"."""
    ends = [_day(word.strip(), part) for word in re.split("[-\u2013]", named)]
    if len(ends) > 2:
        raise Refused(_not_understood(part))
    first, last = ends[0], ends[-1]
    return {(first + offset) % 7 for offset in range((last - first) % 7 + 1)}


def _day(word: str, part: str) -> int:
    for names in (DAYS, _LONG):
        if word in names:
            return names.index(word)
    raise Refused(f"{shown(word)} in {shown(part.strip())} is no day; days are {' '.join(DAYS)}")


def _not_understood(part: str) -> str:
    return f"{shown(part.strip())} is not understood"
