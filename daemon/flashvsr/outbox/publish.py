"""Put a finished file into an outbox: whole or not at all, durable, and never over another file."""

from __future__ import annotations

import fnmatch
import os
import secrets
import stat as stat_bits
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flashvsr.files import trees
from flashvsr.files.moves import MTIME_SLACK_NS, explained, make_directories, move_new, opened, sync_file
from flashvsr.files.texts import write_replacing
from flashvsr.files.trees import sync_directory
from flashvsr.outbox.names import OUR_PREFIX, fitted, numbered, target_for
from flashvsr.outbox.source import settle_source

__all__ = [
    "already_published",
    "error_text_path",
    "publish",
    "remove_error_text",
    "remove_temporaries",
    "settle_source",
    "target_for",
    "temporary_for",
    "write_error_text",
    "write_report",
]


def temporary_for(target: Path, job_id: int) -> Path:
    """Return a fresh hidden name beside `target`, to write the result to before it is published.

    The name is new with each call, so that a worker which lost its job never writes into the file of the next
    one. The directory is created; raises Transient if that cannot be done now.
    """
    with explained("create", target.parent):
        make_directories(target.parent)
    return target.with_name(f"{OUR_PREFIX}{job_id}-{secrets.token_hex(4)}{target.suffix}.part")


def remove_temporaries(directory: Path, job_id: int) -> int:
    """Remove what earlier attempts of this job left in `directory`; how many files these were."""
    if not os.path.lexists(directory):
        return 0
    with opened(directory) as descriptor:
        left = fnmatch.filter(os.listdir(descriptor), f"{OUR_PREFIX}{job_id}-*.part")  # noqa: PTH208
        for name in left:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=descriptor)
    return len(left)


def publish(temporary: Path, target: Path, record: Callable[[Path, int, int], None]) -> Path:
    """Give the finished file `temporary`, which lies beside `target`, its visible name; returns that path.

    The content is on the disk first. If `target` is taken, the name is numbered. `record(path, size,
    mtime_ns)` is called before each try, so that after a crash `already_published` can tell whether it
    succeeded; what it raises ends the publication with the temporary file still there. Raises Transient for
    what the file system refuses.
    """
    with explained("publish", target), opened(target.parent) as directory:
        stat = sync_file(temporary)
        for name in numbered(target.name):
            if _taken(directory, name):
                continue
            path = target.with_name(name)
            record(path, stat.st_size, stat.st_mtime_ns)
            try:
                move_new(directory, temporary.name, directory, name)
            except FileExistsError:
                continue  # somebody else was faster
            sync_directory(directory)
            return path
    raise AssertionError("the numbers of names have no end")


def already_published(result: Path, size: int, mtime_ns: int) -> bool:
    """Tell whether the file recorded before a crash is in the outbox.

    The mtime may be off by the coarseness of the share's clock. Raises Transient if the share cannot be
    asked.
    """
    with explained("look for", result):
        try:
            stat = trees.lstat(result)
        except FileNotFoundError:
            return False
    return (
        stat_bits.S_ISREG(stat.st_mode) and stat.st_size == size and abs(stat.st_mtime_ns - mtime_ns) < MTIME_SLACK_NS
    )


def error_text_path(directory: Path, name: str) -> Path:
    """Return where the text about the failed source `name` lies."""
    return directory / fitted(name, ".error.txt")


def write_error_text(directory: Path, name: str, message: str) -> Path:
    """Explain a failure to the person who looks at the share: `<name>.error.txt`, in place of an older one.

    Raises Transient if the text cannot be written.
    """
    return _write_text(error_text_path(directory, name), message.rstrip() + "\n")


def write_report(result: Path, text: str) -> Path:
    """Put `<name of the result>.report.toml` beside a published result, in place of an older one.

    Raises Transient if it cannot be written.
    """
    return _write_text(result.with_name(fitted(result.name, ".report.toml")), text)


def _write_text(path: Path, text: str) -> Path:
    with explained("write", path):
        make_directories(path.parent)
        write_replacing(path, text)
    return path


def remove_error_text(directory: Path, name: str) -> None:
    """Take back an error text that no longer applies: the source was processed after all."""
    path = error_text_path(directory, name)
    with explained("remove", path):
        trees.unlink(path)


def _taken(directory: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return False
    return True
