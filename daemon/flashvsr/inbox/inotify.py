"""The kernel's inotify(7), as much as a watcher needs of it: no thread, no walk, one read whenever somebody asks.

Directories are given as opened ones, so that what is watched is what was looked at, however long its path is and
whatever was put in its place meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

CLOSE_WRITE, ATTRIB = 0x8, 0x4
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
OVERFLOW, IGNORED, IS_DIRECTORY = 0x4000, 0x8000, 0x40000000

_MASK = CLOSE_WRITE | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE
_ONLY_DIRECTORIES = 0x01000000
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name; see inotify(7)
_READ_BYTES = 1 << 16
_MOST_READS = 256  # more than the kernel queues by default; who writes without end must not keep us here

_libc = ctypes.CDLL(None, use_errno=True)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


@dataclass(frozen=True)
class Event:
    """Something happened to `name` in the directory with this watch; watch -1: the kernel dropped events."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One inotify instance. Raises OSError: EMFILE for too many instances, ENOSPC for too many watches."""

    def __init__(self) -> None:
        self._descriptor = _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def add(self, directory: int) -> int:
        """Watch an opened directory; its watch, the same one whenever it is added again."""
        path = b"/proc/self/fd/%d" % directory
        return _checked(_libc.inotify_add_watch(self._descriptor, path, _MASK | _ONLY_DIRECTORIES))

    def remove(self, watch: int) -> None:
        """Watch no longer; nothing happens if the kernel has ended the watch by itself."""
        _libc.inotify_rm_watch(self._descriptor, watch)

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
        """Give everything back."""
        os.close(self._descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
