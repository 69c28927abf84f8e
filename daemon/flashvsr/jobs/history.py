"""Jobs that have ended: what is left to do about them, what is remembered, and what a lost database had remembered."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import peewee as pw

from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, FINISHED, QUEUED, Job
from flashvsr.jobs.store import Store
from flashvsr.jobs.table import JobTable, partial_result

SOURCE_STAYS = "source"  # kind of the error of a job that is done, but whose source could not be taken away


class Ended(NamedTuple):
    """As much of a job that has ended as decides whether it is still remembered."""

    id: int
    inbox: str
    source: str
    departed: bool
    archived: str | None
    size: int
    mtime_ns: int


class History:
    """Changes to jobs that have ended, which need no lease."""

    def __init__(self, store: Store, jobs: JobTable, ledger: Ledger) -> None:
        self._store = store
        self._jobs = jobs
        self._ledger = ledger

    def add_partial(self, job_id: int, result: Path, warnings: Iterable[str] = ()) -> None:
        """Name the partial video of a job that ended without a lease: given up, or cancelled in waiting."""
        with self._store.writing():
            row = self._jobs.existing(job_id)
            if row.state in (FAILED, CANCELLED):
                self._jobs.change(job_id, warnings=[*row.warnings, *warnings], **partial_result(result))
                self._jobs.note(job_id)

    def unsettled(self) -> list[Job]:
        """Return done jobs whose source was not yet archived, deleted or kept: a crash came in between."""
        return self._store.rows(Job.select().where(Job.state == DONE, Job.settled.is_null()).order_by(Job.id))

    def source_stays(self, job_id: int, why: str) -> bool:
        """Note why the source of a done job could not be taken away yet; whether that was not known before."""
        with self._store.writing():
            row = self._jobs.existing(job_id)
            if row.state != DONE or row.settled is not None or row.error == why:
                return False
            self._jobs.change(job_id, error=why, error_kind=SOURCE_STAYS)
            return True

    def staying_sources(self) -> tuple[int, Job | None]:
        """How many sources of done jobs could not be taken away yet, and the last such job."""
        stays = (Job.state == DONE) & Job.settled.is_null() & (Job.error_kind == SOURCE_STAYS)
        with self._store.reading():
            number = self._store.first(Job.select(pw.fn.COUNT(Job.id).alias("number")).where(stays)).number
            return number, self._store.first(Job.select().where(stays).order_by(Job.id.desc())) if number else None

    def last_archived(self) -> str | None:
        """Where the source of the job went that was settled last; None if it was not moved, or there is none."""
        query = Job.select().where(Job.state == DONE, Job.settled.is_null(False)).order_by(Job.settled.desc())
        with self._store.reading():
            row = self._store.first(query)
            return None if row is None else row.archived

    def settled(self, job_id: int, archived: Path | None, departed: bool) -> None:
        """Record that the source of a done job has been dealt with, and where it went.

        `departed`: it has left the inbox. The same file dropped there again is then a new job.
        """
        where = None if archived is None else str(archived)
        dealt = {"settled": time.time(), "archived": where, "departed": departed}
        with self._store.writing():
            self._jobs.change(job_id, Job.state == DONE, **dealt, error=None, error_kind=None)

    def ended_before(self, limit: float) -> list[Ended]:
        """Return what ended before `limit`, in seconds since the epoch: without all that is recorded of its making."""
        columns = (getattr(Job, name) for name in Ended._fields)
        old = (Job.state.in_(FINISHED)) & (Job.finished < limit)
        with self._store.reading():
            return [Ended(*row) for row in self._store.run(Job.select(*columns).where(old).tuples())]

    def forget(self, job_ids: Iterable[int]) -> int:
        """Delete ended jobs from the history; how many these were."""
        ended = Job.state.in_(FINISHED)
        with self._store.writing():
            gone = [number for number in job_ids if self._store.run(Job.delete().where(Job.id == number, ended))]
        self._ledger.forget(gone)
        return len(gone)

    def restore(self, rows: Iterable[dict[str, Any]], last_number: int) -> int:
        """Take in kept rows of a lost database; how many these were. New jobs get numbers above `last_number`.

        All in one transaction. The values are such as the columns hold (`flashvsr.jobs.rows`).

        A job that had ended stays as it ended. One that was about to be published is queued with its intent, so that
        its worker looks whether the result is out before it does anything.
        """
        known = set(Job._meta.sorted_field_names)
        restored = 0
        with self._store.writing():
            for row in rows:
                values = {name: value for name, value in row.items() if name in known}
                if values["state"] not in FINISHED:
                    values |= {"state": QUEUED, "attempts": 0, "not_before": 0.0, "cancel_requested": False}
                try:
                    # Two records of one content leave the first, and the transaction whole.
                    with self._store.savepoint():
                        self._store.run(Job.insert(**values))
                except pw.IntegrityError:
                    continue
                restored += 1
            self._store.count_from(max(last_number, self._store.last_number()))
        return restored

    def last_number(self) -> int:
        """The highest number that a job ever had here."""
        with self._store.reading():
            return self._store.last_number()
