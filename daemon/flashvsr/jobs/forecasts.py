"""What will be made of the jobs that wait, as far as somebody has looked at their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flashvsr.jobs.schema import QUEUED, RUNNING, Job
from flashvsr.jobs.store import Store
from flashvsr.jobs.table import ORDER, JobTable


class Forecasts:
    """The part of the queue that keeps forecasts: JSON objects, of which the queue knows no key."""

    def __init__(self, store: Store, jobs: JobTable) -> None:
        self._store = store
        self._jobs = jobs

    def waiting(self, limit: int | None) -> list[Job]:
        """Return the jobs that wait, those that come next first; None: all of them."""
        return self._store.rows(Job.select().where(Job.state == QUEUED).order_by(*ORDER).limit(limit))

    def note(self, job_id: int, forecast: str) -> None:
        """Keep the forecast of a job; of one that has ended meanwhile nothing is to be foreseen."""
        with self._store.writing():
            self._jobs.change(job_id, Job.finished.is_null(), forecast=forecast)

    def planned(self, job_id: int, lease: str, facts: Mapping[str, object]) -> None:
        """Take in what its worker has found out about a job; nothing if it is no longer this lease's."""
        with self._store.writing():
            row = self._jobs.get(job_id)
            if row is not None:
                known = json.dumps({**forecast_of(row), **facts})
                self._jobs.change(job_id, Job.state == RUNNING, Job.lease == lease, forecast=known)


def forecast_of(job: Job) -> dict[str, Any]:
    """What is foreseen of a job; empty where nothing is, or what is kept cannot be read."""
    try:
        found = json.loads(job.forecast or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
