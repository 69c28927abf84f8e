"""The table of worker processes: which slots there are and what each is doing."""

from __future__ import annotations

import time

from flashvsr.jobs.schema import Worker
from flashvsr.jobs.store import Store


class WorkerTable:
    """The part of the queue that says who is working."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(
        self, slot: str, pid: int, label: str, state: str, job: int | None = None, error: str | None = None
    ) -> None:
        """Say what the worker of `slot` does: starting, idle or busy; `since` moves when that changes."""
        now = time.time()
        with self._store.writing():
            row = self._store.first(Worker.select().where(Worker.slot == slot))
            unchanged = row is not None and (row.pid, row.state, row.job) == (pid, state, job)
            since = row.since if unchanged else now
            values = {"pid": pid, "label": label, "state": state, "job": job, "since": since, "error": error}
            self._store.run(Worker.delete().where(Worker.slot == slot))
            self._store.run(Worker.insert(slot=slot, **values))

    def remove(self, slot: str) -> None:
        """Forget the worker of `slot`."""
        with self._store.writing():
            self._store.run(Worker.delete().where(Worker.slot == slot))

    def all(self) -> list[Worker]:
        """Return all workers, by slot."""
        return self._store.rows(Worker.select().order_by(Worker.slot))
