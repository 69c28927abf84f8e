"""The table of worker processes: which slots there are and what each is doing."""

from __future__ import annotations

import time

from flashvsr.jobs.database import Store
from flashvsr.jobs.schema import Worker


class WorkerTable(Store):
    """The part of the queue that says who is working."""

    def set_worker(
        self, slot: str, pid: int, label: str, state: str, job: int | None = None, error: str | None = None
    ) -> None:
        """Say what the worker of `slot` does: starting, idle or busy; `since` moves when that changes."""
        now = time.time()
        with self._writing():
            row = self._first(Worker.select().where(Worker.slot == slot))
            unchanged = row is not None and (row.pid, row.state, row.job) == (pid, state, job)
            since = row.since if unchanged else now
            values = {"pid": pid, "label": label, "state": state, "job": job, "since": since, "error": error}
            self._run(Worker.delete().where(Worker.slot == slot))
            self._run(Worker.insert(slot=slot, **values))

    def remove_worker(self, slot: str) -> None:
        """Forget the worker of `slot`."""
        with self._writing():
            self._run(Worker.delete().where(Worker.slot == slot))

    def workers(self) -> list[Worker]:
        """Return all workers, by slot."""
        with self._reading():
            return list(self._run(Worker.select().order_by(Worker.slot)))
