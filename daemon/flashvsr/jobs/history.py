"""What is left to do when a job has ended: its source, its partial video, its place in the history."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from peewee import fn

from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, FINISHED, Job
from flashvsr.jobs.table import Records, partial_result

SOURCE_STAYS = "source"  # kind of the error of a job that is done, but whose source could not be taken away


class Ended(NamedTuple):
    """As much of a job that has ended as decides whether it is still remembered."""

    id: int
    inbox: str
    source: str
    departed: bool


class Aftermath(Records):
    """Changes to jobs that have ended, which need no lease."""

    def add_partial(self, job_id: int, result: Path, warnings: Iterable[str] = ()) -> None:
        """Name the partial video of a job that ended without a lease: given up, or cancelled in waiting."""
        with self._writing():
            row = self._existing(job_id)
            if row.state in (FAILED, CANCELLED):
                self._change(job_id, warnings=[*row.warnings, *warnings], **partial_result(result))
                self._note(job_id)

    def unsettled(self) -> list[Job]:
        """Return done jobs whose source was not yet archived, deleted or kept: a crash came in between."""
        return self._select(Job.select().where(Job.state == DONE, Job.settled.is_null()).order_by(Job.id))

    def source_stays(self, job_id: int, why: str) -> bool:
        """Note why the source of a done job could not be taken away yet; whether that was not known before."""
        with self._writing():
            row = self._existing(job_id)
            if row.state != DONE or row.settled is not None or row.error == why:
                return False
            self._change(job_id, error=why, error_kind=SOURCE_STAYS)
            return True

    def staying_sources(self) -> tuple[int, Job | None]:
        """How many sources of done jobs could not be taken away yet, and the last such job."""
        stays = (Job.state == DONE) & Job.settled.is_null() & (Job.error_kind == SOURCE_STAYS)
        with self._reading():
            number = self._first(Job.select(fn.COUNT(Job.id).alias("number")).where(stays)).number
            return number, self._first(Job.select().where(stays).order_by(Job.id.desc())) if number else None

    def settled(self, job_id: int, archived: Path | None, departed: bool) -> None:
        """Record that the source of a done job has been dealt with, and where it went.

        `departed`: it has left the inbox. The same file dropped there again is then a new job.
        """
        where = None if archived is None else str(archived)
        with self._writing():
            self._change(job_id, settled=time.time(), archived=where, departed=departed, error=None, error_kind=None)

    def ended_before(self, limit: float) -> list[Ended]:
        """Return what ended before `limit`, in seconds since the epoch: without all that is recorded of its making."""
        columns = (getattr(Job, name) for name in Ended._fields)
        old = (Job.state.in_(FINISHED)) & (Job.finished < limit)
        with self._reading():
            return [Ended(*row) for row in self._run(Job.select(*columns).where(old).tuples())]

    def forget(self, job_ids: Iterable[int]) -> int:
        """Delete ended jobs from the history; how many these were."""
        ended = Job.state.in_(FINISHED)
        with self._writing():
            gone = [number for number in job_ids if self._run(Job.delete().where(Job.id == number, ended))]
        self.ledger.forget(gone)
        return len(gone)
