"""Trees of directories that other people write to: below their roots no symbolic link is followed, at any step.

Whoever may write to a share could aim a link anywhere, also between a look and the act that follows. So nothing there
is opened by its path: the root is (it may be a link itself, an administrator's), and from there each step is taken in
the directory that the step before it opened. Elsewhere paths mean what they always do.

Which trees these are holds for the whole process, as its log and its umask do: code that opens a source or writes a
result does not know the settings.
"""

from __future__ import annotations

import errno
import os
import stat as stat_bits
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_THE_WAY = "a symbolic link is in the way, and none is followed there"
# What a file system says when it cannot do an operation at all, as opposed to failing at it.
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY})
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_roots: tuple[Path, ...] = ()


def guard(roots: Iterable[Path]) -> None:
    """From now on take these directories for roots of such trees, and no others."""
    global _roots
    _roots = tuple(dict.fromkeys(roots))


def roots() -> tuple[Path, ...]:
    """The roots, for a process that is to guard the same."""
    return _roots


def open_directory(path: Path, create: bool = False) -> int:
    """Open a directory; the caller closes the descriptor. `create`: make what is missing of it, durably.

    Raises OSError, with ELOOP where a link is in the way.
    """
    root = _root_of(path)
    if create:
        _make(path if root is None else root)
    if root is None:
        return os.open(path, _DIRECTORY)
    descriptor = os.open(root, _DIRECTORY)
    for name in path.relative_to(root).parts:
        try:
            inner = _step(descriptor, name, path, create)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


@contextmanager
def directory(path: Path, create: bool = False) -> Iterator[int]:
    """Open a directory for a while."""
    descriptor = open_directory(path, create)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_file(path: str | os.PathLike[str], flags: int, mode: int = 0o666) -> int:
    """Open a file as `os.open` does; in a tree it has to be a regular one. An opener for Python's own `open`."""
    path = Path(path)
    flags |= os.O_CLOEXEC
    if _root_of(path) is None:
        return os.open(path, flags, mode)
    with directory(path.parent) as parent:
        try:
            # Without waiting: a pipe that somebody put there would be waited for.
            descriptor = os.open(path.name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, mode, dir_fd=parent)
        except OSError as error:
            raise _told(error, path) from error
    if not stat_bits.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def lstat(path: Path) -> os.stat_result:
    """Look at what has this name, without following it."""
    if _root_of(path) in (None, path):
        return path.lstat()
    with directory(path.parent) as parent:
        return os.stat(path.name, dir_fd=parent, follow_symlinks=False)


def unlink(path: Path) -> None:
    """Remove a file if there is one."""
    try:
        with directory(path.parent) as parent:
            os.unlink(path.name, dir_fd=parent)
    except FileNotFoundError:
        return


def sync_directory(descriptor: int) -> None:
    """Bring a directory's names to the disk, where its file system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:  # some network file systems have no fsync for directories
            raise


def _root_of(path: Path) -> Path | None:
    root = next((root for root in _roots if path.is_relative_to(root)), None)
    if root is not None and ".." in path.relative_to(root).parts:
        raise OSError(errno.ELOOP, "the path leads upwards", str(path))
    return root


def _step(parent: int, name: str, path: Path, create: bool) -> int:
    if create:
        try:
            os.mkdir(name, dir_fd=parent)
        except FileExistsError:
            pass  # most of the time; what it is shows when it is opened
        else:
            sync_directory(parent)
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        raise _told(error, path) from error


def _make(path: Path) -> None:
    if path.is_dir():
        return
    _make(path.parent)
    path.mkdir(exist_ok=True)
    with directory(path.parent) as parent:
        sync_directory(parent)


def _told(error: OSError, path: Path) -> OSError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return OSError(errno.ELOOP, _IN_THE_WAY, str(path))
    return error
