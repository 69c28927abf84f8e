"""Which mount a directory lay on when it was last used: a share that is away leaves an empty local directory.

Remembered in <state>/mounts.json by mount point, not by device: a network share has another device number each time
it is mounted. A mount point that is gone from the kernel's table means "wait"; a new one further down is taken over.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from flashvsr.errors import Transient
from flashvsr.files.texts import write_replacing
from flashvsr.fstype import MOUNTINFO, mount_point_of
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
        now = mount_point_of(directory, self._mountinfo)
        if now is None:
            return  # a system without /proc: nothing can be told
        known = self._known()
        for above in (directory, *directory.parents):
            point = known.get(str(above))
            if point is not None and not _inside(now, point) and _inside(_real(directory), _real(above)):
                raise ShareAway(
                    f"{printable(directory)} is not on its file system: nothing is mounted at {printable(point)}. "
                    f"flashvsr waits until it is mounted again; if it will not be, remove {printable(self.path)}"
                )
        if known.get(str(directory)) != now:
            self._remember(directory, now)

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

    def _remember(self, directory: Path, mount_point: str) -> None:
        with writing_state(self.path):
            write_replacing(self.path, json.dumps(self._known() | {str(directory): mount_point}, indent=1))
        log.debug("%s lies on the file system mounted at %s", printable(directory), printable(mount_point))


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)
