"""What becomes of a source once its result is recorded: archived, deleted or kept, if it is the same."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from flashvsr.outbox.files import explained, make_directories, move_new, opened
from flashvsr.outbox.names import OUR_PREFIX, inside, numbered
from flashvsr.text import printable
from flashvsr.trees import sync_directory

log = logging.getLogger(__name__)

Identity = tuple[int, int, int, int]  # device, inode, size, mtime_ns


def settle_source(source: Path, identity: Identity, action: str, archive_dir: Path, relative: str) -> Path | None:
    """Archive, delete or keep `source`; returns where it was archived, None otherwise.

    A source that is gone or has changed since the job was made (`identity`) is left alone; one that is gone because an
    earlier attempt archived it is found there. `relative` gives its place in the archive, where nothing is replaced.
    Raises Transient if the file system refuses; the source is then still where it was.
    """
    if action == "keep":
        return None
    with explained(action, source):
        try:
            with opened(source.parent) as directory:
                if action == "delete":
                    _finish_delete(directory, identity)
                if _identity(source.name, directory) != identity:
                    log.info("%s changed while it was processed and stays where it is", printable(source))
                    return None
                if action == "delete":
                    _delete(directory, source.name, identity)
                    return None
                return _archive(directory, source, identity, inside(archive_dir, relative))
        except FileNotFoundError:
            log.info("%s is gone already", printable(source))
            return _archived_before(inside(archive_dir, relative), identity) if action == "archive" else None


def _archive(directory: int, source: Path, identity: Identity, wanted: Path) -> Path | None:
    with explained("archive to", wanted.parent):
        make_directories(wanted.parent)
        with opened(wanted.parent) as archive:
            try:
                name = _move_numbered(directory, source.name, archive, wanted.name)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                copied = _copy(directory, source.name, identity, archive, wanted.name)
                if copied is None:
                    log.info("%s changed while it was archived and stays where it is", printable(source))
                    return None
                sync_directory(archive)
                _delete(directory, source.name, identity)
                return wanted.with_name(copied)
            if _identity(name, archive) != identity:
                # Replaced between the look and the move: what was moved is new, so it goes back.
                _move_numbered(archive, name, directory, source.name)
                return None
            sync_directory(archive)
            sync_directory(directory)
            return wanted.with_name(name)


def _archived_before(wanted: Path, identity: Identity) -> Path | None:
    """Find the source in the archive, where an attempt put it that died before it could tell."""
    for name in numbered(wanted.name):
        try:
            stat = wanted.with_name(name).lstat()
        except FileNotFoundError:
            return None
        if (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) == identity:
            return wanted.with_name(name)
    raise AssertionError("the numbers of names have no end")


def _delete(directory: int, name: str, identity: Identity) -> None:
    """Remove a file by way of a hidden name, where nobody can replace it between the look and the removal."""
    hidden = _hidden_name(identity)
    move_new(directory, name, directory, hidden)
    if _identity(hidden, directory) != identity:
        _move_numbered(directory, hidden, directory, name)
        return
    os.unlink(hidden, dir_fd=directory)
    sync_directory(directory)


def _finish_delete(directory: int, identity: Identity) -> None:
    """Remove what a crash in the middle of `_delete` left."""
    hidden = _hidden_name(identity)
    with contextlib.suppress(FileNotFoundError):
        if _identity(hidden, directory) == identity:
            os.unlink(hidden, dir_fd=directory)


def _hidden_name(identity: Identity) -> str:
    _, inode, _, mtime_ns = identity
    return f"{OUR_PREFIX}{inode}-{mtime_ns}.part"


def _copy(directory: int, name: str, identity: Identity, archive: int, wanted: str) -> str | None:
    """Copy to another file system: hidden, made durable, then named; None if the source changed."""
    hidden = f"{OUR_PREFIX}{secrets.token_hex(8)}.part"
    try:
        with _reader(directory, name) as source, _writer(archive, hidden, os.fstat(source).st_mode) as copy:
            with open(source, "rb", closefd=False) as reader, open(copy, "wb", closefd=False) as writer:
                shutil.copyfileobj(reader, writer, 1 << 20)
            os.utime(copy, ns=(identity[3], identity[3]))
            os.fsync(copy)
            whole = os.fstat(copy).st_size == identity[2]
        if not whole or _identity(name, directory) != identity:
            return None
        return _move_numbered(archive, hidden, archive, wanted)
    finally:
        # After the move there is nothing of that name; after a failure a part of a copy.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(hidden, dir_fd=archive)


@contextlib.contextmanager
def _reader(directory: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writer(directory: int, name: str, mode: int) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(name, flags, mode & 0o777, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _move_numbered(old_directory: int, old: str, new_directory: int, wanted: str) -> str:
    for name in numbered(wanted):
        try:
            move_new(old_directory, old, new_directory, name)
        except FileExistsError:
            continue
        return name
    raise AssertionError("the numbers of names have no end")


def _identity(name: str, directory: int) -> Identity:
    stat = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
