"""Files that tell how their bytes go: FFmpeg may move gigabytes in one call, and somebody waits for signs of life."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

from flashvsr.files import trees

FLUSH_BYTES = 1 << 26  # written between two flushes: no single one, nor the fsync at the end, takes long

Progress = Callable[[], None]
Opener = Callable[[str | os.PathLike[str], int], int]  # path and flags to descriptor, as for Python's `open`


def nothing() -> None:
    """Whom to tell where nobody waits."""


class CountedFile(io.FileIO):
    """A file that calls `progress` after each read and write; what that raises ends the reading or writing."""

    def __init__(self, path: Path, mode: str, progress: Progress, opener: Opener = trees.open_file) -> None:
        super().__init__(path, mode, opener=opener)
        self.name = "file"  # for PyAV, which hands it to FFmpeg and back as UTF-8: a path need not be
        self._progress = progress
        self._unflushed = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes."""
        data = super().read(size)
        self._progress()
        return data or b""

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        """Write all of `data`, and bring it to the disk now and then."""
        rest = memoryview(data)
        while rest:  # FFmpeg does not look whether a write was cut short
            rest = rest[super().write(rest) :]
        self._unflushed += len(data)
        if self._unflushed >= FLUSH_BYTES:
            os.fdatasync(self.fileno())
            self._unflushed = 0
        self._progress()
        return len(data)
