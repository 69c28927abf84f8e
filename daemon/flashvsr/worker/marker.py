"""A small file beside a job's folder: who puts its end in order, and how often a partial video was tried.

It holds one byte for each try, made before the try, since that may end this process; and it is the lock that keeps two
workers from ending the same job at once. While it is there, a sweep comes by.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flashvsr.errors import Transient
from flashvsr.files.advice import ENVIRONMENT, explained, failure
from flashvsr.files.objects import clear_name

MOST_TRIES = 2  # a source that kills every worker may do so while its partial video is made, too
_TRY = b"."


class Marker:
    """The marker of one job at `path`, see above. It need not be there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Keep other workers from putting the same job in order; False if one is at it already.

        Raises NoSpace or another Transient, before anything was done, when the file cannot be made.
        """
        with explained("write", self._path):
            clear_name(self._path)
            file = self._path.open("ab")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            # Without a name it was removed by whoever had it until now: the next one would lock another file.
            yield os.fstat(file.fileno()).st_nlink > 0

    @contextmanager
    def trying(self, place: Path) -> Iterator[None]:
        """Count what is done inside as a try, unless it comes out that it only has to wait.

        `place`: what is written to, for the message. Raises Transient for what the disk refuses.
        """
        with explained("write", self._path), self._path.open("ab") as file:
            file.write(_TRY)
        try:
            yield
        except Transient:
            self._take_back()
            raise
        except OSError as error:
            if error.errno not in ENVIRONMENT:
                raise
            self._take_back()
            raise failure("write", place, error) from error
        os.truncate(self._path, 0)  # telling of it may have to wait, and then this is asked again

    @property
    def used_up(self) -> bool:
        """Whether it was tried often enough. A marker that holds anything but its marks tells of no try."""
        if not self._path.is_file():
            return False
        with self._path.open("r+b") as file:
            marks = file.read(MOST_TRIES + 1)
            if marks.strip(_TRY):
                file.truncate(0)
                return False
        return len(marks) >= MOST_TRIES

    def remove(self) -> None:
        """The job is in order: nobody has to come by any more."""
        self._path.unlink(missing_ok=True)

    def _take_back(self) -> None:
        os.truncate(self._path, self._path.stat().st_size - 1)
