"""Which mount a directory lay on when it was last used: a share that is away leaves an empty local directory.

Remembered in <state>/mounts.json by mount point, not by device: a network share has another device number each time
it is mounted. A mount point that is gone from the kernel's table means "wait"; a new one further down is taken over,
and so is any other place once the old mount point is mounted again, for then nothing is away.

What is remembered of a directory holds for those below it, so they are remembered only if they lie elsewhere. Links in
a tree that other people write to lead nowhere, here as everywhere: what they point at is not remembered.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from flashvsr.errors import Transient
from flashvsr.files import trees
from flashvsr.files.at import NotRegular
from flashvsr.files.moves import explained
from flashvsr.files.texts import LARGEST, write_replacing
from flashvsr.fstype import MOUNTINFO, mount_point_of, mount_points
from flashvsr.space import writing_state
from flashvsr.text import printable

log = logging.getLogger(__name__)

MOUNTS_NAME = "mounts.json"

_Version = tuple[int, ...]

_DAMAGED = (ValueError, RecursionError)


class ShareAway(Transient):
    """The file system that a directory lay on is not mounted. Waiting helps, or a person who mounts it."""


class Mounts:
    """What is remembered in a state directory. Several processes may use it at once."""

    def __init__(self, state: Path, mountinfo: Path = MOUNTINFO) -> None:
        self.path = state / MOUNTS_NAME
        self._mountinfo = mountinfo
        self._read: tuple[_Version, dict[str, str]] | None = None

    def check(self, directory: Path) -> None:
        """Raise ShareAway unless `directory` lies on the mount it was last seen on, or on one further down.

        The first time that is remembered. Creates nothing in `directory`, which need not exist.
        """
        now = mount_point_of(_real(directory), self._mountinfo)
        if now is None:
            return  # a system without /proc: nothing can be told
        known = self._known()
        for above in (directory, *directory.parents):
            point = known.get(str(above))
            if point is not None and not _inside(now, point) and self._is_away(point, directory, above):
                raise ShareAway(
                    f"{printable(directory)} is not on its file system: nothing is mounted at {printable(point)}. "
                    f"flashvsr waits until it is mounted again; if it will not be, remove {printable(self.path)}"
                )
        if _nearest(directory, known) != now:
            self._remember(directory, now)

    def present(self, directory: Path) -> bool:
        """Tell whether `check` has nothing to say."""
        try:
            self.check(directory)
        except ShareAway:
            return False
        return True

    def _is_away(self, point: str, directory: Path, above: Path) -> bool:
        return point not in mount_points(self._mountinfo) and _inside(_real(directory), _real(above))

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
                log.error("%s cannot be read, mounts are remembered anew: %s", printable(self.path), error)
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
        with writing_state(self.path), suppress(FileNotFoundError):  # another process was faster
            self.path.replace(self.path.with_name(f"{MOUNTS_NAME}.damaged-{time.time_ns()}"))

    def _remember(self, directory: Path, mount_point: str) -> None:
        known = self._known() | {str(directory): mount_point}
        kept: dict[str, str] = {}
        for path in sorted(known, key=len):  # what is above comes first
            if _nearest(Path(path), kept) != known[path]:
                kept[path] = known[path]
        with writing_state(self.path):
            write_replacing(self.path, json.dumps(kept, indent=1))
        log.debug("%s lies on the file system mounted at %s", printable(directory), printable(mount_point))


def _parsed(path: Path) -> dict[str, str]:
    """Read the file. Raises OSError, or one of _DAMAGED if it is none that this class wrote."""
    try:
        with open(path, "rb", opener=trees.open_file) as file:
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


def _real(path: Path) -> str:
    """Where a path leads. In a tree no link counts, but those on the way to its root."""
    root = trees.root_of(path)
    if root is None or root == Path(root.anchor):
        return os.path.realpath(path)
    return str(Path(os.path.realpath(root), path.relative_to(root)))


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)
