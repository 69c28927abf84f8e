"""Files as FFmpeg reads and writes them, through Python: they tell how their bytes go, and keep what went wrong first.

FFmpeg may move gigabytes in one call, and somebody waits for signs of life. After a read or write that failed it goes
on, with the index of the file for example, and what PyAV says in the end is about that: so each file here remembers its
first failure, and whoever opened it raises that one.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from flashvsr.files.trees import NO_LINKS

_LARGEST_FILE = 1 << 62  # bytes; reading somewhat further on would be refused, as a disk's failures are
FLUSH_BYTES = 1 << 26  # written between two flushes: no single one, nor the fsync at the end, takes long

Progress = Callable[[], None]
Opener = Callable[[str | os.PathLike[str], int], int]  # path and flags to descriptor, as for Python's `open`


def nothing() -> None:
    """Whom to tell where nobody waits."""


class CountedFile(io.FileIO):
    """A file that calls `progress` after each read and write; what that raises ends the reading or writing."""

    def __init__(self, path: Path, mode: str, progress: Progress, opener: Opener = NO_LINKS.open_file) -> None:
        super().__init__(path, mode, opener=opener)
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


class Readable(Protocol):
    """What FFmpeg is given to read."""

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move."""

    def tell(self) -> int:
        """The place of the next byte to read."""


class FirstFailure:
    """What went wrong first. `error` is None while nothing has."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def note(self, error: BaseException) -> None:
        """Remember it, if it is the first one."""
        if self.error is None:
            self.error = error


class ReadFile:
    """A file for FFmpeg to read; it closes `descriptor`. Its place is its own, however many share the descriptor.

    After a failure there is no more to read. `raises`: whether the call that met it says so as well.
    """

    def __init__(
        self, descriptor: int, progress: Progress = nothing, failure: FirstFailure | None = None, raises: bool = True
    ) -> None:
        self.failure = failure or FirstFailure()
        self._descriptor = descriptor
        self._progress = progress
        self._raises = raises
        self._place = 0

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        if self.failure.error is not None:
            return b""
        try:
            data = os.pread(self._descriptor, size, self._place)
            self._progress()
        except BaseException as error:
            self.failure.note(error)
            if self._raises:
                raise
            return b""
        self._place += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; a negative number, which FFmpeg takes for an error, where there is no such place.

        Damaged files send it to places before their start, or past all files, which is no failure of the disk.
        """
        start = 0 if whence == os.SEEK_SET else self._place if whence == os.SEEK_CUR else self.status().st_size
        if not 0 <= start + offset <= _LARGEST_FILE:
            return -errno.EINVAL
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """The place of the next byte to read."""
        return self._place

    def status(self) -> os.stat_result:
        """What the file is. Raises OSError."""
        return os.fstat(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class WrittenFile:
    """A file for FFmpeg to write from its start, as `opener` opens it. No call of FFmpeg's raises: see `failure`."""

    def __init__(self, path: Path, progress: Progress = nothing, opener: Opener = NO_LINKS.open_file) -> None:
        self.failure = FirstFailure()
        self._progress = progress
        self._abandoned = False
        self._file = CountedFile(path, "w+b", progress, opener)

    @property
    def closed(self) -> bool:
        """Whether it is closed; PyAV writes no more then."""
        return self._file.closed

    def write(self, data: bytes) -> int:
        """Write all of it; a negative number, FFmpeg's for an error, where that fails or something did before."""
        return self._tried(lambda: self._file.write(data))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, with an answer like that of `write`."""
        return self._tried(lambda: self._file.seek(offset, whence))

    def tell(self) -> int:
        """The place of the next byte to write."""
        return self._tried(self._file.tell)

    def reader(self, *_: object) -> ReadFile:
        """The same file to read: the MP4 muxer moves its index to the front. For PyAV's `io_open`."""
        return ReadFile(os.dup(self._file.fileno()), self._progress, self.failure, raises=False)

    def finish(self) -> None:
        """Bring it to the disk and close it: disks and shares may tell only now what came of the writing."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            self.failure.note(error)

    def abandon(self) -> None:
        """Close the file; nothing that FFmpeg still wants to write gets there, and nothing is noted any more."""
        self._abandoned = True
        with suppress(OSError):
            self._file.close()

    def _tried(self, action: Callable[[], int]) -> int:
        # An exception raised here would be kept by PyAV for a later call of this thread, about another file perhaps.
        if self.failure.error is None and not self._abandoned:
            try:
                return action()
            except BaseException as error:
                self.failure.note(error)
        return -errno.EIO
