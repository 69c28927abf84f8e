"""A pause that a person asked for: a small file in the state directory, which outlives the service and the machine.

It is written by `flashvsr pause` and removed by `flashvsr resume`; the service looks at it at every turn.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flashvsr.files.advice import explained
from flashvsr.files.objects import Unusable, clear_name, read_object
from flashvsr.files.state import StateDirectory
from flashvsr.files.texts import write_replacing
from flashvsr.jobs.owner import this_boot
from flashvsr.settings.hours import minutes_of
from flashvsr.settings.kinds import Refused, shown
from flashvsr.settings.timetable import next_time
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

LARGEST = 4096  # bytes of the file
LONGEST_SECONDS = 366 * 86_400.0
LONGEST_DAY = 25 * 3600.0  # that in which clocks are put back: the same time of the day comes again by then
_LARGEST_NUMBER = 1e11  # seconds; what is more is no moment that a calendar has
_UNITS = {"d": 86_400, "h": 3600, "m": 60}
_SAME = 1.0  # seconds; two clocks that are read one after the other never tell quite the same


@dataclass(frozen=True)
class Moment:
    """What the clocks show: the one that can be set, and the one of this boot, which cannot and counts sleep, too."""

    clock: float  # seconds since the epoch
    ticks: float
    boot: str

    @classmethod
    def now(cls) -> Moment:
        """Look at the clocks."""
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), this_boot())


@dataclass(frozen=True)
class Wish:
    """For how long a person wants a pause: `seconds`, or until the clock shows `minute` of the day; else for good."""

    seconds: float | None = None
    minute: int | None = None


@dataclass(frozen=True)
class Pause:
    """A pause as it is kept. `ends`: when the clock shows that, None for good.

    The clock may be set meanwhile. So in the boot in which it began it ends at `ticks`, too. Where it was asked for by
    its length (`measured`), these alone decide there.
    """

    ends: float | None = None
    measured: bool = False
    ticks: float | None = None
    boot: str = ""

    @classmethod
    def begin(cls, wish: Wish, now: Moment) -> Pause:
        """Begin one now."""
        if wish.seconds is not None:
            return cls(now.clock + wish.seconds, True, now.ticks + wish.seconds, now.boot)
        if wish.minute is not None:
            return cls(next_time(wish.minute, now.clock), False, now.ticks + LONGEST_DAY, now.boot)
        return cls()

    def until(self, now: Moment) -> float | None:
        """When it ends by the clock as it is now; math.inf for never, None if it is over."""
        if self.ends is None:
            return math.inf
        left = self.ends - now.clock
        if self.ticks is not None and self.boot == now.boot:
            by_ticks = self.ticks - now.ticks
            left = by_ticks if self.measured else min(left, by_ticks)
        return now.clock + left if left > 0 else None


def understand(words: Sequence[str]) -> Wish:
    """Read "2h", "30m", "1h30m", "2 h" or "until 07:00"; nothing is for good. Raises Refused."""
    text = " ".join(words).strip().lower()
    if not text:
        return Wish()
    if text.startswith("until"):
        return Wish(minute=minutes_of(text.removeprefix("until")))
    if re.fullmatch(r"([0-9]{1,6}\s*[dhm]\s*)+", text) is None:
        raise Refused(f'{shown(text)} is no length such as 30m, 2h or 1h30m, and no "until 07:00"')
    seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)\s*([dhm])", text))
    if not 0 < seconds <= LONGEST_SECONDS:
        raise Refused(f"{shown(text)}: a pause takes from a minute to 366 days; without a length it lasts until resume")
    return Wish(seconds=float(seconds))


def keep_pause(state: Path, pause: Pause) -> None:
    """Write it down; durable when it returns. Raises Transient."""
    path = StateDirectory(state).pause
    with explained("write", path):
        clear_name(path)
        write_replacing(path, json.dumps(asdict(pause)))


def end_pause(state: Path) -> bool:
    """Remove it; False if there was none. Raises Transient."""
    path = StateDirectory(state).pause
    with explained("remove", path):
        clear_name(path)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
    return True


class PauseFile:
    """What is in the file of a state directory, read again only when it changed."""

    def __init__(self, state: Path) -> None:
        self._path = StateDirectory(state).pause
        self._version: tuple[int, ...] | None = None
        self._pause: Pause | None = None
        self._until = 0.0

    def until(self, now: Moment) -> float | None:
        """When the pause that is kept there ends, as `Pause.until` says; None if there is none.

        One that was over stays over, however the clock is set. One that cannot be read is one for good: a person
        wanted it.
        """
        version = self._look()
        if version != self._version:
            self._version = version
            self._pause = None if version is None else self._parse()
        until = None if self._pause is None else self._pause.until(now)
        if until is None:
            self._pause = None
            return None
        if math.isinf(until) or abs(until - self._until) >= _SAME:
            self._until = until
        return self._until

    def _look(self) -> tuple[int, ...] | None:
        try:
            stat = self._path.lstat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns

    def _parse(self) -> Pause | None:
        try:
            found = read_object(self._path, LARGEST)
            return None if found is None else _pause(found)
        except (OSError, Unusable) as error:
            log.error("%s cannot be read: %s; it is paused until `flashvsr resume`", printable(self._path), error)
            return Pause()


def _pause(found: dict[str, Any]) -> Pause:
    ends, ticks = (_number(found.get(key)) for key in ("ends", "ticks"))
    if ends is None and found.get("ends") is not None:
        raise Unusable("it tells no end")
    boot = found.get("boot")
    return Pause(ends, found.get("measured") is True, ticks, boot if isinstance(boot, str) else "")


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER
    return float(value) if usable and isinstance(value, int | float) else None
