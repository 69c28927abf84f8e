"""Whether a file is still as it was written: disks lose and turn bits, and tell of it late or never."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from flashvsr.video.counted import Progress, nothing

DIGITS = 32  # of a digest, as hexadecimal text

_READ_BLOCK = 1 << 20


class RunningDigest:
    """A digest of a file that grows at its end alone: what was written is read from the page cache soon after."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made = hashlib.blake2b(digest_size=DIGITS // 2)
        self._file: io.FileIO | None = None

    def catch_up(self, progress: Progress = nothing) -> None:
        """Take in what was written since; `progress` is called as it is read. Raises OSError, also before it exists."""
        if self._file is None:
            self._file = io.FileIO(self._path, "rb")
        while block := self._file.read(_READ_BLOCK):
            self._made.update(block)
            progress()

    def finish(self, salt: str, progress: Progress = nothing) -> str:
        """Return the digest of all of it and of `salt`, and close the file. Raises OSError."""
        try:
            self.catch_up(progress)
        finally:
            self.close()
        self._made.update(b"\0" + salt.encode())
        return self._made.hexdigest()

    def close(self) -> None:
        """Give it up, or be done with it."""
        if self._file is not None:
            self._file.close()


def digest_of(path: Path, salt: str, progress: Progress = nothing) -> str:
    """The digest of a file that is there; `progress` is called as it is read. Raises OSError."""
    return RunningDigest(path).finish(salt, progress)
