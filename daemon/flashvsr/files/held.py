"""Files that stay open for the length of a job: whatever becomes of their names meanwhile, they are still the same.

A source is opened several times, for its facts, its picture, its sound. By its name each of these could meet another
file, or none: people rename, and so do programs that unpack or sort. While a path is held, whoever reads it reads the
file that had this name at first.

This is the one place that opens a source, and where it is told how: code that reads one knows neither who works on it
nor where others may write. So what nobody holds is opened without following any link.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flashvsr.files.trees import NO_LINKS, Trees

_held: dict[Path, list[int]] = {}  # descriptors, of each who holds it
_lock = threading.Lock()  # a descriptor must not be closed between the look for it and its use


@contextmanager
def held(trees: Trees, path: Path) -> Iterator[None]:
    """Hold the file that now has this name, or the one held by it already. Raises OSError where it cannot be opened."""
    descriptor = _opened(trees, path)
    with _lock:
        _held.setdefault(path, []).append(descriptor)
    try:
        yield
    finally:
        with _lock:
            _held[path].remove(descriptor)
            if not _held[path]:
                del _held[path]
            os.close(descriptor)


def open_to_read(path: Path) -> int:
    """Open a file for reading; the caller closes the descriptor. That of a held one shares its place: use `pread`.

    Never waits, for a pipe for example. Raises OSError.
    """
    return _opened(NO_LINKS, path)


def status(path: Path) -> os.stat_result:
    """What the file is that `open_to_read` opens. Raises OSError."""
    descriptor = open_to_read(path)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _opened(trees: Trees, path: Path) -> int:
    with _lock:
        if path in _held:
            return os.dup(_held[path][0])
    return trees.open_file(path, os.O_RDONLY)
