"""When a file has been copied completely: size and mtime stand still for a while and nobody writes to it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from flashvsr.files.trees import Trees
from flashvsr.inbox.natural import natural_key


@dataclass(frozen=True)
class _Seen:
    size: int
    mtime_ns: int
    since: float  # when this size and mtime were first seen, by our own monotonic clock


class Settler:
    """Remembers the files that may still grow; times are seconds of a monotonic clock, not of the files."""

    def __init__(self, settle_seconds: float) -> None:
        self._seconds = settle_seconds
        self._seen: dict[Path, _Seen] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, path: Path) -> bool:
        return path in self._seen

    def observe(self, path: Path, stat: os.stat_result, now: float) -> bool:
        """Note what the file looks like now; True once it has stood still for `settle_seconds`."""
        return self.observe_content(path, stat.st_size, stat.st_mtime_ns, now)

    def observe_content(self, path: Path, size: int, mtime_ns: int, now: float) -> bool:
        """Do what `observe` does, from the numbers that count."""
        seen = self._seen.get(path)
        if seen is None or (seen.size, seen.mtime_ns) != (size, mtime_ns):
            self._seen[path] = seen = _Seen(size, mtime_ns, now)
        return now - seen.since >= self._seconds

    def due(self, now: float) -> list[Path]:
        """Return the files that are worth another look: unchanged for `settle_seconds`, as far as known.

        The first that stood still comes first. Of those that one scan found, the order is that of their names.
        """
        due = [path for path, seen in self._seen.items() if now - seen.since >= self._seconds]
        return sorted(due, key=lambda path: (self._seen[path].since, natural_key(path)))

    def restart(self, path: Path, now: float) -> None:
        """Let the file wait for another `settle_seconds`."""
        seen = self._seen[path]
        self._seen[path] = _Seen(seen.size, seen.mtime_ns, now)

    def forget(self, path: Path) -> None:
        """Stop waiting for a file: it became a job, or it is gone."""
        self._seen.pop(path, None)

    def waiting(self) -> list[Path]:
        """Return all files that are waiting."""
        return list(self._seen)


def has_writer(trees: Trees, path: Path) -> bool | None:
    """Tell whether some process of this machine has the file open for writing; None if that cannot be told.

    A read lease is only granted on a file that nobody writes to (fcntl(2), F_SETLEASE). It needs the file's
    owner or CAP_LEASE and a local file system, so it is a help, not a proof: the settle time is what counts.
    """
    try:
        descriptor = trees.open_file(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        # A writer who comes while we hold the lease breaks it with a signal; SIGIO would end this process,
        # SIGURG is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(descriptor)
    return False
