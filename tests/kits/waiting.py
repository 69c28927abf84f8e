"""Waiting for a service at work: as long as it gets on, however slow the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAST_LINES = 30  # of a log, in a message
STILL_SECONDS = 90.0  # without any progress: loading PyTorch on a busy machine takes half of that
LONGEST_SECONDS = 540.0  # even with progress; below the limit of the tests that wait so


def wait_while_it_gets_on(
    condition: Callable[[], Any],
    progress: Callable[[], Any],
    what: str,
    pause: float = 0.1,
    still: float = STILL_SECONDS,
    longest: float = LONGEST_SECONDS,
) -> Any:
    """Wait until the condition holds and return its value.

    `progress` returns anything that changes when something gets done, and is asked once in `still` seconds: two answers
    that are the same end the waiting, with an AssertionError. So does an AssertionError of the condition.
    """
    began = time.monotonic()
    seen, next_look = progress(), began + still
    while not (value := condition()):
        now = time.monotonic()
        if now >= began + longest:
            raise AssertionError(f"not within {longest:.0f} s, though it got on: {what}")
        if now >= next_look:
            before, seen, next_look = seen, progress(), now + still
            if seen == before:
                raise AssertionError(f"not done, and nothing got on for {still:.0f} s: {what}")
        time.sleep(pause)
    return value


def last_lines(log: Path) -> str:
    """The end of a process's log, for the message of an assertion."""
    if not log.exists():
        return f"{log.name} is not there"
    lines = log.read_text(errors="backslashreplace").splitlines()[-LAST_LINES:]
    return "\n".join([f"the last lines of {log.name}:", *lines])
