"""Single steps in a directory that is open already: no link is followed, nobody is waited for, nothing is written over.

A name is one name here, never a path: what a step does happens in the very directory that the descriptor stands for,
whatever becomes of its own name meanwhile. Every function raises OSError.
"""

from __future__ import annotations

import errno
import os
import stat as stat_bits
from collections.abc import Iterator
from contextlib import contextmanager

from flashvsr.files.advice import UNSUPPORTED

# Without waiting: a pipe that somebody put there would be waited for.
_CAREFUL = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


Identity = tuple[int, int, int, int]  # device, inode, size, time of change in nanoseconds


class NotRegular(OSError):
    """A pipe, socket, device or directory lies where a file is expected."""


def status(directory: int, name: str) -> os.stat_result:
    """Look at what has this name."""
    return os.stat(_single(name), dir_fd=directory, follow_symlinks=False)


def taken(directory: int, name: str) -> bool:
    """Tell whether anything has this name."""
    try:
        status(directory, name)
    except FileNotFoundError:
        return False
    return True


def is_file(directory: int, name: str) -> bool:
    """Tell whether a regular file has this name."""
    try:
        return stat_bits.S_ISREG(status(directory, name).st_mode)
    except FileNotFoundError:
        return False


def same(one: os.stat_result, other: os.stat_result) -> bool:
    """Tell whether both are one file, under whatever name."""
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def identity(status: os.stat_result) -> Identity:
    """What tells a file, with the content it has now, from any other."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def read(directory: int, name: str) -> int:
    """Open a regular file for reading; the caller closes the descriptor. Raises NotRegular for anything else."""
    try:
        descriptor = os.open(_single(name), os.O_RDONLY | _CAREFUL, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise _not_regular(name) from error
        raise
    return regular(descriptor, name)


def create(directory: int, name: str, mode: int = 0o666) -> int:
    """Make a file for reading and writing that was not there, with the permissions that the umask leaves."""
    return os.open(_single(name), os.O_RDWR | os.O_CREAT | os.O_EXCL | _CAREFUL, mode, dir_fd=directory)


def enter(directory: int, name: str) -> int:
    """Open a directory; the caller closes the descriptor."""
    return os.open(_single(name), _DIRECTORY | _CAREFUL, dir_fd=directory)


def make(directory: int, name: str) -> bool:
    """Make a directory, durably; False if something has that name. What it is shows when it is entered."""
    try:
        os.mkdir(_single(name), dir_fd=directory)
    except FileExistsError:
        return False
    sync_directory(directory)
    return True


def remove(directory: int, name: str) -> bool:
    """Take a file's name away; False if there is none."""
    try:
        os.unlink(_single(name), dir_fd=directory)
    except FileNotFoundError:
        return False
    return True


def remove_directory(directory: int, name: str) -> None:
    """Remove a directory, durably, if there is nothing in it; OSError if there is."""
    os.rmdir(_single(name), dir_fd=directory)
    sync_directory(directory)


def names(directory: int) -> list[str]:
    """List what is in a directory."""
    return os.listdir(directory)


def sync_directory(directory: int) -> None:
    """Bring a directory's names to the disk, where its file system can do that."""
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in UNSUPPORTED:  # some network file systems have no fsync for directories
            raise


def regular(descriptor: int, name: str) -> int:
    """Return an open descriptor if it is a regular file's; closes it and raises NotRegular if not."""
    if not stat_bits.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(name)
    return descriptor


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close a descriptor in the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _not_regular(name: str) -> NotRegular:
    return NotRegular(errno.EINVAL, "not a regular file", name)


def _single(name: str) -> str:
    if "/" in name or name in ("", ".", ".."):
        raise OSError(errno.EINVAL, "not a single name", name)
    return name
