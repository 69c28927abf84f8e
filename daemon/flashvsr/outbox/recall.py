"""The way back of a source that was archived: into its inbox again, where nothing is replaced."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from flashvsr.files import at
from flashvsr.files.advice import explained
from flashvsr.files.made import Made
from flashvsr.files.moves import move_new
from flashvsr.files.names import OUR_PREFIX, numbered
from flashvsr.files.trees import Trees

_BLOCK = 1 << 20

Expect = Callable[[Path, os.stat_result], None]


def put_back(trees: Trees, archived: Path, wanted: Path, expect: Expect) -> Path:
    """Move an archived file back to `wanted`, or the first of its numbered names that is free; returns the path.

    `expect` is told the path, and what the file will look like there, just before it gets that name; once more where
    somebody else was quicker. Whatever cuts this short, the file is whole in the archive or in the inbox. Raises
    Transient if the file system refuses. `trees`: the way to both places.
    """
    with (
        explained("write to", wanted.parent),
        trees.directory(archived.parent) as archive,
        trees.directory(wanted.parent, create=True) as folder,
    ):
        status = at.status(archive, archived.name)
        try:
            path = _name(folder, wanted, lambda path: expect(path, status), archive, archived.name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            path = _copy(archive, archived.name, folder, wanted, expect)
        at.sync_directory(folder)
        at.sync_directory(archive)
        return path


def _name(folder: int, wanted: Path, expect: Callable[[Path], None], origin: int, name: str) -> Path:
    return _first_free(folder, wanted, expect, lambda free: move_new(origin, name, folder, free))


def _first_free(folder: int, wanted: Path, expect: Callable[[Path], None], give_name: Callable[[str], None]) -> Path:
    for name in numbered(wanted.name):
        if at.taken(folder, name):
            continue
        expect(wanted.with_name(name))
        try:
            give_name(name)
        except FileExistsError:
            continue
        return wanted.with_name(name)
    raise AssertionError("the numbers of names have no end")


def _copy(archive: int, name: str, folder: int, wanted: Path, expect: Expect) -> Path:
    """Do it by way of a copy, to another file system. The archived file goes when the copy is safe."""
    with at.closing(at.read(archive, name)) as source:
        status = os.fstat(source)
        hidden = f"{OUR_PREFIX}{status.st_ino}-{status.st_mtime_ns}.part"
        at.remove(folder, hidden)  # of an attempt that was cut short
        with Made(wanted.with_name(hidden), folder, status.st_mode & 0o777) as copy:
            while block := os.read(source, _BLOCK):
                copy.write(block)
            os.utime(copy.descriptor, ns=(status.st_mtime_ns, status.st_mtime_ns))
            made = copy.sync()
            if made.st_size != status.st_size:
                raise OSError(errno.EIO, os.strerror(errno.EIO), name)
            path = _first_free(
                folder, wanted, lambda path: expect(path, made), lambda free: copy.give_name(folder, free)
            )
    at.sync_directory(folder)
    at.remove(archive, name)
    return path
