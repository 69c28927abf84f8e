"""What the service tells of itself, in a file for `flashvsr status` and `flashvsr check`.

Only the service sees most of it: a share that is away, a folder it may not read, names that are no videos. The file,
<state>/service.json, is rewritten when something changes; it says nothing once the service has ended.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flashvsr.files.state import StateDirectory
from flashvsr.files.texts import write_replacing
from flashvsr.status.problems import UNLISTED
from flashvsr.status.snapshot import SERVING, InboxState, Problem, ServiceState, Snapshot
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

WRITE_SECONDS = 2.0  # some texts change with every look, such as how long a share has been silent


@dataclass(frozen=True)
class Told:
    """What a running service told: see `ServiceState` and `Snapshot.problems`.

    `usable`: inboxes, as the problems name them, whose presets are right although something else is wrong.
    `complete`: whether these are all problems there are.
    """

    doing: str = ""
    problems: tuple[Problem, ...] = ()
    usable: frozenset[str] = frozenset()
    complete: bool = False
    until: float | None = None
    mode: str = SERVING


class ServiceFile:
    """Keeps the file of a running service up to date."""

    def __init__(self, state: Path) -> None:
        self._path = StateDirectory(state).service
        self._written: tuple[ServiceState, tuple[Problem, ...], tuple[InboxState, ...]] | None = None
        self._next_write = 0.0

    def keep(self, snapshot: Snapshot) -> None:
        """Write the file if it would say something else, but not all the time. Where that fails, the log says so."""
        tells = snapshot.service, snapshot.problems, snapshot.inboxes
        if tells == self._written or time.monotonic() < self._next_write:
            return
        self._next_write = time.monotonic() + WRITE_SECONDS
        service = snapshot.service
        problems = [asdict(problem) for problem in snapshot.problems]
        content: dict[str, Any] = {"process": service.process, "doing": service.doing, "problems": problems}
        content |= {"usable": _usable(snapshot), "until": service.until, "mode": service.mode}
        try:
            write_replacing(self._path, json.dumps(content, indent=1))
        except OSError as error:
            log.warning("%s cannot be written, so `flashvsr status` tells less: %s", printable(self._path), error)
        else:
            self._written = tells


def read_service_file(state: Path, process: int) -> Told:
    """Return what the service that runs as `process` last told; nothing if it has not written yet.

    Raises OSError where the file cannot be read.
    """
    try:
        found = json.loads(StateDirectory(state).service.read_text(encoding="ascii"))
    except (FileNotFoundError, IsADirectoryError, ValueError):  # written whole: only a foreign hand damages it
        return Told()
    if not isinstance(found, Mapping) or found.get("process") != process:  # an earlier service wrote it
        return Told()
    doing, entries, usable = (found.get(key) for key in ("doing", "problems", "usable"))
    problems = tuple(map(_problem, entries)) if isinstance(entries, list) else (None,)
    understood = tuple(problem for problem in problems if problem is not None)
    complete = len(understood) == len(problems) and all(problem.subject != UNLISTED for problem in understood)
    until = found.get("until")
    until = float(until) if isinstance(until, int | float) else None
    mode = str(found.get("mode", SERVING))
    return Told(doing if isinstance(doing, str) else "", understood, _texts(usable), complete, until, mode)


def _problem(entry: Any) -> Problem | None:
    if not isinstance(entry, Mapping):
        return None
    subject, text, since = (entry.get(key) for key in ("subject", "text", "since"))
    if isinstance(subject, str) and isinstance(text, str) and isinstance(since, int | float | None):
        return Problem(subject, text, None if since is None else float(since))
    return None


def _texts(entries: Any) -> frozenset[str]:
    return frozenset(entry for entry in entries if isinstance(entry, str)) if isinstance(entries, list) else frozenset()


def _usable(snapshot: Snapshot) -> list[str]:
    """Of thousands of inboxes only those that need to be told: each has one of the problems, which are bounded."""
    named = {problem.subject for problem in snapshot.problems}
    return sorted(named & {printable(inbox.path) for inbox in snapshot.inboxes if not inbox.problem})
