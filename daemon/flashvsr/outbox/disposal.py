"""What becomes of a source once its result is recorded: moved, deleted or kept, if it is the same.

Each of these may be cut short by a crash and is then done again from the start: it finds what the earlier attempt got
done. One at a time may be at work on a source.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import stat as stat_bits
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flashvsr.files import at
from flashvsr.files.advice import explained
from flashvsr.files.at import Identity, sync_directory
from flashvsr.files.moves import MTIME_SLACK_NS, make_directories, move_new, move_numbered
from flashvsr.files.names import OUR_PREFIX, numbered
from flashvsr.files.trees import Trees
from flashvsr.outbox.targets import inside
from flashvsr.system.text import printable

log = logging.getLogger(__name__)


_BLOCK = 1 << 20
_DOING = {"done": "move"}  # verbs for actions that are none


def settle_source(
    trees: Trees,
    source: Path,
    identity: Identity,
    action: str,
    destination: Path,
    relative: str,
    *,
    private: bool = True,
) -> Path | None:
    """Keep or delete `source`, or move it ("archive", "done") into `destination`; returns where it is then, or None.

    A source that is gone or has changed since the job was made (`identity`) is left alone; one that is gone because an
    earlier attempt moved it is found there. `relative` gives its place in `destination`, where nothing is replaced.
    `private`: nobody else may enter the folders of an archive.

    Raises Transient if the file system refuses; the source is then still where it was.
    """
    if action == "keep":
        return None
    doing = _DOING.get(action, action)
    moving = None
    if action != "delete":
        moving = _Move(trees, inside(destination, relative), private and action != "done", doing)
    with explained(doing, source):
        try:
            with trees.directory(source.parent) as directory:
                name = _present_name(directory, source.name, identity)
                if _identity(name, directory) != identity:
                    log.info("%s changed while it was processed and stays where it is", printable(source))
                    return None
                if moving is None:
                    delete(directory, name, identity)
                    return None
                return moving.move(directory, name, source, identity)
        except FileNotFoundError:
            log.info("%s is gone already", printable(source))
            return None if moving is None else _moved_before(trees, moving.wanted, identity)


def move_along(trees: Trees, folder: Path, names: Mapping[str, str], moved: Path, *, private: bool) -> None:
    """Move files that lie beside a source, which was `moved`, to their new names beside it; nothing is replaced.

    What is gone is no matter: an earlier attempt moved it. Raises Transient if the file system refuses.
    """
    with explained("move", folder):
        try:
            with trees.directory(folder) as directory:
                for name, new in names.items():
                    with contextlib.suppress(FileNotFoundError):
                        if not at.is_file(directory, name):
                            continue
                        known = _identity(name, directory)
                        _Move(trees, moved.with_name(new), private, "move").move(directory, name, folder / name, known)
        except FileNotFoundError:
            return  # its folder went with the source


def remove_emptied(trees: Trees, inbox: Path, relative: str) -> None:
    """Remove the folders of an inbox that a source was taken out of, if nothing is left in them; never the inbox.

    What somebody puts there meanwhile keeps its folder: the system removes none that has anything in it.
    """
    for folder in PurePosixPath(relative).parents[:-1]:
        try:
            with trees.directory(inbox / folder.parent) as above:
                at.remove_directory(above, folder.name)
        except OSError as error:
            log.debug("%s stays: %s", printable(inbox / folder), error.strerror)
            return


def _present_name(directory: int, name: str, identity: Identity) -> str:
    """The name of the source: a hidden one, if a crash in the middle of `delete` left it under that."""
    hidden = _hidden_name(identity)
    with contextlib.suppress(FileNotFoundError):
        if _identity(hidden, directory) == identity:
            return hidden
    return name


@dataclass(frozen=True)
class _Move:
    """To `wanted`, or its first numbered name that is free. `private`: nobody else may enter the folder there."""

    trees: Trees
    wanted: Path
    private: bool
    doing: str

    def move(self, directory: int, name: str, source: Path, identity: Identity) -> Path | None:
        """Move a file out of an opened directory; where it is then, None if it is another one by now."""
        wanted = self.wanted
        with explained(f"{self.doing} to", wanted.parent):
            make_directories(self.trees, wanted.parent)
            archive = self.trees.open_directory(wanted.parent)
        with at.closing(archive):
            if self.private:
                _close_to_others(archive)
            try:
                moved = move_numbered(directory, name, archive, wanted.name)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise  # most likely the source's folder gives nothing away
                return self._copy(directory, name, source, identity, archive)
            if _identity(moved, archive) != identity:
                # Replaced between the look and the move: what was moved is new, so it goes back.
                move_numbered(archive, moved, directory, source.name)
                return None
            sync_directory(archive)
            sync_directory(directory)
            return wanted.with_name(moved)

    def _copy(self, directory: int, name: str, source: Path, identity: Identity, archive: int) -> Path | None:
        with explained(f"{self.doing} to", self.wanted.parent):
            copied = _copy(directory, name, identity, archive, self.wanted.name)
            sync_directory(archive)
        if copied is None:
            log.info("%s changed while it was copied and stays where it is", printable(source))
            return None
        delete(directory, name, identity)
        return self.wanted.with_name(copied)


def _close_to_others(archive: int) -> None:
    """Let nobody else enter a directory of the archive.

    Between the look at a source and its move, a directory of the share's people may take its name. It is moved back,
    but for that moment its ".." is the archive.
    """
    mode = stat_bits.S_IMODE(os.fstat(archive).st_mode)
    if mode & 0o077:
        with contextlib.suppress(PermissionError):  # a file system without modes
            os.fchmod(archive, mode & 0o700)


def _moved_before(trees: Trees, wanted: Path, identity: Identity) -> Path | None:
    """Find the source where it was to go, where an attempt put it that died before it could tell.

    Itself, if it was moved there; a copy of it, the last one, if it came from another file system.
    """
    device, _, size, mtime_ns = identity
    copy = None
    for name in numbered(wanted.name):
        path = wanted.with_name(name)
        try:
            stat = trees.lstat(path)
        except FileNotFoundError:
            return copy
        if at.identity(stat) == identity:
            return path
        if stat.st_dev != device and _looks_like(stat, size, mtime_ns):
            copy = path
    raise AssertionError("the numbers of names have no end")


def delete(directory: int, name: str, identity: Identity) -> None:
    """Remove a file by way of a hidden name, where nobody can replace it between the look and the removal."""
    hidden = _hidden_name(identity)
    if name != hidden:
        move_new(directory, name, directory, hidden)
    if _identity(hidden, directory) != identity:
        move_numbered(directory, hidden, directory, name)
        return
    at.remove(directory, hidden)
    sync_directory(directory)


def _hidden_name(identity: Identity) -> str:
    _, inode, _, mtime_ns = identity
    return f"{OUR_PREFIX}{inode}-{mtime_ns}.part"


def _copy(directory: int, name: str, identity: Identity, archive: int, wanted: str) -> str | None:
    """Copy to another file system: hidden, made durable, then named; None if the source changed.

    The hidden name is the same at each attempt, and a copy that an earlier attempt named is not made again: however
    often this is cut short, one copy is left in the end.
    """
    hidden = _hidden_name(identity)
    at.remove(archive, hidden)
    try:
        with at.closing(at.read(directory, name)) as source:
            before = os.fstat(source)
            if at.identity(before) != identity:
                return None  # exchanged between the look and the opening
            earlier = _copied_before(source, identity, archive, wanted)
            if earlier is not None:
                return earlier
            with _writer(archive, hidden, before.st_mode) as copy:
                with open(source, "rb", closefd=False) as reader, open(copy, "wb", closefd=False) as writer:
                    shutil.copyfileobj(reader, writer, _BLOCK)
                os.utime(copy, ns=(identity[3], identity[3]))
                os.fsync(copy)
                whole = os.fstat(copy).st_size == identity[2]
            if not whole or at.identity(os.fstat(source)) != identity:
                return None
        if _identity(name, directory) != identity:
            return None
        return move_numbered(archive, hidden, archive, wanted)
    finally:
        # After the move there is nothing of that name; after a failure a part of a copy.
        at.remove(archive, hidden)


def _copied_before(source: int, identity: Identity, archive: int, wanted: str) -> str | None:
    """Find a copy of the open file `source` in the archive. Its content decides: the source is deleted for it."""
    _, _, size, mtime_ns = identity
    for name in numbered(wanted):
        try:
            if not _looks_like(at.status(archive, name), size, mtime_ns):
                continue
        except FileNotFoundError:
            return None
        with at.closing(at.read(archive, name)) as copy:
            if _same_content(source, copy):
                return name
    raise AssertionError("the numbers of names have no end")


def _looks_like(stat: os.stat_result, size: int, mtime_ns: int) -> bool:
    mtimes = abs(stat.st_mtime_ns - mtime_ns) < MTIME_SLACK_NS
    return stat_bits.S_ISREG(stat.st_mode) and stat.st_size == size and mtimes


def _same_content(first: int, second: int) -> bool:
    """Compare two open files, wherever they stand."""
    offset = 0
    while True:
        one, other = os.pread(first, _BLOCK, offset), os.pread(second, _BLOCK, offset)
        length = min(len(one), len(other))  # a network share may give less than was asked for
        if one[:length] != other[:length]:
            return False
        if not length:
            return one == other
        offset += length


def _writer(directory: int, name: str, mode: int) -> contextlib.AbstractContextManager[int]:
    return at.closing(at.create(directory, name, mode & 0o777))


def _identity(name: str, directory: int) -> Identity:
    return at.identity(at.status(directory, name))
