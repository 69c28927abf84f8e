"""The state directory: its folders, and the lock that lets one service at a time use it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flashvsr.errors import FlashVSRError

LOCK_NAME = "flashvsr.lock"
JOBS_NAME = "jobs"  # one folder of finished chunks per job
RECORDS_NAME = "records"  # a copy of each job that has ended, beside the database
ARCHIVE_NAME = "archive"  # sources that are done, one folder per inbox

LOCK_SECONDS = 1.0  # `flashvsr status` holds the lock, shared, for an instant: no reason not to start
_LOCK_PAUSE = 0.02
_LONGEST_NUMBER = 10  # digits of a process number


class AlreadyRunning(FlashVSRError):
    """Another service uses this state directory."""


def jobs_directory(state: Path) -> Path:
    """Where each job keeps its chunks, in a folder named by its number."""
    return state / JOBS_NAME


def archive_directory(state: Path) -> Path:
    """Where sources go after success, if they are archived."""
    return state / ARCHIVE_NAME


def prepare_state(state: Path) -> None:
    """Create the state directory and its folders. FlashVSRError where that is not possible."""
    # Of the records, too: the first one may be written by root, for whom `flashvsr cancel` works as well.
    for directory in (state, jobs_directory(state), archive_directory(state), state / RECORDS_NAME):
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise FlashVSRError(
                f"cannot create {directory}: {error.strerror}; make it writable for the user of this service"
                " or set paths.state to another directory"
            ) from error


@contextmanager
def state_lock(state: Path, patience: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the state directory for this process alone; AlreadyRunning names the one that has it.

    `patience`: seconds to try before that. The lock goes with the process however it ends; the file stays.
    """
    path = state / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
    except OSError as error:
        advice = "remove it" if error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO) else "check its owner and mode"
        raise FlashVSRError(f"cannot open {path}: {error.strerror}; {advice}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FlashVSRError(f"{path} is no file; remove it")
        if not _lock(descriptor, patience):
            holder = _number(os.pread(descriptor, 32, 0))
            raise AlreadyRunning(
                f"another flashvsr service (process {holder or 'unknown'}) already uses {state}; "
                "stop it first, or give this one a state directory of its own (paths.state)"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOCK_PAUSE)
        else:
            return True


def service_process(state: Path) -> int | None:
    """Number of the process that serves this state directory now; None if there is none."""
    try:
        descriptor = os.open(state / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _number(os.pread(descriptor, 32, 0))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _number(content: bytes) -> int | None:
    """The process that a lock tells of; whatever else the file holds tells of none."""
    digits = content.strip()
    return int(digits) if digits.isdigit() and len(digits) <= _LONGEST_NUMBER else None
