"""Look through an inbox without ever leaving it: no symbolic link is followed, whenever it appears.

Nothing here depends on how deep people nest their folders: one step at a time, each in the directory opened before.
"""

from __future__ import annotations

import os
import stat as stat_bits
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flashvsr.files import at
from flashvsr.files.advice import BLOCKED, GONE
from flashvsr.files.trees import Trees
from flashvsr.inbox.rules import ignored, ignored_folder

MAX_DEPTH = 64
LONGEST_PATH = 3840  # bytes; the kernel's limit is 4095, and the result's path may be a little longer than the source's

Report = Callable[[Path, str], None]
Listen = Callable[[Path, int], None]


@dataclass
class Folder:
    """A directory of an inbox while it is looked at. `prefix` + name is the path of a file inside the inbox."""

    path: Path
    prefix: str
    descriptor: int
    report: Report
    ignored: list[str] = field(default_factory=list)  # the names in it that are left alone
    directories: list[str] = field(default_factory=list)  # those to be looked into

    def files(self) -> Iterator[os.DirEntry[str]]:
        """Yield the regular files that are not ignored by name, in no particular order; once.

        `ignored` and `directories` are complete when it has ended. Raises OSError if the inbox itself cannot be read,
        for that is not an empty inbox; what else cannot be goes to `report`.
        """
        try:
            with os.scandir(self.descriptor) as entries:
                for entry in entries:
                    if ignored(entry.name):
                        self.ignored.append(entry.name)
                    elif self._is_file(entry):
                        yield entry
        except OSError as error:
            if not self.prefix:
                raise
            self.report(self.path, f"cannot be read: {error.strerror}")

    def stat(self, entry: os.DirEntry[str]) -> os.stat_result | None:
        """Return the `lstat` of a file; None if it is gone, or cannot be looked at, which is reported."""
        try:
            return entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.report(self.path / entry.name, f"cannot be read: {error.strerror}")
            return None

    def _is_file(self, entry: os.DirEntry[str]) -> bool:
        try:
            if entry.is_file(follow_symlinks=False):
                return True
            if entry.is_dir(follow_symlinks=False):
                (self.ignored if ignored_folder(entry.name) else self.directories).append(entry.name)
        except OSError as error:
            self.report(self.path / entry.name, f"cannot be read: {error.strerror}")
        return False


def folders(
    trees: Trees, inbox: Path, report: Report, skip: frozenset[Path] = frozenset(), listen: Listen | None = None
) -> Iterator[Folder]:
    """Yield the inbox and every directory below it that is not ignored by name; read `files` of each to its end.

    `skip` names directories not to enter. `listen` is told of each directory, opened, before its files are read. A
    directory that cannot be opened goes to `report`; raises OSError if the inbox itself cannot be.
    """
    levels = [Folder(inbox, "", trees.open_directory(inbox), report)]
    try:
        fresh: Folder | None = levels[0]
        while levels:
            if fresh is not None:
                if listen is not None:
                    listen(fresh.path, fresh.descriptor)
                yield fresh
            above, fresh = levels[-1], None
            if not above.directories:
                os.close(levels.pop().descriptor)
            elif fresh := _enter(above, above.directories.pop(), len(levels), skip):
                levels.append(fresh)
    finally:
        for folder in levels:
            os.close(folder.descriptor)


def lookup(trees: Trees, inbox: Path, relative: str) -> os.stat_result | None:
    """Return the `lstat` of a regular file of the inbox; None if it is gone, or reached by a link only."""
    *parents, name = relative.split("/")
    try:
        with _opened(trees, inbox, parents) as directory:
            stat = at.status(directory, name)
    except OSError as error:
        if error.errno in GONE | BLOCKED:
            return None
        raise
    return stat if stat_bits.S_ISREG(stat.st_mode) else None


def _enter(above: Folder, name: str, depth: int, skip: frozenset[Path]) -> Folder | None:
    path = above.path / name
    if path in skip:
        return None
    if depth > MAX_DEPTH:
        above.report(path, f"is nested deeper than {MAX_DEPTH} directories and is not looked into")
    elif too_long(path):
        above.report(path, f"has a path of more than {LONGEST_PATH} bytes and is not looked into; move it further up")
    else:
        try:
            descriptor = at.enter(above.descriptor, name)
        except FileNotFoundError:
            return None  # moved or removed while we looked
        except OSError as error:
            above.report(path, f"cannot be read: {error.strerror}")
        else:
            return Folder(path, f"{above.prefix}{name}/", descriptor, above.report)
    return None


def too_long(path: Path) -> bool:
    """Tell whether a file of this path is one that the system's other calls, and the outbox, cannot take."""
    return len(os.fsencode(path)) > LONGEST_PATH


def names_beside(trees: Trees, inbox: Path, relative: str) -> list[str]:
    """Return all names in the directory of a file of the inbox. Raises OSError."""
    with _opened(trees, inbox, relative.split("/")[:-1]) as directory:
        return at.names(directory)


@contextmanager
def _opened(trees: Trees, inbox: Path, parents: list[str]) -> Iterator[int]:
    """Open a directory below the inbox step by step, so that no link on the way is followed."""
    directory = trees.open_directory(inbox)
    for name in parents:
        with at.closing(directory):
            directory = at.enter(directory, name)
    with at.closing(directory):
        yield directory
