"""The state directory: what lies in it under which name, and the lock that lets one service at a time use it."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flashvsr.errors import FlashVSRError
from flashvsr.files.advice import NO_FILE, advice, in_the_way, reason
from flashvsr.system.text import printable

LOCK_SECONDS = 1.0  # `flashvsr status` holds the lock, shared, for an instant: no reason not to start
_LOCK_PAUSE = 0.02
_QUESTION = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST_NUMBER = 10  # digits of a process number
_ENDING = ".ending"
_REBUILT, _ASIDE = "queue.rebuilt-", "queue.damaged-"


class AlreadyRunning(FlashVSRError):
    """Another service uses this state directory."""


@dataclass(frozen=True)
class StateDirectory:
    """All names below a state directory: nobody else joins one to its path."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the service as long as it runs."""
        return self.path / "flashvsr.lock"

    @property
    def database(self) -> Path:
        """The queue."""
        return self.path / "queue.db"

    @property
    def building(self) -> Path:
        """A new queue that is being filled."""
        return self.path / "queue.building.db"

    def rebuilt(self, stamp: str) -> Path:
        """A new queue that is complete and waits to be put in place."""
        return self.path / f"{_REBUILT}{stamp}.db"

    def all_rebuilt(self) -> list[Path]:
        """Those that wait, oldest first."""
        return sorted(self.path.glob(f"{_REBUILT}*.db"))

    def aside(self, stamp: str) -> Path:
        """A damaged queue that was set aside. A stamp is the time when its successor was made."""
        return self.path / f"{_ASIDE}{stamp}.db"

    def all_aside(self) -> list[Path]:
        """The damaged queues that were set aside, oldest first, without their journals."""
        return sorted(self.path.glob(f"{_ASIDE}*.db"))

    def is_aside(self, name: str) -> bool:
        """Whether this is the name of a damaged queue that was set aside, or of a journal of one."""
        return name.startswith(_ASIDE)

    def stamp_of(self, path: Path) -> str:
        """The stamp in the name of a queue that was rebuilt or set aside."""
        return path.name.removeprefix(_REBUILT).removeprefix(_ASIDE).removesuffix(".db")

    @property
    def records(self) -> Path:
        """A copy of each job that has ended, beside the database."""
        return self.path / "records"

    def record(self, job_id: int) -> Path:
        """The copy of this job."""
        return self.records / f"{job_id}.json"

    @property
    def damaged_records(self) -> Path:
        """Where a record goes that cannot be used."""
        return self.path / "records.damaged"

    @property
    def jobs(self) -> Path:
        """Where each job keeps its chunks, in a folder of its own."""
        return self.path / "jobs"

    def job(self, job_id: int) -> Path:
        """The folder of this job."""
        return self.jobs / str(job_id)

    def ending(self, job_id: int) -> Path:
        """Beside that folder: what tells of the job's end being worked on, see `flashvsr.worker.marker`."""
        return self.jobs / f"{job_id}{_ENDING}"

    @property
    def partials(self) -> Path:
        """Notes on the partial videos that lie in outboxes."""
        return self.path / "partials"

    def partials_of(self, job_id: int) -> Path:
        """Those of this job."""
        return self.partials / f"{job_id}.json"

    def job_of(self, name: str) -> int | None:
        """The number of the job whose folder or mark of its ending has this name; None if it is another name."""
        digits = name.removesuffix(_ENDING)
        return int(digits) if digits.isascii() and digits.isdecimal() else None

    @property
    def thumbnails(self) -> Path:
        """Small pictures of results, for the status page."""
        return self.path / "thumbnails"

    def thumbnail(self, job_id: int) -> Path:
        """That of this job."""
        return self.thumbnails / f"{job_id}.jpg"

    @property
    def archive(self) -> Path:
        """Where sources go after success, if they are archived."""
        return self.path / "archive"

    def archive_of(self, inbox: Path) -> Path:
        """Where those of this inbox go."""
        return self.archive / inbox.name

    @property
    def kernels(self) -> Path:
        """What Triton compiled."""
        return self.path / "kernels"

    @property
    def mounts(self) -> Path:
        """On which mounts the shares lay."""
        return self.path / "mounts.json"

    @property
    def service(self) -> Path:
        """What the running service tells of itself."""
        return self.path / "service.json"

    @property
    def pause(self) -> Path:
        """For how long a person paused the service."""
        return self.path / "pause.json"

    @property
    def worker_settings(self) -> Path:
        """What workers read instead of the settings file."""
        return self.path / "worker.toml"


def prepare_state(state: Path) -> None:
    """Create the state directory and its folders. FlashVSRError where that is not possible."""
    # Of the records, too: the first one may be written by root, for whom `flashvsr cancel` works as well.
    names = StateDirectory(state)
    for directory in (state, names.jobs, names.archive, names.records, names.thumbnails):
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            why = in_the_way(directory) or reason("write to", directory, error)
            raise FlashVSRError(
                f"cannot create {printable(directory)}: {why}, or set paths.state to another directory"
            ) from error


@contextmanager
def state_lock(state: Path, patience: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the state directory for this process alone; AlreadyRunning names the one that has it.

    `patience`: seconds to try before that. The lock goes with the process however it ends; the file stays.
    """
    path = StateDirectory(state).lock
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
    except OSError as error:
        remedy = "remove it" if error.errno in NO_FILE else advice("write", path, error)
        raise FlashVSRError(f"cannot open {path}: {error.strerror}; {remedy}") from error
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
        descriptor = os.open(StateDirectory(state).lock, _QUESTION)
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
