"""Look through an inbox without ever leaving it: no symbolic link is followed, whenever it appears."""

from __future__ import annotations

import errno
import os
import stat as stat_bits
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flashvsr.files import trees
from flashvsr.inbox.rules import ignored

MAX_DEPTH = 64

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Found:
    """A regular file of an inbox, with the result of its `lstat`."""

    path: Path
    relative: str
    stat: os.stat_result


def scan(inbox: Path, report: Callable[[Path, str], None], skip: frozenset[Path] = frozenset()) -> Iterator[Found]:
    """Yield every regular file below `inbox` that is not ignored by name, in no particular order.

    `skip` names directories not to enter. A sub-directory that cannot be read goes to `report`; raises
    OSError if the inbox itself cannot be read, for that is not an empty inbox.
    """
    top = trees.open_directory(inbox)
    try:
        yield from _scan(top, inbox, "", report, skip, 0)
    finally:
        os.close(top)


def lookup(inbox: Path, relative: str) -> os.stat_result | None:
    """Return the `lstat` of a regular file of the inbox; None if it is gone, or reached by a link only."""
    *parents, name = relative.split("/")
    try:
        with _opened(inbox, parents) as directory:
            stat = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    return stat if stat_bits.S_ISREG(stat.st_mode) else None


def _scan(
    directory: int,
    path: Path,
    relative: str,
    report: Callable[[Path, str], None],
    skip: frozenset[Path],
    depth: int,
) -> Iterator[Found]:
    with os.scandir(directory) as entries:
        children = [entry for entry in entries if not ignored(entry.name)]
    for entry in children:
        child, name = path / entry.name, relative + entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                if child in skip:
                    continue
                if depth == MAX_DEPTH:
                    report(child, f"is nested deeper than {MAX_DEPTH} directories and is not looked into")
                    continue
                descriptor = os.open(entry.name, _DIRECTORY, dir_fd=directory)
                try:
                    yield from _scan(descriptor, child, name + "/", report, skip, depth + 1)
                finally:
                    os.close(descriptor)
            elif entry.is_file(follow_symlinks=False):
                yield Found(child, name, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue  # moved or removed while we looked
        except OSError as error:
            report(child, f"cannot be read: {error.strerror}")


@contextmanager
def _opened(inbox: Path, parents: list[str]) -> Iterator[int]:
    """Open a directory below the inbox step by step, so that no link on the way is followed."""
    directory = trees.open_directory(inbox)
    try:
        for name in parents:
            inner = os.open(name, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = inner
        yield directory
    finally:
        os.close(directory)
