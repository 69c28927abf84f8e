"""The kernel's inotify(7), as much as a watcher needs of it: no thread, no walk, one read whenever somebody asks.

The calls are watchdog's. Its observers are not used: they walk a whole tree by recursion, which a share can make deeper
than Python goes, and by names, which may lead elsewhere meanwhile. Directories are given as opened ones, so that what
is watched is what was looked at, however long its path is and whatever was put in its place meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from watchdog.observers.inotify_c import InotifyConstants, inotify_add_watch, inotify_init, inotify_rm_watch

OVERFLOW, IGNORED = InotifyConstants.IN_Q_OVERFLOW, InotifyConstants.IN_IGNORED
IS_DIRECTORY = InotifyConstants.IN_ISDIR

_MASK = (
    InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_ONLYDIR
)
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name; see inotify(7)
_READ_BYTES = 1 << 16
_MOST_READS = 256  # more than the kernel queues by default; who writes without end must not keep us here


@dataclass(frozen=True)
class Event:
    """Something happened to `name` in the directory with this watch; watch -1: the kernel dropped events."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One inotify instance. Raises OSError: EMFILE for too many instances, ENOSPC for too many watches."""

    def __init__(self) -> None:
        self._descriptor = _checked(inotify_init())
        os.set_inheritable(self._descriptor, False)
        os.set_blocking(self._descriptor, False)

    def add(self, directory: int) -> int:
        """Watch an opened directory; its watch, the same one whenever it is added again."""
        path = b"/proc/self/fd/%d" % directory
        return _checked(inotify_add_watch(self._descriptor, path, _MASK))

    def remove(self, watch: int) -> None:
        """Watch no longer; nothing happens if the kernel has ended the watch by itself."""
        inotify_rm_watch(self._descriptor, watch)

    def events(self) -> Iterator[Event]:
        """Yield what happened since the last call, without waiting."""
        for _ in range(_MOST_READS):
            try:
                data = os.read(self._descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            start = 0
            while start < len(data):
                watch, mask, _, length = _HEAD.unpack_from(data, start)
                start += _HEAD.size + length
                yield Event(watch, mask, os.fsdecode(data[start - length : start].rstrip(b"\0")))

    def close(self) -> None:
        os.close(self._descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
