"""The table of jobs: reading them, and the few ways a row is changed; what the parts of the queue build on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import peewee as pw

from flashvsr.errors import FlashVSRError
from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.notices import Notices
from flashvsr.jobs.rows import LARGEST_NUMBER
from flashvsr.jobs.schema import CANCELLED, FAILED, FINISHED, HELD, QUEUED, RUNNING, STATES, SUPERSEDED, Job
from flashvsr.jobs.store import Store

ORDER = (Job.turn.desc(), Job.priority.desc(), Job.id)  # of those that wait
NOT_OWNED = {"owner_host": None, "owner_pid": None, "owner_start": None, "lease": None}


class JobTable:
    """Jobs as they are in the database."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._notices = Notices(store)

    def get(self, job_id: int) -> Job | None:
        """Return one job, None if there is none of that number."""
        with self._store.reading():
            row: Job | None = self._store.first(Job.select().where(Job.id == job_id))
            return row

    def select(self, states: Iterable[str] | None = None, limit: int | None = None) -> list[Job]:
        """Return jobs, newest first."""
        query = Job.select().order_by(Job.id.desc()).limit(limit)
        return self._store.rows(query if states is None else query.where(Job.state.in_(tuple(states))))

    def ended(self, limit: int | None = None) -> list[Job]:
        """Return jobs that have ended, the last one first."""
        last_first = Job.finished.desc(), Job.id.desc()
        numbers = Job.select(Job.id).where(Job.state.in_(FINISHED)).order_by(*last_first).limit(limit)
        # Rows hold whole reports: what is sorted are numbers.
        return self._store.rows(Job.select().where(Job.id.in_(numbers)).order_by(*last_first))

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state; every state has its entry."""
        query = Job.select(Job.state, pw.fn.COUNT(Job.id)).group_by(Job.state).tuples()
        return dict.fromkeys(STATES, 0) | {state: int(count) for state, count in self._store.rows(query)}

    def failed_since(self, moment: float) -> int:
        """Return how many jobs have failed since `moment`, in seconds since the epoch."""
        query = Job.select(pw.fn.COUNT(Job.id)).where(Job.state == FAILED, Job.finished >= moment).tuples()
        with self._store.reading():
            return int(self._store.first(query)[0])

    def has_results(self, inbox: str, sources: Sequence[str]) -> bool:
        """Tell whether any of these files of an inbox has a result, or a job that will make one."""
        will = Job.result.is_null(False) | Job.state.in_((QUEUED, RUNNING, HELD))
        query = Job.select(Job.id).where(Job.inbox == inbox, Job.source.in_(list(sources)), will)
        with self._store.reading():
            return self._store.first(query) is not None

    def of_source(self, source: str) -> list[int]:
        """Return the numbers of all jobs that are or were about the file of this name."""
        return [row.id for row in self._store.rows(Job.select(Job.id).where(Job.source == source))]

    # The methods below are for use inside `Store.writing`.

    def existing(self, job_id: int) -> Job:
        """Return one job; FlashVSRError if there is none of that number."""
        row = self.get(job_id) if job_id <= LARGEST_NUMBER else None
        if row is None:
            raise FlashVSRError(f"There is no job {job_id}; `flashvsr status` lists the jobs.")
        return row

    def change(self, job_id: int, *conditions: Any, **values: object) -> bool:
        """Change a row in one statement; False if it does not meet the conditions (peewee expressions), or is gone."""
        return bool(self._store.run(Job.update(**values).where(Job.id == job_id, *conditions)))

    def end(self, job_id: int, state: str, *conditions: Any, **values: object) -> bool:
        """Let a job end in this state, record it and note it for people; False if it does not meet the conditions."""
        values |= NOT_OWNED
        ended = self.change(job_id, *conditions, state=state, finished=time.time(), cancel_requested=False, **values)
        if ended:
            self.note(job_id)
            self._notices.ended(self.existing(job_id))
        return ended

    def begin_anew(self, job_id: int, **values: object) -> None:
        """Queue an ended job again: what was recorded of its end holds no longer."""
        self.change(job_id, **values)
        self._ledger.forget([job_id])

    def note(self, job_id: int) -> None:
        """Keep a copy of the row outside the database; inside the transaction, which it ends if it fails."""
        row = self.get(job_id)
        if row is not None:
            self._ledger.write(row)

    def newer(self, row: Job) -> Job | None:
        """Return the job of a newer version of the same file, if there is one."""
        waiting_or_later = Job.state.in_((QUEUED, HELD)) | (Job.created > row.created)
        superseded = (Job.state == CANCELLED) & (Job.error == SUPERSEDED)
        same_name = (Job.source == row.source) & (Job.id != row.id)
        newer: Job | None = self._store.first(Job.select().where(same_name, waiting_or_later, ~superseded))
        return newer


def fresh_start() -> dict[str, object]:
    """Return the columns of a job that has not been tried yet."""
    return {
        "attempts": 0,
        "not_before": 0.0,
        "turn": 0,
        "error": None,
        "error_kind": None,
        "warnings": [],
        "finished": None,
        "cancel_requested": False,
        "frames_done": 0,
        "frames_counted": 0,
    }


def no_result() -> dict[str, object]:
    """Return the columns of a job that has published nothing."""
    return {"result": None, "result_size": None, "result_mtime_ns": None, "model": None, "report": None}


def partial_result(result: Path | None) -> dict[str, object]:
    """Return the columns of a job that left a partial video or nothing: no published result."""
    return no_result() | {"result": None if result is None else str(result)}
