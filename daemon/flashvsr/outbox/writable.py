"""Whether results can be written where they will go, found out before the work: an hour of it would be a pity."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from flashvsr.errors import NoSpace, Transient
from flashvsr.files import at
from flashvsr.files.advice import failure
from flashvsr.files.texts import hidden_text_name
from flashvsr.files.trees import Trees

FRESH_SECONDS = 60.0


class OutboxClosed(Transient):
    """Nothing can be written to an outbox: its rights, a read-only file system, the sandbox. A person has to help."""


def check_writable(trees: Trees, directory: Path, root: Path) -> None:
    """Make an empty hidden file where `directory` is or will be made, and remove it again; creates nothing else.

    `root`: the outbox as the settings name it. Raises OutboxClosed, or NoSpace, that says what to do.
    """
    place = directory
    try:
        while not trees.exists(place):
            place = place.parent
        trial = hidden_text_name()  # as `leftovers` knows them
        with trees.directory(place) as opened:
            os.close(at.create(opened, trial))
            at.remove(opened, trial)
    except OSError as error:
        # The sandbox is opened for the whole outbox, not for the directory that is needed just now.
        told = failure("write to", root if error.errno == errno.EROFS else place, error)
        raise told if isinstance(told, NoSpace) else OutboxClosed(str(told)) from error


class WritableOutboxes:
    """Asks the file system at most once a minute for each directory that can be written."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fresh: dict[Path, float] = {}  # until when nobody asks again

    def check(self, trees: Trees, directory: Path, root: Path) -> None:
        now = self._clock()
        self._fresh = {path: until for path, until in self._fresh.items() if until > now}
        if directory not in self._fresh:
            check_writable(trees, directory, root)
            self._fresh[directory] = now + FRESH_SECONDS
