"""Hidden files that a crash left while something was written, and that nobody comes back for."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from pathlib import Path

from flashvsr.files import trees
from flashvsr.text import printable

log = logging.getLogger(__name__)

# Small texts by the process that wrote them, results by their job; see `write_replacing` and `temporary_for`.
_TEXT = re.compile(r"\.flashvsr-\d+-[0-9a-f]{8}\.tmp")
_RESULT = re.compile(r"\.flashvsr-(\d+)-[0-9a-f]{8}(?:\..+)?\.part", re.DOTALL)


def remove_texts(directory: Path, limit: float) -> int:
    """Remove half-written texts in a directory, not below it, that nobody wrote to since `limit`; how many.

    `limit`: seconds since the epoch, so long ago that whoever wrote has given up. What cannot be removed is logged.
    """
    return _remove(directory, limit, lambda name: bool(_TEXT.fullmatch(name)), deep=False)


def remove_all(outbox: Path, limit: float, running: Container[int]) -> int:
    """Remove half-written texts and results anywhere in an outbox. Results of the jobs `running` stay."""

    def is_left(name: str) -> bool:
        result = _RESULT.fullmatch(name)
        return bool(_TEXT.fullmatch(name)) if result is None else int(result[1]) not in running

    return _remove(outbox, limit, is_left, deep=True)


def _remove(top: Path, limit: float, is_left: Callable[[str], bool], deep: bool) -> int:
    removed = 0
    try:
        for directory, names in _directories(top, deep):
            for name in filter(is_left, names):
                with suppress(FileNotFoundError):  # its owner was there first
                    if os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime < limit:
                        os.unlink(name, dir_fd=directory)
                        removed += 1
    except FileNotFoundError:
        return removed  # nothing was ever put there
    except OSError as error:
        log.warning("cannot look for leftovers in %s: %s", printable(top), error.strerror)
    return removed


def _directories(top: Path, deep: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the directory and those below it, opened, with the files in each. No link is followed."""
    with trees.directory(top) as opened:
        for _, _, names, directory in os.fwalk(".", dir_fd=opened, follow_symlinks=False):
            yield directory, names
            if not deep:
                return
