"""File operations that survive a power cut and never replace what is there."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable
from pathlib import Path

from flashvsr.files import at
from flashvsr.files.advice import NO_LINKS, UNSUPPORTED
from flashvsr.files.names import numbered
from flashvsr.files.trees import Trees

MTIME_SLACK_NS = 2_000_000_000  # the coarsest clock of a file system that a share may have (FAT)

_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2


def make_directories(trees: Trees, directory: Path) -> None:
    """Create a directory and its parents, each one durable before anything is put into it."""
    with trees.directory(directory, create=True):
        pass


def move_new(old_directory: int, old: str, new_directory: int, new: str) -> None:
    """Rename without replacing: FileExistsError if `new` exists, on any kind of file system.

    The directories are descriptors, on the same file system.
    """
    for way in (_rename_noreplace, _link_and_unlink):
        try:
            way(old_directory, old, new_directory, new)
        except OSError as error:
            if error.errno not in (UNSUPPORTED if way is _rename_noreplace else NO_LINKS):
                raise
        else:
            return
    _rename_over_own_placeholder(old_directory, old, new_directory, new)


def move_numbered(old_directory: int, old: str, new_directory: int, wanted: str) -> str:
    """Rename to `wanted`, or the first of its numbered names that is free; returns the name."""
    for name in numbered(wanted):
        try:
            move_new(old_directory, old, new_directory, name)
        except FileExistsError:
            continue
        return name
    raise AssertionError("the numbers of names have no end")


def exchange(directory: int, one: str, other: str) -> None:
    """Let two files of a directory change their names in one step.

    OSError, with a number of `advice.UNSUPPORTED` where the file system cannot do that.
    """
    _rename_by(directory, one, directory, other, _RENAME_EXCHANGE)


def _rename_noreplace(old_directory: int, old: str, new_directory: int, new: str) -> None:
    _rename_by(old_directory, old, new_directory, new, _RENAME_NOREPLACE)


def _rename_by(old_directory: int, old: str, new_directory: int, new: str, flags: int) -> None:
    renameat2 = _renameat2()
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if renameat2(old_directory, os.fsencode(old), new_directory, os.fsencode(new), flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new)


@functools.cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """Return renameat2(2) from the C library; Python has no name for it."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int
    call: Callable[[int, bytes, int, bytes, int], int] = function
    return call


def _link_and_unlink(old_directory: int, old: str, new_directory: int, new: str) -> None:
    os.link(old, new, src_dir_fd=old_directory, dst_dir_fd=new_directory, follow_symlinks=False)
    os.unlink(old, dir_fd=old_directory)


def _rename_over_own_placeholder(old_directory: int, old: str, new_directory: int, new: str) -> None:
    """Reserve the name by creating it exclusively, then rename over that empty file of ours."""
    with at.closing(at.create(new_directory, new, 0o600)) as descriptor:
        placeholder = os.fstat(descriptor)
    try:
        os.rename(old, new, src_dir_fd=old_directory, dst_dir_fd=new_directory)
    except OSError:
        if at.taken(new_directory, new) and at.same(at.status(new_directory, new), placeholder):
            at.remove(new_directory, new)
        raise
