"""What a test can see of the order in which things get onto the disk: kills do not show it, only a power cut would.

    sync a            the content of a is on the disk; of a/, the names in that directory
    name a -> b       the file has another name, or one name more; "unsynced" is said of a content that may be lost
    remove a, make a/

Paths are relative to the test's directory, and the random parts of hidden names are left out. Two equal steps in a row
are one: the second changes nothing.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files import moves

_RANDOM = re.compile(r"\.flashvsr-\d+-[0-9a-f]+")
State = tuple[bytes, int]  # content and time of change


class Steps:
    """Writes down the steps of this process from its making on. What was there before counts as on the disk.

    `other_disk`: a directory to and from which nothing can be moved or linked, as if it were on another file system.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, other_disk: Path | None = None) -> None:
        self.taken: list[str] = []
        self._root, self._other_disk = root, other_disk
        self._synced = {_key(path.stat()): _state(path) for path in root.rglob("*") if _is_file(path)}
        monkeypatch.setattr(os, "fsync", self._fsync(os.fsync))
        monkeypatch.setattr(os, "fdatasync", self._fsync(os.fdatasync))
        for name in ("rename", "replace", "link"):
            monkeypatch.setattr(os, name, self._naming(getattr(os, name)))
        for name in ("unlink", "remove", "rmdir"):
            monkeypatch.setattr(os, name, self._removing(getattr(os, name)))
        monkeypatch.setattr(os, "mkdir", self._making(os.mkdir))
        monkeypatch.setattr(moves, "_rename_noreplace", self._renaming(moves._rename_noreplace))

    def note(self, step: str) -> None:
        """Add a step of another kind, such as the commit of a database."""
        if self.taken[-1:] != [step]:
            self.taken.append(step)

    def about(self, *parts: str) -> list[str]:
        """The steps that speak of any of these."""
        return [step for step in self.taken if any(part in step for part in parts)]

    def _fsync(self, fsync: Callable[[int], None]) -> Callable[[int], None]:
        def noted(descriptor: int) -> None:
            fsync(descriptor)
            status, path = os.fstat(descriptor), Path(f"/proc/self/fd/{descriptor}").readlink()
            if stat.S_ISREG(status.st_mode):
                self._synced[_key(status)] = _state(Path(f"/proc/self/fd/{descriptor}"))
            self.note(f"sync {self._shown(path)}" + "/" * stat.S_ISDIR(status.st_mode))

        return noted

    def _naming(self, name: Callable[..., None]) -> Callable[..., None]:
        def noted(
            old: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None, **how: Any
        ) -> None:
            before, after = _path(old, src_dir_fd), _path(new, dst_dir_fd)
            self._stay_on_one_disk(before, after)
            name(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **how)
            self._named(before, after)

        return noted

    def _renaming(self, rename: Callable[..., None]) -> Callable[..., None]:
        def noted(old_directory: int, old: str, new_directory: int, new: str) -> None:
            before, after = _path(old, old_directory), _path(new, new_directory)
            self._stay_on_one_disk(before, after)
            rename(old_directory, old, new_directory, new)
            self._named(before, after)

        return noted

    def _removing(self, remove: Callable[..., None]) -> Callable[..., None]:
        def noted(name: Any, *, dir_fd: int | None = None) -> None:
            path = _path(name, dir_fd)
            remove(name, dir_fd=dir_fd)
            self.note(f"remove {self._shown(path)}")

        return noted

    def _making(self, make: Callable[..., None]) -> Callable[..., None]:
        def noted(name: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            make(name, mode, dir_fd=dir_fd)
            self.note(f"make {self._shown(_path(name, dir_fd))}/")

        return noted

    def _named(self, before: Path, after: Path) -> None:
        unsynced = _is_file(after) and self._synced.get(_key(after.stat())) != _state(after)
        self.note(f"name {self._shown(before)} -> {self._shown(after)}" + " unsynced" * unsynced)

    def _stay_on_one_disk(self, before: Path, after: Path) -> None:
        other = self._other_disk
        if other is not None and before.is_relative_to(other) != after.is_relative_to(other):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    def _shown(self, path: Path) -> str:
        shown = str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)
        return _RANDOM.sub(".flashvsr", shown)


def _path(name: Any, directory: int | None) -> Path:
    """Where a name leads, also one of an open file or in an open directory."""
    path = Path(os.fsdecode(name))
    if path.is_relative_to("/proc/self/fd"):
        return path.readlink()
    return path if directory is None else Path(f"/proc/self/fd/{directory}").readlink() / path


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _state(path: Path) -> State:
    return path.read_bytes(), path.stat().st_mtime_ns
