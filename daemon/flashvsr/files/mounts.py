"""Which mount a directory lay on when it was last used: a share that is away leaves an empty local directory.

Remembered in <state>/mounts.json by mount point, not by device: a network share has another device number each time
it is mounted. A mount point that is gone from the kernel's table means "wait"; a new one further down is taken over,
and so is any other place once the old mount point is mounted again, for then nothing is away.

What is remembered of a directory holds for those below it, so they are remembered only if they lie elsewhere. Links in
a tree that other people write to lead nowhere, here as everywhere: what they point at is not remembered.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from flashvsr.errors import Transient
from flashvsr.files import at
from flashvsr.files.advice import explained
from flashvsr.files.at import NotRegular
from flashvsr.files.filesystems import MOUNTINFO, MountTable
from flashvsr.files.state import StateDirectory
from flashvsr.files.texts import LARGEST, write_replacing
from flashvsr.files.trees import OWN, Trees
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

_Version = tuple[int, ...]

_DAMAGED = (ValueError, RecursionError)


class ShareAway(Transient):
    """The file system that a directory lay on is not mounted. Waiting helps, or a person who mounts it."""


class Mounts:
    """What is remembered in a state directory. Several processes may use it at once. `trees`: where no link counts."""

    def __init__(self, state: Path, trees: Trees, mountinfo: Path = MOUNTINFO) -> None:
        self.path = StateDirectory(state).mounts
        self._trees = trees
        self._mountinfo = mountinfo
        self._read: tuple[_Version, dict[str, str]] | None = None

    def check(self, directory: Path) -> None:
        """Raise ShareAway unless `directory` lies on the mount it was last seen on, or on one further down.

        The first time that is remembered. Creates nothing in `directory`, which need not exist.
        """
        for away in self.away([directory]).values():
            raise away

    def away(self, directories: Iterable[Path]) -> dict[Path, ShareAway]:
        """Return, for those of the directories whose share is away, what `check` would raise.

        However many they are, the kernel's table and the memory are read once, and written at most once.
        """
        table = MountTable(self._mountinfo)
        if not table:
            return {}  # a system without /proc: nothing can be told
        known, real = dict(self._known()), _RealPaths(self._trees)
        away: dict[Path, ShareAway] = {}
        new: dict[str, str] = {}
        for directory in directories:
            now, _ = table.innermost(real(directory))
            gone = next((point for point in _points(directory, known, real) if _is_away(point, now, table)), None)
            if gone is not None:
                away[directory] = self._away(directory, gone)
            elif _nearest(directory, known) != now:
                new[str(directory)] = known[str(directory)] = now
        if new:
            self._remember(new)
        return away

    def _away(self, directory: Path, point: str) -> ShareAway:
        return ShareAway(
            f"the share or disk of {printable(directory)} is away: nothing is mounted at {printable(point)}. "
            f"flashvsr waits until it is mounted again. If it never will be, remove {printable(self.path)}"
        )

    def present(self, directory: Path) -> bool:
        """Tell whether `check` has nothing to say."""
        try:
            self.check(directory)
        except ShareAway:
            return False
        return True

    def _known(self) -> dict[str, str]:
        """What the file holds; read again only when it changed, for this is asked of each inbox at each scan."""
        version = self._version()
        if version is None:
            return {}
        if self._read is None or self._read[0] != version:
            try:
                with explained("read", self.path):
                    found = _parsed(self.path)
            except _DAMAGED as error:
                log.error(
                    "%s cannot be read, so where shares are mounted is remembered anew: %s", printable(self.path), error
                )
                self._set_aside()
                return {}
            self._read = version, found
        return self._read[1]

    def _version(self) -> _Version | None:
        try:
            stat = self.path.lstat()
        except FileNotFoundError:
            return None
        return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns

    def _set_aside(self) -> None:
        """Move what cannot be read out of the way: it may be a directory, which no file replaces."""
        with explained("write", self.path), suppress(FileNotFoundError):  # another process was faster
            self.path.replace(self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}"))

    def _remember(self, new: dict[str, str]) -> None:
        # One at a time, of all threads and processes: none takes another's file for a stranger's, nor forgets it.
        with (
            explained("write", self.path),
            at.closing(os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)) as lock,
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)
            write_replacing(self.path, json.dumps(_kept(self._known() | new), indent=1))
        for directory, mount_point in new.items():
            log.debug("%s lies on the file system mounted at %s", printable(directory), printable(mount_point))


def _kept(known: dict[str, str]) -> dict[str, str]:
    """As few directories as tell the mount points of all."""
    kept: dict[str, str] = {}
    for path in sorted(known, key=len):  # what is above comes first
        if _nearest(Path(path), kept) != known[path]:
            kept[path] = known[path]
    return kept


def _parsed(path: Path) -> dict[str, str]:
    """Read the file. Raises OSError, or one of _DAMAGED if it is none that this class wrote."""
    try:
        with open(path, "rb", opener=OWN.open_file) as file:
            data = file.read(LARGEST + 1)
    except (NotRegular, PermissionError) as error:
        raise ValueError(str(error)) from error
    if len(data) > LARGEST:
        raise ValueError(f"larger than {LARGEST >> 20} MiB")
    found = json.loads(data.decode("ascii"))
    if not isinstance(found, dict) or not all(isinstance(point, str) for point in found.values()):
        raise ValueError("no table of directories and mount points")
    return found


def _nearest(directory: Path, known: dict[str, str]) -> str | None:
    """The mount point that is remembered of a directory, or of the nearest one above it."""
    return next((known[str(above)] for above in (directory, *directory.parents) if str(above) in known), None)


def _points(directory: Path, known: Mapping[str, str], real: _RealPaths) -> Iterator[str]:
    """The mount points remembered of a directory and of those above it that it still lies in."""
    for above in (directory, *directory.parents):
        point = known.get(str(above))
        if point is not None and _inside(real(directory), real(above)):
            yield point


def _is_away(point: str, now: str, table: MountTable) -> bool:
    return not _inside(now, point) and point not in table


class _RealPaths:
    """Where paths lead. In a tree no link counts but those on the way to its root, which is resolved once."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._found: dict[Path, str] = {}

    def __call__(self, path: Path) -> str:
        root = self._trees.root_of(path)
        if root is None or root == Path(root.anchor):
            return self._resolved(path)
        return str(Path(self._resolved(root), path.relative_to(root)))

    def _resolved(self, path: Path) -> str:
        if path not in self._found:
            self._found[path] = os.path.realpath(path)
        return self._found[path]


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)
