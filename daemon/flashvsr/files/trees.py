"""Trees of directories that other people write to: below their roots no symbolic link is followed, at any step.

Whoever may write to a share could aim a link anywhere, also between a look and the act that follows. So nothing there
is opened by its path: the root is (it may be a link itself, an administrator's), and from there each step is taken in
the directory that the step before it opened. What is there is opened for reading alone. Elsewhere paths mean what they
always do.

Which trees these are is a value that goes along with the paths: `Config.trees()` has those of the settings. Whoever
knows of none goes by `NO_LINKS`, and follows no link anywhere. `OWN` is for the service's own files alone.
"""

from __future__ import annotations

import errno
import os
import stat as stat_bits
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from flashvsr.files import at
from flashvsr.files.advice import BLOCKED, LINK_IN_THE_WAY

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Trees:
    """The way to files, where these directories are the roots of such trees. None: where that is not known.

    Every method raises OSError, with ELOOP where a link is in the way.
    """

    roots: tuple[Path, ...] | None

    def root_of(self, path: Path) -> Path | None:
        """Return the root of the tree that `path` lies in; None if it is in none. OSError if it leads out of it again.

        As long as roots are not known, all is one tree.
        """
        if self.roots is None:
            root: Path | None = Path(path.anchor)
        else:
            root = next((root for root in self.roots if path.is_relative_to(root)), None)
        if root is not None and ".." in path.relative_to(root).parts:
            raise OSError(errno.ELOOP, "the path leads upwards", str(path))
        return root

    def open_directory(self, path: Path, create: bool = False) -> int:
        """Open a directory; the caller closes the descriptor. `create`: make what is missing of it, durably."""
        root = self.root_of(path)
        if create:
            _make(path if root is None else root)
        if root is None:
            return os.open(path, _DIRECTORY)
        descriptor = os.open(root, _DIRECTORY)
        for name in path.relative_to(root).parts:
            with at.closing(descriptor):
                if create:
                    at.make(descriptor, name)
                with _told(path, descriptor, name):
                    descriptor = at.enter(descriptor, name)
        return descriptor

    @contextmanager
    def directory(self, path: Path, create: bool = False) -> Iterator[int]:
        """Open a directory for a while: what is done in it happens in that very one, whatever becomes of its path."""
        with at.closing(self.open_directory(path, create)) as descriptor:
            yield descriptor

    def nearest_directory(self, path: Path) -> int:
        """Open a directory, or the nearest one above it if it is not there yet; the caller closes the descriptor."""
        for place in (path, *path.parents):
            try:
                return self.open_directory(place)
            except FileNotFoundError:
                continue
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def open_file(self, path: str | os.PathLike[str], flags: int, mode: int = 0o666) -> int:
        """Open a regular file as `os.open` does, without waiting for anybody. An opener for Python's own `open`.

        In a tree a file that is there is opened for reading alone, and one for writing is made new. Raises NotRegular
        for a pipe and the like.
        """
        path = Path(path)
        if self.root_of(path) is None:
            return at.regular(os.open(path, _careful(flags), mode), str(path))
        with self.directory(path.parent) as parent, _told(path, parent, path.name):
            if not flags & _WRITING:
                return at.read(parent, path.name)
            if self.roots is None:
                return at.regular(os.open(path.name, _careful(flags) | os.O_NOFOLLOW, mode, dir_fd=parent), path.name)
            if not flags & os.O_CREAT:
                raise OSError(errno.EPERM, "a file that is there is not written to", str(path))
            return at.create(parent, path.name, mode)

    def lstat(self, path: Path) -> os.stat_result:
        """Look at what has this name, without following it. The root of a tree is what it leads to."""
        root = self.root_of(path)
        if root is None:
            return path.lstat()
        if root == path:
            return path.stat()
        with self.directory(path.parent) as parent:
            return at.status(parent, path.name)

    def exists(self, path: Path) -> bool:
        """Tell whether anything has this name. Raises OSError where that cannot be told."""
        try:
            self.lstat(path)
        except FileNotFoundError:
            return False
        return True

    def walk(self, top: Path, deepest: int) -> Iterator[tuple[int, list[str]]]:
        """Yield `top` and the directories below it, opened until the next one, with the names of what else is in each.

        What lies deeper than so many levels is left out, and so is a directory that cannot be entered.
        """
        way = [_Listed(self.open_directory(top))]
        try:
            yield way[0].descriptor, way[0].others
            while way:
                if not way[-1].inner or len(way) > deepest:
                    os.close(way.pop().descriptor)
                    continue
                try:
                    way.append(_Listed(at.enter(way[-1].descriptor, way[-1].inner.pop())))
                except OSError:
                    continue  # gone, another thing by now, or none of our business
                yield way[-1].descriptor, way[-1].others
        finally:
            for listed in way:
                os.close(listed.descriptor)


NO_LINKS = Trees(None)  # for whoever does not know where others may write
OWN = Trees(())  # for files of the service's own: paths mean what they always do


class _Listed:
    """An open directory, the directories in it and everything else."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.inner: list[str] = []
        self.others: list[str] = []
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    (self.inner if entry.is_dir(follow_symlinks=False) else self.others).append(entry.name)
        except OSError:
            os.close(descriptor)
            raise


def _careful(flags: int) -> int:
    return flags | os.O_CLOEXEC | os.O_NONBLOCK


def _make(path: Path) -> None:
    if path.is_dir():
        return
    _make(path.parent)
    path.mkdir(exist_ok=True)
    with at.closing(os.open(path.parent, _DIRECTORY)) as parent:
        at.sync_directory(parent)


@contextmanager
def _told(path: Path, parent: int, name: str) -> Iterator[None]:
    """Say in an error that a link is in the way, and of which path."""
    try:
        yield
    except OSError as error:
        if error.errno in BLOCKED and _is_link(parent, name):
            raise OSError(errno.ELOOP, LINK_IN_THE_WAY, str(path)) from error
        raise


def _is_link(parent: int, name: str) -> bool:
    with suppress(OSError):
        return stat_bits.S_ISLNK(at.status(parent, name).st_mode)
    return False
