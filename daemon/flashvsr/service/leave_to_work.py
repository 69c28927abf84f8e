"""Whether workers may work at this moment: not while a person paused the service, nor outside [schedule] run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from flashvsr.service.pause import Moment, PauseFile
from flashvsr.settings.hours import parse_hours
from flashvsr.settings.timetable import allowed, clock_words, next_change


@dataclass(frozen=True)
class Rest:
    """Why there is no work now, for people; `until` seconds since the epoch, None where that is not known."""

    words: str
    until: float | None


class LeaveToWork:
    """Asks the pause of a state directory and the hours of the settings."""

    def __init__(self, state: Path) -> None:
        self._pause = PauseFile(state)
        self._change: tuple[str, float, float | None] = "", 0.0, None  # hours, minute, next change

    def rest(self, run: str, now: Moment) -> Rest | None:
        """Why to rest at this moment; None if there may be work. `run`: the hours, as the settings have them."""
        until = self._pause.until(now)
        if until is not None:
            if math.isinf(until):
                return Rest("paused by flashvsr pause until flashvsr resume", None)
            return Rest(f"paused until {clock_words(until, now.clock)} by flashvsr pause", until)
        if allowed(parse_hours(run), now.clock):
            return None
        begins = self._next_change(run, now.clock)
        when = "" if begins is None else f" until {clock_words(begins, now.clock)}"
        return Rest(f"outside [schedule] run{when}", begins)

    def _next_change(self, run: str, moment: float) -> float | None:
        """It is looked for once a minute: asked for at every turn."""
        minute = moment // 60
        if self._change[:2] != (run, minute):
            self._change = run, minute, next_change(parse_hours(run), moment)
        return self._change[2]
