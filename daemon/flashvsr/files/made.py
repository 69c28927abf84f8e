"""A new file, held from its making to its name: what gets the name is what was written, whatever was put in its place.

Between the two its hidden name lies in a directory where others may write: they could put a link, a pipe or a file of
theirs there. So nothing but the making and the removal goes by that name. It is written, read back and named through
its descriptor.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from flashvsr.files import at
from flashvsr.files.advice import NO_SECOND_NAME, UNSUPPORTED
from flashvsr.files.moves import exchange, move_new


class Exchanged(OSError):
    """Somebody put another file in place of the one that was being written."""


class Made:
    """A context: the hidden file `path` is new, and gone in the end unless it was named. Every method raises OSError.

    It is made in `directory`, the descriptor of the one that `path` names.
    """

    def __init__(self, path: Path, directory: int, mode: int = 0o666) -> None:
        self.path = path
        self._named = False
        self._directory = os.dup(directory)
        try:
            self.descriptor = at.create(self._directory, path.name, mode)
        except BaseException:
            os.close(self._directory)
            raise

    def __enter__(self) -> Made:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if not self._named:
                self._remove_name()
        except OSError:
            if error is None:  # else that one says more
                raise
        finally:
            os.close(self.descriptor)
            os.close(self._directory)

    def opener(self, _path: str | os.PathLike[str], flags: int) -> int:
        """Open this very file once more, for Python's `open`, whatever has its name by now."""
        flags &= ~(os.O_CREAT | os.O_EXCL)
        return os.open(_way_to(self.descriptor), flags | os.O_CLOEXEC)

    def write(self, data: bytes) -> None:
        """Write all of it behind what was written before."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def set_time(self, mtime_ns: int) -> None:
        """Give the file its time of modification, in nanoseconds since the epoch; `sync` makes it durable.

        What is still to be written goes to the disk first: a share may set the time of its own for that.
        """
        os.fsync(self.descriptor)
        os.utime(self.descriptor, ns=(mtime_ns, mtime_ns))

    def sync(self) -> os.stat_result:
        """Bring the content to the disk; returns what the file looks like then."""
        os.fsync(self.descriptor)
        return os.fstat(self.descriptor)

    def give_name(self, directory: int, name: str) -> None:
        """Give the file its name, on the same file system, instead of the hidden one.

        Raises FileExistsError if the name is taken, and Exchanged if another file lies where this one was made and
        the file system can name files by their names only.
        """
        try:
            _link(self.descriptor, directory, name)
        except FileExistsError:
            if not self._has(directory, name):  # else the answer of a share to the first try was lost
                raise
        except OSError as error:
            if error.errno not in NO_SECOND_NAME:
                raise
            self._rename(directory, name)
        self._named = True
        self._remove_name()

    def replace(self, name: str) -> None:
        """Take the place of a file of the same directory, in one step."""
        self._must_have(self._directory, self.path.name)
        os.replace(self.path.name, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._must_have(self._directory, name)
        self._named = True
        at.sync_directory(self._directory)

    def exchange(self, name: str) -> str | None:
        """Change names with a file of the same directory; returns the hidden name under which that lies now.

        None, and nothing was done, where the file system cannot do that. The caller removes what it gets, or lets this
        file `exchange_back`.
        """
        self._must_have(self._directory, self.path.name)
        try:
            exchange(self._directory, self.path.name, name)
        except OSError as error:
            if error.errno in UNSUPPORTED:
                return None
            raise
        self._named = True
        self._must_have(self._directory, name)
        return self.path.name

    def exchange_back(self, name: str) -> None:
        """Undo `exchange`."""
        exchange(self._directory, self.path.name, name)
        self._named = False

    def _rename(self, directory: int, name: str) -> None:
        self._must_have(self._directory, self.path.name)
        move_new(self._directory, self.path.name, directory, name)
        try:
            self._must_have(directory, name)
        except Exchanged:
            # Between the look and the move: what was moved is somebody else's, and goes back if its name is free.
            with suppress(OSError):
                move_new(directory, name, self._directory, self.path.name)
            raise

    def _remove_name(self) -> None:
        if self._has(self._directory, self.path.name):
            at.remove(self._directory, self.path.name)

    def _must_have(self, directory: int, name: str) -> None:
        if not self._has(directory, name):
            raise Exchanged(errno.EBUSY, "somebody put another file in its place while it was written", str(self.path))

    def _has(self, directory: int, name: str) -> bool:
        try:
            return at.same(at.status(directory, name), os.fstat(self.descriptor))
        except FileNotFoundError:
            return False


def _link(descriptor: int, directory: int, name: str) -> None:
    os.link(_way_to(descriptor), name, dst_dir_fd=directory, follow_symlinks=True)


def _way_to(descriptor: int) -> str:
    """The kernel's own name for an open file: it leads to that file and no other."""
    return f"/proc/self/fd/{descriptor}"
