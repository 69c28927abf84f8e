"""What a person asks of a job: try it again, cancel it, do it first, make it anew."""

from __future__ import annotations

import os
import time
from pathlib import Path

from flashvsr.errors import FlashVSRError
from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, HELD, QUEUED, RUNNING, SKIPPED, Job, state_word
from flashvsr.jobs.store import Store
from flashvsr.jobs.table import ORDER, JobTable, fresh_start, no_result
from flashvsr.system.text import printable


class Requests:
    """Changes from outside the service; FlashVSRError tells that person why a job cannot be changed so."""

    def __init__(self, store: Store, jobs: JobTable) -> None:
        self._store = store
        self._jobs = jobs

    def retry(self, job_id: int, *, force: bool = False) -> None:
        """Queue a failed, cancelled, skipped or held job again, with all its attempts.

        `force`: it is done although its preset skips it.
        """
        with self._store.writing():
            row = self._jobs.existing(job_id)
            if row.state not in (FAILED, CANCELLED, SKIPPED, HELD):
                raise FlashVSRError(
                    f"Job {job_id} is {state_word(row.state)}; only failed, cancelled, skipped and held jobs can be "
                    "tried again."
                )
            if self._jobs.newer(row) is not None:
                raise FlashVSRError(
                    f"Job {job_id} is about an older version of {printable(row.source)}; "
                    "the newer version has its own job."
                )
            self._jobs.begin_anew(job_id, state=QUEUED, forced=force, **fresh_start(), **no_result())

    def retry_all(self) -> list[int]:
        """Queue all failed jobs again, but for those whose file has a newer version; their numbers."""
        with self._store.writing():
            failed = self._store.run(Job.select().where(Job.state == FAILED).order_by(Job.id))
            again = [row.id for row in failed if self._jobs.newer(row) is None]
            for number in again:
                self.retry(number)
        return again

    def first(self, job_id: int) -> None:
        """Let a waiting job come before all others, also before those that were put first earlier."""
        with self._store.writing():
            row = self._jobs.existing(job_id)
            if row.state not in (QUEUED, HELD):
                raise FlashVSRError(f"Job {job_id} is {state_word(row.state)}; only jobs that wait can be put first.")
            foremost = self._store.first(Job.select().where(Job.state.in_((QUEUED, HELD))).order_by(*ORDER[:1]))
            self._jobs.change(job_id, turn=foremost.turn + 1)

    def done(self, job_id: int) -> Job:
        """Return a job that is done, and so can be made anew."""
        row = self._jobs.existing(job_id)
        if row.state == DONE:
            return row
        other = "; `flashvsr retry` tries it again" if row.state in (FAILED, CANCELLED, SKIPPED, HELD) else ""
        raise FlashVSRError(f"Job {job_id} is {state_word(row.state)}; only jobs that are done can be redone{other}.")

    def expect(self, job_id: int, source: Path, relative: str, status: os.stat_result) -> None:
        """The file of a job that is done is about to get this name in its inbox: there it is known, and no new one."""
        content = {"device": status.st_dev, "inode": status.st_ino, "mtime_ns": status.st_mtime_ns}
        with self._store.writing():
            self.done(job_id)
            # Whoever had this inode before is gone.
            same = Job.device == status.st_dev, Job.inode == status.st_ino, Job.mtime_ns == status.st_mtime_ns
            others = Job.update(departed=True).where(Job.size == status.st_size, *same, Job.id != job_id)
            self._store.run(others)
            self._jobs.change(job_id, departed=False, source=str(source), relative=relative, **content)

    def redo(self, job_id: int) -> None:
        """Queue a done job again, whose file lies in its inbox under the name that the queue knows."""
        with self._store.writing():
            self.done(job_id)
            anew = fresh_start() | no_result() | {"settled": None, "archived": None, "departed": False}
            self._jobs.begin_anew(job_id, state=QUEUED, created=time.time(), **anew)

    def cancel(self, job_id: int) -> str:
        """Cancel a job: "cancelled" if it was waiting, "cancel_requested" if its worker has to stop first."""
        with self._store.writing():
            row = self._jobs.existing(job_id)
            if row.state == RUNNING:
                self._jobs.change(job_id, cancel_requested=True)
                return "cancel_requested"
            if row.state not in (QUEUED, HELD):
                raise FlashVSRError(f"Job {job_id} is already {row.state}; there is nothing to cancel.")
            self._jobs.end(job_id, CANCELLED, error="cancelled", error_kind=None)
            return "cancelled"
