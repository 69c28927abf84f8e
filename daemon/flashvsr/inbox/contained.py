"""Keeps what goes wrong with one inbox from the others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flashvsr.errors import Damaged, Transient
from flashvsr.inbox.scan_problems import ScanProblems
from flashvsr.system.text import printable, visible

log = logging.getLogger(__name__)

_LONGEST_ERROR = 300  # characters


class Contained:
    """Errors that nobody expected, by the inbox they came from: said, logged once until they change, tried again."""

    def __init__(self) -> None:
        self._told: dict[Path, str] = {}

    @contextmanager
    def at(self, inbox: Path, problems: ScanProblems) -> Iterator[None]:
        """Keep what goes wrong with this inbox from the others. What is wrong with the queue passes through."""
        try:
            yield
        except (Transient, Damaged):
            raise
        except OSError as error:
            problems.add(inbox, f"cannot be read: {error.strerror}; is the share still mounted?")
        except Exception as error:
            text = unforeseen(error)
            if self._told.get(inbox) != text:
                log.exception("inbox %s cannot be looked through; the others go on", printable(inbox))
            self._told[inbox] = text
            problems.add(inbox, f"cannot be looked through ({text}); it is tried again, and the log says more")
        else:
            self._told.pop(inbox, None)


def unforeseen(error: Exception) -> str:
    """Return what an unexpected error says, as one short line."""
    return visible(" ".join(f"{type(error).__name__}: {error}".split()), _LONGEST_ERROR)
