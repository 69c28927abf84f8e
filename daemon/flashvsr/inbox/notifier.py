"""Hints from inotify that something changed. Only hints: what is missed here, the periodic scan finds."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver

from flashvsr.text import printable

log = logging.getLogger(__name__)


def _is_of_interest(record: logging.LogRecord) -> bool:
    return "called when the thread is inactive" not in record.msg


# An event that comes while watching ends is an error to watchdog; nobody is waiting for it any more.
logging.getLogger("watchdog.observers.inotify").addFilter(_is_of_interest)

_EVENTS: list[type[FileSystemEvent]] = [
    *(FileCreatedEvent, FileModifiedEvent, FileMovedEvent, FileClosedEvent),
    *(DirCreatedEvent, DirMovedEvent),
]
_MOST_PATHS = 2000  # more at once are cheaper to find by a scan
_SYSCTL = {errno.ENOSPC: "fs.inotify.max_user_watches", errno.EMFILE: "fs.inotify.max_user_instances"}
_MAX_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")


@dataclass(frozen=True)
class Hints:
    """What changed since the last look: files by path, or so much (a directory) that a scan is due."""

    paths: frozenset[str]
    scan: bool


class Notifier:
    """Recursive inotify watches on directories that may come, go, or be mounted over."""

    def __init__(self) -> None:
        self._collector = _Collector()
        self._observer: Any = None
        self._watched: dict[Path, tuple[tuple[int, int], Any]] = {}  # directory: (device, inode), its watch

    def watch(self, directories: Iterable[Path]) -> None:
        """Watch exactly these directories; what cannot be watched is logged once and left to the scan."""
        wanted = {directory: identity for directory in directories if (identity := _identity(directory))}
        for directory, (identity, watch) in list(self._watched.items()):
            if wanted.get(directory) != identity:  # gone, or something else was mounted there
                self._unwatch(watch)
                del self._watched[directory]
        for directory, identity in wanted.items():
            if directory not in self._watched:
                self._watched[directory] = (identity, self._schedule(directory))

    def drain(self) -> Hints:
        """Take the hints that came since the last call."""
        return self._collector.take()

    def stop(self) -> None:
        """End the observer's threads."""
        self._watched.clear()
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)
            self._observer = None

    def _schedule(self, directory: Path) -> Any:
        """Start watching; None if that fails, which is not tried again while the directory is the same."""
        try:
            _check_limit(directory)
            if self._observer is None:
                observer = InotifyObserver()
                observer.start()
                self._observer = observer
            return self._observer.schedule(self._collector, str(directory), recursive=True, event_filter=_EVENTS)
        except OSError as error:
            sysctl = _SYSCTL.get(error.errno or 0)
            log.warning(
                "cannot watch %s with inotify (%s); new files are found by the periodic scan only.%s",
                printable(directory),
                error.strerror,
                f" Raise the sysctl {sysctl} to have them noticed at once." if sysctl else "",
            )
            return None

    def _unwatch(self, watch: Any) -> None:
        if watch is None:
            return
        try:
            self._observer.unschedule(watch)
        except (OSError, KeyError) as error:
            log.debug("the watch on a directory that is gone was gone as well: %r", error)


class _Collector(FileSystemEventHandler):  # type: ignore[misc]
    """Called in the observer's thread; only notes paths, so that nothing can go wrong or take long there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._scan = False

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note what the event is about."""
        path = os.fsdecode(event.dest_path or event.src_path)
        with self._lock:
            if event.is_directory or len(self._paths) >= _MOST_PATHS:
                self._scan = True
            else:
                self._paths.add(path)

    def take(self) -> Hints:
        """Return and forget what was noted."""
        with self._lock:
            hints = Hints(frozenset(self._paths), self._scan)
            self._paths.clear()
            self._scan = False
        return hints


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        stat = directory.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _check_limit(directory: Path) -> None:
    """Raise the kernel's error early: watchdog silently leaves directories beyond the limit unwatched."""
    try:
        limit = int(_MAX_WATCHES.read_text())
    except (OSError, ValueError):
        return
    for count, _ in enumerate(os.walk(directory), start=1):
        if count > limit:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
