"""Put a finished file into an outbox: whole or not at all, durable, and never over another file."""

from __future__ import annotations

import logging
import re
import secrets
import stat as stat_bits
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flashvsr.files import at, marked
from flashvsr.files.advice import NO_TIMES, explained
from flashvsr.files.at import sync_directory
from flashvsr.files.made import Made
from flashvsr.files.moves import MTIME_SLACK_NS, make_directories
from flashvsr.files.names import OUR_PREFIX, fitted, numbered
from flashvsr.files.texts import hidden_text
from flashvsr.files.trees import Trees

log = logging.getLogger(__name__)


# Results by their job, see `temporary_for`.
RESULT_NAME = re.compile(re.escape(OUR_PREFIX) + r"(\d+)-[0-9a-f]{8}(?:\..+)?\.part", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class Outbox:
    """Directories for results: somewhere in `trees`, or wherever whoever calls the library wants them."""

    trees: Trees

    def temporary_for(self, target: Path, job_id: int) -> Path:
        """Return a fresh hidden name beside `target`, to make the result under (as `Made`) before it is published.

        The name is new with each call, so that a worker which lost its job never writes into the file of the next
        one. The directory is created; raises Transient if that cannot be done now.
        """
        with explained("create", target.parent):
            make_directories(self.trees, target.parent)
        return target.with_name(f"{OUR_PREFIX}{job_id}-{secrets.token_hex(4)}{target.suffix}.part")

    @contextmanager
    def new_result(self, temporary: Path) -> Iterator[Made]:
        """Make the file that a result is written to. Raises Transient if that cannot be done now."""
        with explained("create", temporary), self.trees.directory(temporary.parent) as directory:
            made = Made(temporary, directory)
        with made:
            yield made

    def remove_temporaries(self, directory: Path, job_id: int) -> int:
        """Remove what earlier attempts of this job left in `directory`; how many files these were. Raises OSError."""
        removed = 0
        try:
            with self.trees.directory(directory) as descriptor:
                for name in at.names(descriptor):
                    match = RESULT_NAME.fullmatch(name)
                    if match is not None and int(match[1]) == job_id and at.is_file(descriptor, name):
                        removed += at.remove(descriptor, name)
        except FileNotFoundError:
            return removed  # nothing was ever put there
        return removed

    def publish(
        self, made: Made, target: Path, record: Callable[[Path, int, int], None], source_mtime_ns: int | None = None
    ) -> Path:
        """Give the finished file `made`, which lies beside `target`, its visible name; returns that path.

        The content is on the disk first. It gets the time of its source, if that is given and the file system takes
        it. If `target` is taken, the name is numbered. `record(path, size,
        mtime_ns)` is called before each try, so that after a crash `already_published` can tell whether it
        succeeded; what it raises ends the publication with nothing named. Raises Transient for what the file system
        refuses, and if somebody put another file in the place of this one.
        """
        with explained("publish", target), self.trees.directory(target.parent) as directory:
            if source_mtime_ns is not None:
                _set_time(made, source_mtime_ns)
            stat = made.sync()
            for name in numbered(target.name):
                if at.taken(directory, name):
                    continue
                path = target.with_name(name)
                record(path, stat.st_size, stat.st_mtime_ns)
                try:
                    made.give_name(directory, name)
                except FileExistsError:
                    continue  # somebody else was faster
                sync_directory(directory)
                return path
        raise AssertionError("the numbers of names have no end")

    def already_published(self, result: Path, size: int, mtime_ns: int) -> bool:
        """Tell whether the file recorded before a crash is in the outbox.

        The mtime may be off by the coarseness of the share's clock. Raises Transient if the share cannot be
        asked.
        """
        with explained("look for", result):
            try:
                stat = self.trees.lstat(result)
            except FileNotFoundError:
                return False
        return (
            stat_bits.S_ISREG(stat.st_mode)
            and stat.st_size == size
            and abs(stat.st_mtime_ns - mtime_ns) < MTIME_SLACK_NS
        )

    def write_error_text(self, directory: Path, name: str, message: str) -> Path:
        """Explain a failure to the person who looks at the share: `<name>.error.txt`, in place of our older one.

        A file of that name that is not ours stays, and the text's name is numbered. Returns where the text lies. Raises
        Transient if it cannot be written.
        """
        return self._put(_error_text_path(directory, name), message, name)

    def write_report(self, result: Path, text: str) -> Path:
        """Put `<name of the result>.report.toml` beside a published result, in place of our older one about it.

        A file of that name that is not ours stays, and the report's name is numbered. Returns where the report lies.
        Raises Transient if it cannot be written.
        """
        return self._put(result.with_name(fitted(result.name, ".report.toml")), text, result.name)

    def write_picture(self, result: Path, data: bytes) -> Path:
        """Put `<name of the result>.compare.jpg` beside a published result; returns where it lies.

        Where the name is taken, that of the picture is numbered. Raises Transient if it cannot be written.
        """
        path = result.with_name(fitted(result.name, ".compare.jpg"))
        with (
            explained("write", path),
            self.trees.directory(path.parent) as directory,
            hidden_text(path.parent, directory, data) as made,
        ):
            for name in numbered(path.name):
                try:
                    made.give_name(directory, name)
                except FileExistsError:
                    continue
                sync_directory(directory)
                return path.with_name(name)
        raise AssertionError("the numbers of names have no end")

    def remove_error_text(self, directory: Path, name: str) -> None:
        """Take back an error text that no longer applies: the source was processed after all."""
        path = _error_text_path(directory, name)
        with explained("remove", path):
            marked.withdraw(self.trees, path, name)

    def _put(self, path: Path, text: str, about: str) -> Path:
        with explained("write", path):
            make_directories(self.trees, path.parent)
            return marked.put(self.trees, path, text, about)


def _set_time(made: Made, mtime_ns: int) -> None:
    """A file system that keeps another time is no reason to keep the result back."""
    try:
        made.set_time(mtime_ns)
    except OSError as error:
        if error.errno not in NO_TIMES:
            raise
        log.warning("the result cannot be given the time of its source: %s", error.strerror)


def _error_text_path(directory: Path, name: str) -> Path:
    return directory / fitted(name, ".error.txt")
