"""The queue in numbers, for what draws curves of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import peewee as pw

from flashvsr.jobs.schema import DONE, QUEUED, RUNNING, Job, Total, Worker
from flashvsr.jobs.store import Store
from flashvsr.jobs.table import JobTable

FRAMES = "frames"


@dataclass(frozen=True)
class SlotFigures:
    """One worker: `fps` of its job, 0 without one; `silent`: seconds since its job got on, None without one."""

    slot: str
    fps: float
    silent: float | None


@dataclass(frozen=True)
class QueueFigures:
    """All of them at one moment. Times are seconds since the epoch, None where there was nothing yet.

    `frames`: made by all jobs there ever were in this database. `oldest_waiting`: when that job came.
    """

    counts: Mapping[str, int]
    frames: int
    oldest_waiting: float | None
    last_success: float | None
    slots: tuple[SlotFigures, ...]


class Figures:
    """Reads them, and keeps those that only grow."""

    def __init__(self, store: Store, jobs: JobTable) -> None:
        self._store = store
        self._jobs = jobs

    def read(self) -> QueueFigures:
        """Return all figures."""
        waiting = Job.select(pw.fn.MIN(Job.created)).where(Job.state == QUEUED).tuples()
        success = Job.select(pw.fn.MAX(Job.finished)).where(Job.state == DONE).tuples()
        ticks = time.monotonic()
        with self._store.reading():
            total = self._store.first(Total.select().where(Total.name == FRAMES))
            running = {job.slot: job for job in self._store.run(Job.select().where(Job.state == RUNNING))}
            workers = list(self._store.run(Worker.select().order_by(Worker.slot)))
            return QueueFigures(
                counts=self._jobs.counts(),
                frames=0 if total is None else int(total.amount),
                oldest_waiting=self._store.first(waiting)[0],
                last_success=self._store.first(success)[0],
                slots=tuple(_slot(worker.slot, running.get(worker.slot), ticks) for worker in workers),
            )


def count_frames(store: Store, jobs: JobTable, row: Job, frames_done: int) -> None:
    """Add what a running job has made since it was last counted; inside a transaction.

    Frames that a later attempt finds done, or makes again, are counted once.
    """
    new = frames_done - row.frames_counted
    if new <= 0:
        return
    jobs.change(row.id, frames_counted=frames_done)
    if not store.run(Total.update(amount=Total.amount + new).where(Total.name == FRAMES)):
        store.run(Total.insert(name=FRAMES, amount=new))


def _slot(slot: str, job: Job | None, ticks: float) -> SlotFigures:
    if job is None:
        return SlotFigures(slot, 0.0, None)
    silent = None if job.progress_ticks is None else max(0.0, ticks - job.progress_ticks)
    return SlotFigures(slot, job.fps or 0.0, silent)
