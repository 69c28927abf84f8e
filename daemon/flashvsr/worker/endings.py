"""After the work: the partial video, the text that says what went wrong, the source, the job's folder.

A crash can cut each of these short, so `sweep` looks for what was left undone.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flashvsr.errors import Damaged, FlashVSRError, LeaseLost, Transient
from flashvsr.files import at, trees
from flashvsr.files.advice import ENVIRONMENT, failure
from flashvsr.files.mounts import Mounts
from flashvsr.files.objects import clear_name
from flashvsr.files.space import writing_state
from flashvsr.files.state import jobs_directory
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.rows import LARGEST_NUMBER
from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, SUPERSEDED, Job
from flashvsr.outbox.publish import (
    remove_error_text,
    remove_temporaries,
    settle_source,
    target_for,
    write_error_text,
)
from flashvsr.outbox.writable import WritableOutboxes
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset, preset_of_job
from flashvsr.system import logs
from flashvsr.system.text import printable, storable
from flashvsr.worker.faults import backoff
from flashvsr.worker.places import archive_of, outbox_of, outbox_root, work_directory
from flashvsr.worker.source import SourceChanged, SourceGone, check_source
from flashvsr.worker.upscaling import Upscaling
from flashvsr.worker.whereabouts import Whereabouts

log = logging.getLogger(__name__)

ENDING = ".ending"
_TRY = b"."  # what a marker holds for each try at a partial video
SWEEP_SECONDS = 10.0
SALVAGE_TRIES = 2  # a source that kills every worker may do so while its partial video is made, too
SETTLE_AFTER = 60.0  # by then the worker that finished a job is at its source, or has died


class Endings:
    """Puts things in order after a job, and after those whose worker died before it could."""

    def __init__(self, queue: Queue, config: Config, upscaling: Upscaling) -> None:
        self.config = config
        self._queue = queue
        self._upscaling = upscaling
        self._mounts = Mounts(config.paths.state)
        self._writable = WritableOutboxes()
        self.whereabouts = Whereabouts(queue, lambda: self.config)
        self._next_sweep = 0.0
        self._postponed: dict[int, tuple[int, float]] = {}  # job -> failures in a row, time of the next try

    def task(self, job: Job, preset: Preset) -> Any:
        """Describe the work on a claimed job. BadConfig if its inbox is gone from the settings."""
        return self._upscaling.Task(
            source=Path(job.source),
            target=target_for(outbox_of(self.config, job), job.relative, preset.container),
            preset=preset,
            workdir=work_directory(self.config, job.id),
            job_id=job.id,
        )

    def check_shares(self, job: Job) -> None:
        """Raise ShareAway while the inbox or the outbox of the job is only the mount point of an absent share."""
        self._mounts.check(Path(job.inbox))
        self.check_outbox(job)

    def check_outbox(self, job: Job) -> None:
        """Raise ShareAway while the outbox is only a mount point."""
        self._mounts.check(outbox_of(self.config, job))

    def check_writable(self, job: Job) -> None:
        """Raise OutboxClosed, or NoSpace, if nothing can be written where the job's result will go."""
        self._writable.check(self._folder(job), outbox_root(self.config, job))

    def partial(self, job: Job, reason: str, working: Callable[[], None] = lambda: None) -> Path | None:
        """Publish the finished chunks of a job that goes no further; None if there are none.

        `working` is called whenever something got done. Raises Transient when that has to wait (no space, the
        outbox's share away); the chunks stay, `sweep` tries again.
        """
        self.check_outbox(job)
        if not work_directory(self.config, job.id).is_dir() or not job.preset:
            return None
        tries = self._marker(job.id)
        if self._tried(job.id) >= SALVAGE_TRIES:
            log.error("what is finished of it cannot be made into a video; it was tried several times and is removed")
            return None
        with writing_state(tries), tries.open("ab") as file:
            file.write(_TRY)  # before the try, which may end this process
        try:
            task = self.task(job, preset_of_job(job.preset))
            made = self._upscaling.salvage(task, self.config, reason, working)
            os.truncate(tries, 0)  # telling of it may have to wait, and then this is asked again
            return made
        except (LeaseLost, Damaged):
            raise
        except Transient:
            os.truncate(tries, tries.stat().st_size - 1)
            raise
        except OSError as error:
            if error.errno in ENVIRONMENT:
                os.truncate(tries, tries.stat().st_size - 1)
                raise failure("write", self._folder(job), error) from error
            log.exception("no partial video could be made of its chunks")
        except FlashVSRError as error:
            log.warning("no partial video could be made of its chunks: %s", error)
        except Exception:
            log.exception("no partial video could be made of its chunks")
        return None

    def tell(self, job: Job, message: str, partial: Path | None) -> None:
        """Put a text with the reason into the outbox, for the person who looks for the result there.

        Raises Transient when that has to wait.
        """
        finished = f"What was finished until then: {printable(partial)}\n" if partial else ""
        text = f"{storable(message)}\n{finished}To try again: flashvsr retry {job.id}\n"
        try:
            self.check_outbox(job)
            write_error_text(self._folder(job), Path(job.relative).name, text)
        except Transient:
            raise
        except (OSError, FlashVSRError) as error:
            log.warning("the reason could not be written to the outbox: %s", error)

    def settle_source(self, job_id: int) -> None:
        """Archive, delete or keep the source of a done job, if it is still the file that was processed.

        Copying it to an archive on another file system takes as long as it takes; nobody else begins meanwhile.
        """
        with self.alone(job_id) as alone:
            job = self._queue.jobs.get(job_id)
            if alone and job is not None and job.state == DONE and job.settled is None:
                self._settle(job)
            if alone:
                self._marker(job_id).unlink(missing_ok=True)

    def _settle(self, job: Job) -> None:
        identity, action = (job.device, job.inode, job.size, job.mtime_ns), self.config.watch.on_success
        try:
            self._mounts.check(Path(job.inbox))
            job = self.whereabouts.present(job)
            # Device and inode as they are now: a share that was mounted again has others. If the source is gone or
            # another one, the recorded ones let a removal that a crash cut short be completed.
            with suppress(SourceGone, SourceChanged):
                identity = at.identity(check_source(job))
            archive = archive_of(self.config, job)
            archived = settle_source(Path(job.source), identity, action, archive, job.relative)
        except FlashVSRError as error:
            why = _why_it_stays(Path(job.source).parent, error)
            if self._queue.history.source_stays(job.id, why):
                log.warning("%s", why)
            self._postpone(job.id)
            return
        departed = action != "keep" and _is_gone(Path(job.source))
        self._queue.history.settled(job.id, archived, departed)
        self._postponed.pop(job.id, None)

    def clear(self, job: Job) -> None:
        """Drop the job's chunks and half-written files: nobody needs them any more."""
        shutil.rmtree(work_directory(self.config, job.id), ignore_errors=True)
        try:
            self.check_outbox(job)
            remove_temporaries(self._folder(job), job.id)
            if job.state == DONE:
                remove_error_text(self._folder(job), Path(job.relative).name)  # of an attempt that failed
        except (OSError, FlashVSRError) as error:
            log.warning("the outbox could not be tidied: %s", error)
        self._marker(job.id).unlink(missing_ok=True)

    def leave_for_sweep(self, job: Job) -> None:
        """Make sure that `sweep` comes by: it looks for the folders of jobs. Raises NoSpace or another Transient."""
        folder = work_directory(self.config, job.id)
        with writing_state(folder):
            clear_name(folder, stat.S_ISDIR)
            folder.mkdir(exist_ok=True)

    @contextmanager
    def alone(self, job_id: int) -> Iterator[bool]:
        """Keep other workers from putting the same job in order; False if one is at it already.

        Raises NoSpace or another Transient, before anything was done, when its file cannot be made.
        """
        marker = self._marker(job_id)
        with writing_state(marker):
            clear_name(marker)
            file = marker.open("ab")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            # Without a name it was removed by whoever had it until now: the next one would lock another file.
            yield os.fstat(file.fileno()).st_nlink > 0

    def sweep(self) -> None:
        """Finish what was left undone: chunks of jobs that are over, sources whose job is done."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + SWEEP_SECONDS
        for number in sorted(self._left()):
            if self._is_due(number):
                with logs.job(number):
                    self._finish(number)
        for job in self._queue.history.unsettled():
            if job.finished is not None and job.finished < time.time() - SETTLE_AFTER and self._is_due(job.id):
                with logs.job(job.id):
                    self.settle_source(job.id)

    def end_without_lease(self, job_id: int) -> None:
        """Put a job in order that was given up at a claim or cancelled while it waited."""
        with logs.job(job_id):
            self._finish(job_id)

    def _left(self) -> set[int]:
        """The jobs that have a folder, or whose ending has begun."""
        names = (entry.name.removesuffix(ENDING) for entry in jobs_directory(self.config.paths.state).iterdir())
        numbers = {int(name) for name in names if name.isascii() and name.isdecimal()}
        return {number for number in numbers if number <= LARGEST_NUMBER}

    def _finish(self, job_id: int) -> None:
        with self.alone(job_id) as alone:
            job = self._queue.jobs.get(job_id)
            if not alone or job is None or job.state not in (DONE, FAILED, CANCELLED):
                return
            try:
                self._finish_badly(self.whereabouts.present(job))
            except Transient as error:
                log.warning("what tells of its end has to wait: %s", error)
                self._postpone(job_id)
                return
            self.clear(job)

    def _finish_badly(self, job: Job) -> None:
        if job.state == DONE or job.result is not None or job.error == SUPERSEDED:
            return  # the chunks are all that is left
        message = job.error or "cancelled"
        partial = self.partial(job, message)
        if job.state == FAILED:
            self.tell(job, message, partial)
        if partial is not None:
            self._queue.history.add_partial(job.id, partial)  # last: it says that nothing else is left to do

    def _folder(self, job: Job) -> Path:
        """The directory of the outbox where the job's result, or what stands in for it, goes."""
        return target_for(outbox_of(self.config, job), job.relative, "mp4").parent

    def _is_due(self, job_id: int) -> bool:
        return self._postponed.get(job_id, (0, 0.0))[1] <= time.monotonic()

    def _postpone(self, job_id: int) -> None:
        failures = self._postponed.get(job_id, (0, 0.0))[0]
        self._postponed[job_id] = failures + 1, time.monotonic() + backoff(failures)

    def _tried(self, job_id: int) -> int:
        """How often a partial video was tried; a marker that holds anything but its marks tells of no try."""
        marker = self._marker(job_id)
        if not marker.is_file():
            return 0
        with marker.open("r+b") as file:
            marks = file.read(SALVAGE_TRIES + 1)
            if marks.strip(_TRY):
                file.truncate(0)
                return 0
        return len(marks)

    def _marker(self, job_id: int) -> Path:
        """One byte for each try at a partial video; also the lock. Beside the folder of chunks."""
        return jobs_directory(self.config.paths.state) / f"{job_id}{ENDING}"


def _why_it_stays(folder: Path, error: FlashVSRError) -> str:
    """What a person reads whose film is done and still lies in the inbox."""
    if isinstance(error.__cause__, PermissionError) and not os.access(folder, os.W_OK | os.X_OK):
        return (
            f"the source stays in the inbox: its folder {printable(folder)} does not let flashvsr take files away. "
            f"Make that folder writable for flashvsr, for example: chmod g+w FOLDER"
        )
    return f"the source stays in the inbox for now: {error}"


def _is_gone(source: Path) -> bool:
    """Whether it is surely not there; a share that fails to answer is no answer."""
    try:
        return not trees.exists(source)
    except OSError:
        return False
