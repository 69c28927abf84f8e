"""Real mounts for tests of shares that come and go and of full disks; skipped where they are not allowed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Mounted:
    """One mount point. It can be taken away, as a share that went away is, and come back with its files."""

    def __init__(self, point: Path, size: str) -> None:
        self.point = point
        self._store = point.with_name(f"{point.name}-store")
        for directory in (self._store, point):
            directory.mkdir(parents=True, exist_ok=True)
        # The files live on a file system of their own, which the point shows or not.
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self._store))
        self.attach()

    def attach(self) -> None:
        """Mount it."""
        _mount("--bind", str(self._store), str(self.point))

    def detach(self) -> None:
        """Unmount it, even while files there are open."""
        subprocess.run(["umount", "--lazy", str(self.point)], check=True)

    def resize(self, size: str) -> None:
        """Make its file system larger or smaller."""
        _mount("-o", f"remount,size={size}", str(self._store))

    def leave_files(self, count: int | None) -> None:
        """Let so many more files and directories be made in it, or (None) as many as its memory holds."""
        found = os.statvfs(self._store)
        limit = 0 if count is None else found.f_files - found.f_ffree + count
        _mount("-o", f"remount,nr_inodes={limit}", str(self._store))

    def read_only(self, on: bool) -> None:
        """Mount it read-only, or writable again."""
        _mount("-o", f"remount,bind,{'ro' if on else 'rw'}", str(self.point))

    def read_only_for_all(self) -> None:
        """Make its file system itself read-only, at every mount."""
        _mount("-o", "remount,ro", str(self._store))

    def end(self) -> None:
        """Take everything away."""
        for point in (self.point, self._store):
            while subprocess.run(["umount", "--lazy", str(point)], capture_output=True).returncode == 0:
                continue


MakeMount = Callable[..., Mounted]  # (point, size = "16m")
PAGE = 4096  # bytes: what tmpfs gives out


def fill(directory: Path, leave: int) -> Path:
    """Take all room on a file system but `leave` bytes; deleting the file gives it back."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            file.truncate(max(0, file.tell() - leave))
    return ballast


def mounts() -> Iterator[MakeMount]:
    """Body of a fixture that gives `make(point, size)` and unmounts everything afterwards."""
    made: list[Mounted] = []

    def make(point: Path, size: str = "16m") -> Mounted:
        try:
            made.append(Mounted(point, size))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"needs to mount file systems: {error.stderr.strip()}")
        return made[-1]

    if os.geteuid() != 0:
        pytest.skip("needs root, to mount file systems")
    yield make
    for mounted in made:
        mounted.end()


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)
