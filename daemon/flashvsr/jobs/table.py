"""Reading jobs, and the few ways a row of theirs is changed; what all topics of the queue build on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import peewee as pw

from flashvsr.errors import FlashVSRError
from flashvsr.jobs.database import Store
from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.schema import CANCELLED, FAILED, HELD, QUEUED, STATES, SUPERSEDED, Job

_NOT_OWNED = {"owner_host": None, "owner_pid": None, "owner_start": None, "lease": None}


class Records(Store):
    """Jobs as they are in the database."""

    @property
    def ledger(self) -> Ledger:
        """The records beside the database."""
        return Ledger(self.path.parent)

    def get(self, job_id: int) -> Job | None:
        """Return one job, None if there is none of that number."""
        with self._reading():
            return self._get(job_id)

    def jobs(self, states: Iterable[str] | None = None, limit: int | None = None) -> list[Job]:
        """Return jobs, newest first."""
        query = Job.select().order_by(Job.id.desc()).limit(limit)
        return self._select(query if states is None else query.where(Job.state.in_(tuple(states))))

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state; every state has its entry."""
        query = Job.select(Job.state, pw.fn.COUNT(Job.id)).group_by(Job.state).tuples()
        with self._reading():
            return dict.fromkeys(STATES, 0) | {state: int(count) for state, count in self._run(query)}

    def failed_since(self, moment: float) -> int:
        """Return how many jobs have failed since `moment`, in seconds since the epoch."""
        query = Job.select(pw.fn.COUNT(Job.id)).where(Job.state == FAILED, Job.finished >= moment).tuples()
        with self._reading():
            return int(self._first(query)[0])

    def _select(self, query: Any) -> list[Job]:
        with self._reading():
            return list(self._run(query))

    # The methods below are for use inside a transaction.

    def _get(self, job_id: int) -> Job | None:
        row: Job | None = self._first(Job.select().where(Job.id == job_id))
        return row

    def _existing(self, job_id: int) -> Job:
        row = self._get(job_id)
        if row is None:
            raise FlashVSRError(f"There is no job {job_id}; `flashvsr status` lists the jobs.")
        return row

    def _change(self, job_id: int, **values: object) -> None:
        self._run(Job.update(**values).where(Job.id == job_id))

    def _end(self, job_id: int, state: str, **values: object) -> None:
        values |= _NOT_OWNED
        self._change(job_id, state=state, finished=time.time(), cancel_requested=False, **values)
        self._note(job_id)

    def _begin_anew(self, job_id: int, **values: object) -> None:
        """Queue an ended job again: what was recorded of its end holds no longer."""
        self._change(job_id, **values)
        self.ledger.forget([job_id])

    def _note(self, job_id: int) -> None:
        """Keep a copy of the row outside the database; inside the transaction, which it ends if it fails."""
        row = self._get(job_id)
        if row is not None:
            self.ledger.write(row)

    def _put_back(self, row: Job, reason: str, kind: str, not_before: float, attempts: int) -> None:
        """Queue a running job again; or end it as replaced, if a newer version of its file has come."""
        if self._newer(row) is not None:
            self._end(row.id, CANCELLED, error=SUPERSEDED, error_kind=None)
            return
        # cancel_requested stays: the next claim sees it at its first heartbeat and salvages what is finished.
        waiting = {
            "not_before": not_before,
            "attempts": max(0, attempts),
            "error": reason,
            "error_kind": kind,
        }
        self._change(row.id, state=QUEUED, **waiting, **_NOT_OWNED)

    def _newer(self, row: Job) -> Job | None:
        """Return the job of a newer version of the same file, if there is one."""
        waiting_or_later = Job.state.in_((QUEUED, HELD)) | (Job.created > row.created)
        superseded = (Job.state == CANCELLED) & (Job.error == SUPERSEDED)
        same_name = (Job.source == row.source) & (Job.id != row.id)
        newer: Job | None = self._first(Job.select().where(same_name, waiting_or_later, ~superseded))
        return newer


def no_result() -> dict[str, object]:
    """Return the columns of a job that has published nothing."""
    return {"result": None, "result_size": None, "result_mtime_ns": None, "model": None, "report": None}


def partial_result(result: Path | None) -> dict[str, object]:
    """Return the columns of a job that left a partial video or nothing: no published result."""
    return no_result() | {"result": None if result is None else str(result)}
