"""Which mount a directory lay on when it was last used: a share that is away leaves an empty local directory.

Remembered in <state>/mounts.json by mount point, not by device: a network share has another device number each time
it is mounted. A directory on the same mount as a remembered one above it needs no entry of its own: thousands of
inboxes are one line. A mount point that is gone from the kernel's table means "wait"; a new one further down is taken
over.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from flashvsr.errors import Transient
from flashvsr.files.texts import write_replacing
from flashvsr.fstype import MOUNTINFO, MountTable
from flashvsr.space import writing_state
from flashvsr.text import printable

log = logging.getLogger(__name__)

MOUNTS_NAME = "mounts.json"


class ShareAway(Transient):
    """The file system that a directory lay on is not mounted. Waiting helps, or a person who mounts it."""


class Mounts:
    """What is remembered in a state directory. Several processes may use it at once."""

    def __init__(self, state: Path, mountinfo: Path = MOUNTINFO) -> None:
        self.path = state / MOUNTS_NAME
        self._mountinfo = mountinfo

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
        known, real = self._known(), _RealPaths()
        away: dict[Path, ShareAway] = {}
        new: dict[str, str] = {}
        for directory in directories:
            now, _ = table.innermost(real(directory))
            points = [(above, known[name]) for above in _upwards(directory) if (name := str(above)) in known]
            points = [(above, point) for above, point in points if _inside(real(directory), real(above))]
            gone = next((point for _, point in points if not _inside(now, point)), None)
            if gone is not None:
                away[directory] = self._away(directory, gone)
            elif not points or points[0][1] != now:
                new[str(directory)] = known[str(directory)] = now
        if new:
            self._remember(new)
        return away

    def _away(self, directory: Path, point: str) -> ShareAway:
        return ShareAway(
            f"{printable(directory)} is not on its file system: nothing is mounted at {printable(point)}. "
            f"flashvsr waits until it is mounted again; if it will not be, remove {printable(self.path)}"
        )

    def present(self, directory: Path) -> bool:
        """Tell whether `check` has nothing to say."""
        try:
            self.check(directory)
        except ShareAway:
            return False
        return True

    def _known(self) -> dict[str, str]:
        try:
            found = json.loads(self.path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.error("%s cannot be read, mounts are remembered anew: %s", printable(self.path), error)
            return {}
        return found if isinstance(found, dict) else {}

    def _remember(self, new: dict[str, str]) -> None:
        with writing_state(self.path):
            write_replacing(self.path, json.dumps(self._known() | new, indent=1))
        for directory, mount_point in new.items():
            log.debug("%s lies on the file system mounted at %s", printable(directory), printable(mount_point))


class _RealPaths:
    """Paths without links. Neighbours share what is above them, so that thousands are not resolved from the root."""

    def __init__(self) -> None:
        self._found: dict[Path, str] = {}

    def __call__(self, path: Path) -> str:
        found = self._found.get(path)
        if found is None:
            found = self._found[path] = self._resolve(path)
        return found

    def _resolve(self, path: Path) -> str:
        above = path.parent
        if above not in self._found:
            self._found[above] = os.path.realpath(above)
        return os.path.realpath(path) if path.is_symlink() else str(Path(self._found[above], path.name))


def _upwards(directory: Path) -> Iterator[Path]:
    yield directory
    yield from directory.parents


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)
