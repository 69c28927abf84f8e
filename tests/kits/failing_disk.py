"""A disk that fails at one operation on a file that FFmpeg reads or writes, or from there on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from flashvsr.video import counted

ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EROFS, errno.EFBIG, errno.ENODEV, errno.ETIMEDOUT)


class FailingDisk:
    """Counts operations; from number `at` on they fail, or only that one (`once`)."""

    def __init__(self, at: int | None = None, code: int = errno.EIO, once: bool = False) -> None:
        self.at, self.code, self.once = at, code, once
        self.operations: list[str] = []

    def operate(self, what: str) -> None:
        number = len(self.operations)
        self.operations.append(what)
        if self.at is not None and (number == self.at or (number > self.at and not self.once)):
            raise OSError(self.code, os.strerror(self.code))


@contextmanager
def failing_writes(disk: FailingDisk) -> Iterator[None]:
    """While this lasts, media files are written to that disk."""

    class File(counted.CountedFile):
        def write(self, data: Any, /) -> int:
            disk.operate("write")
            return super().write(data)

        def seek(self, *place: int) -> int:
            disk.operate("seek")
            return super().seek(*place)

        def close(self) -> None:
            if not self.closed:
                super().close()
                disk.operate("close")

    class Again(counted.ReadFile):
        def read(self, size: int) -> bytes:
            if not self._raises:  # the written file, read by the muxer
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(os, "pread", _failing(os.pread, disk, "read again"))
                    return super().read(size)
            return super().read(size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counted, "CountedFile", File)
        patch.setattr(counted, "ReadFile", Again)
        patch.setattr(os, "fsync", _failing(os.fsync, disk, "fsync"))
        patch.setattr("flashvsr.video.writing._WRITE_BLOCK", 2048)
        yield


@contextmanager
def failing_reads(disk: FailingDisk) -> Iterator[None]:
    """While this lasts, media files are read from that disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", _failing(os.pread, disk, "read"))
        patch.setattr("flashvsr.video.media._READ_BLOCK", 2048)
        yield


def _failing(function: Any, disk: FailingDisk, what: str) -> Any:
    def call(*arguments: Any) -> Any:
        disk.operate(what)
        return function(*arguments)

    return call
