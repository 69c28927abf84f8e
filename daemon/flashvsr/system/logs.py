"""Log lines on standard error: priorities for journald, times for people, never a raw control character."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from flashvsr.system.text import LINE, MOST_LINES, visible, visible_lines

ROOT = "flashvsr"

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)  # else 7, debug

_current_job: int | None = None


def setup(level: str = "info", stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Send the service's log to `stream` (standard error) at `level`; calling it again changes both.

    Warnings of libraries take the same way: they too name files, whose names must not reach a terminal as they are.
    """
    stream = sys.stderr if stream is None else stream
    # A stream in a narrow encoding must not turn an exotic file name into a logging failure.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(journal=under_journald(stream, environ)))
    ours = logging.getLogger(ROOT)
    ours.handlers[:] = [handler]
    ours.propagate = False
    everyone = logging.getLogger()
    kept = [other for other in everyone.handlers if not isinstance(other.formatter, LineFormatter)]
    everyone.handlers[:] = [*kept, handler]
    everyone.setLevel(logging.WARNING)
    set_level(level)


def set_level(level: str) -> None:
    """Log messages of this level and above from now on."""
    logging.getLogger(ROOT).setLevel(getattr(logging, level.upper()))


def under_journald(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream is the journal's socket, which systemd names in JOURNAL_STREAM as device:inode."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False  # not backed by a file, so it is not the journal
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


@contextmanager
def job(job_id: int) -> Iterator[None]:
    """Mark every line logged inside, from any thread of this process, with the job's number.

    Process-wide on purpose: a worker does one job at a time, and its decoder and encoder threads log too.
    """
    global _current_job
    before, _current_job = _current_job, job_id
    try:
        yield
    finally:
        _current_job = before


def each_line(log: logging.Logger, level: int, text: str) -> None:
    """Log a message of several lines (all the problems of a file) as one record a line."""
    for line in visible_lines(text.split("\n")):
        if line.strip():
            log.log(level, "%s", line.rstrip())


class LineFormatter(logging.Formatter):
    """One record, one line; a traceback follows as lines of its own, marked so that none passes for a record.

    With `journal`, each line starts with the priority in angle brackets, as sd-daemon(3) wants it, and leaves
    the time to journald. Otherwise it starts with the local time and the level.
    """

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without a final line end."""
        start = self._start(record)
        lines = [start + _job_mark(record) + visible(record.getMessage())]
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            lines += [f"{start}  | {line}" for line in visible_lines(_ends(trace.splitlines()), LINE * MOST_LINES)]
        return "\n".join(lines)

    def _start(self, record: logging.LogRecord) -> str:
        if self._journal:
            return f"<{_priority(record.levelno)}>"
        return f"{self.formatTime(record, '%Y-%m-%d %H:%M:%S')} {record.levelname.lower():7} "


def _ends(lines: list[str]) -> list[str]:
    """A traceback's first and last lines: where it began, and what happened."""
    left = len(lines) - MOST_LINES
    if left <= 0:
        return lines
    half = MOST_LINES // 2 - 1
    return [*lines[:half], f"… {left + 2} lines …", *lines[-half:]]


def _priority(levelno: int) -> int:
    return next((priority for level, priority in _PRIORITIES if levelno >= level), 7)


def _job_mark(record: logging.LogRecord) -> str:
    job_id = getattr(record, "job", _current_job)
    return "" if job_id is None else f"job {job_id}: "
