"""Since when each problem has been there, and which come first."""

from __future__ import annotations

import time
from collections.abc import Iterable

from flashvsr.status.snapshot import Problem

UNLISTED = "problems"  # what has the last one, which counts those left out
MOST = 1000  # of a flood only the newest are told, and how many more there are


class ProblemList:
    """The problems of a running service; remembers since when each has been there."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Problem] = {}

    def update(self, found: Iterable[tuple[str, str]]) -> tuple[Problem, ...]:
        """Take over what is wrong now, as (subject, text); return it, the newest first.

        A subject may have several problems at once, told apart by their order.
        """
        now = time.time()
        numbers: dict[str, int] = {}
        known: dict[tuple[str, int], Problem] = {}
        for subject, text in found:
            number = numbers[subject] = numbers.get(subject, 0) + 1
            before = self._known.get((subject, number))
            known[subject, number] = Problem(subject, text, now if before is None else before.since)
        self._known = known
        return bounded_list(sorted(known.values(), key=lambda problem: problem.since or 0.0, reverse=True))


def bounded_list(problems: list[Problem]) -> tuple[Problem, ...]:
    """Return at most `MOST` of them, the first ones; the last one counts those left out."""
    if len(problems) <= MOST:
        return tuple(problems)
    left = problems[MOST - 1 :]
    return (*problems[: MOST - 1], Problem(UNLISTED, f"{len(left)} more problems are not listed", left[0].since))
