"""Hints from inotify that something changed. Only hints: what is missed here, the periodic scan finds.

The scan says which directories it looks into, and those are watched: no tree is walked for that, and what lies too deep
for the scan is too deep here as well.
"""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass
from pathlib import Path

from flashvsr.inbox import inotify
from flashvsr.inbox.inotify import Event, Inotify
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

_MOST_PATHS = 2000  # more at once are cheaper to find by a scan
_SYSCTL = {errno.ENOSPC: "fs.inotify.max_user_watches", errno.EMFILE: "fs.inotify.max_user_instances"}


@dataclass(frozen=True)
class Hints:
    """What changed since the last look: files by path, or so much (a directory) that a scan is due."""

    paths: frozenset[Path]
    scan: bool


class Listener:
    """Watches on directories that may come, go, be renamed or be mounted over."""

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._places: dict[int, Path] = {}  # by watch
        self._met: set[int] = set()  # the watches that the scan in progress asked for
        self._refused = False  # in this scan
        self._told = ""

    def begin(self) -> None:
        """A scan begins, which says by `listen` what is to be watched from now on."""
        self._met = set()
        self._refused = False

    def listen(self, directory: Path, descriptor: int) -> None:
        """Watch a directory, opened as `descriptor`; where that fails it is said once and left to the scan."""
        if self._refused:
            return
        try:
            if self._inotify is None:
                self._inotify = Inotify()
            watch = self._inotify.add(descriptor)
        except OSError as error:
            self._refused = error.errno in _SYSCTL  # then the others would be refused as well
            self._tell(directory, error)
            return
        self._places[watch] = directory
        self._met.add(watch)

    def end(self) -> None:
        """The scan is over: what it did not come to is watched no longer."""
        for watch in self._places.keys() - self._met:
            del self._places[watch]
            if self._inotify is not None:
                self._inotify.remove(watch)
        if not self._refused:
            self._told = ""

    @property
    def hears_all(self) -> bool:
        """Whether all that the last scan asked for is watched."""
        return not self._refused

    def drain(self) -> Hints:
        """Take the hints that came since the last call."""
        paths: set[Path] = set()
        scan = False
        for event in self._inotify.events() if self._inotify is not None else ():
            if event.mask & inotify.IGNORED:
                self._places.pop(event.watch, None)  # the directory is gone, or was unmounted
            elif event.mask & (inotify.OVERFLOW | inotify.IS_DIRECTORY) or len(paths) >= _MOST_PATHS:
                scan = True
            elif path := self._path(event):
                paths.add(path)
        return Hints(frozenset(paths), scan)

    def stop(self) -> None:
        self._places.clear()
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _path(self, event: Event) -> Path | None:
        """Where it happened. A renamed directory has its old name here until the scan that its renaming asks for."""
        place = self._places.get(event.watch)
        return place / event.name if place is not None and event.name else None

    def _tell(self, directory: Path, error: OSError) -> None:
        if error.strerror == self._told:
            return
        self._told = str(error.strerror)
        sysctl = _SYSCTL.get(error.errno or 0)
        log.warning(
            "cannot watch %s and others with inotify (%s); new files there are found by the periodic scan only.%s",
            printable(directory),
            error.strerror,
            f" Raise the sysctl {sysctl} to have them noticed at once." if sysctl else "",
        )
