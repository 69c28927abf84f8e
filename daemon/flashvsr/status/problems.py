"""What the service knows to be wrong, kept in a file for `flashvsr status` and `flashvsr check`.

Only the service sees most of it: a share that is away, a folder it may not read, names that are no videos. The file,
<state>/problems.json, is rewritten when something changes; it says nothing once the service has ended.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flashvsr.files.texts import write_replacing
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

PROBLEMS_NAME = "problems.json"
WRITE_SECONDS = 2.0  # some texts change with every look, such as how long a share has been silent
MOST = 1000
SPEAK_FOR_THEMSELVES = ("settings", "disk", "queue", "inboxes")  # subjects whose texts say what they are about


@dataclass(frozen=True)
class Problem:
    """Something that a person must mend. `subject`: what has it; `since`: seconds since the epoch."""

    subject: str
    text: str
    since: float

    def __str__(self) -> str:
        """One sentence; what has it is said once.

        A path is unmistakable anywhere in the text, anything shorter only at its beginning.
        """
        named = self.text.startswith(self.subject) or ("/" in self.subject and self.subject in self.text)
        named = named or self.subject in SPEAK_FOR_THEMSELVES
        return self.text if named else f"{self.subject}: {self.text}"


class ProblemList:
    """The problems of a running service. Knows since when each has been there, and keeps the file up to date."""

    def __init__(self, state: Path) -> None:
        self._path = state / PROBLEMS_NAME
        self._known: dict[tuple[str, int], Problem] = {}
        self._written: list[Problem] | None = None
        self._next_write = 0.0

    def update(self, found: Iterable[tuple[str, str]]) -> list[Problem]:
        """Take over what is wrong now, as (subject, text); return it, the newest first.

        A subject may have several problems at once, told apart by their order.
        """
        numbers: dict[str, int] = {}
        known: dict[tuple[str, int], Problem] = {}
        for subject, text in found:
            number = numbers[subject] = numbers.get(subject, 0) + 1
            before = self._known.get((subject, number))
            known[subject, number] = Problem(subject, text, time.time() if before is None else before.since)
        self._known = known
        newest = sorted(known.values(), key=lambda problem: problem.since, reverse=True)
        if newest[:MOST] != self._written and time.monotonic() >= self._next_write:
            self._write(newest[:MOST])
        return newest

    def _write(self, problems: list[Problem]) -> None:
        self._next_write = time.monotonic() + WRITE_SECONDS
        try:
            write_replacing(self._path, json.dumps([asdict(problem) for problem in problems], indent=1))
        except OSError as error:
            log.warning("%s cannot be written, so `flashvsr status` tells less: %s", printable(self._path), error)
        else:
            self._written = problems


def known_problems(state: Path) -> list[Problem]:
    """What the service that runs on this state directory last knew, the newest first; nothing if there is no file.

    Raises OSError where it cannot be read.
    """
    try:
        found = json.loads((state / PROBLEMS_NAME).read_text(encoding="ascii"))
    except (FileNotFoundError, IsADirectoryError, ValueError):  # written whole: only a foreign hand damages it
        return []
    return [problem for entry in found if (problem := _problem(entry))] if isinstance(found, list) else []


def _problem(entry: Any) -> Problem | None:
    if not isinstance(entry, Mapping):
        return None
    subject, text, since = (entry.get(key) for key in ("subject", "text", "since"))
    if isinstance(subject, str) and isinstance(text, str) and isinstance(since, int | float):
        return Problem(subject, text, float(since))
    return None
