"""The jobs of a snapshot: which rows, in which order, with which times."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import FINISHED, HELD, RUNNING, Job, Rate
from flashvsr.status.open_times import OpenTimes
from flashvsr.status.queue_times import with_times
from flashvsr.status.snapshot import RESTING, STOPPING, JobState, QueueState, ServiceState, WorkerState

LAST_ENDED = 10
MOST_WAITING = MOST_HELD = 50  # that the service looks at: a flood may hold many thousands
REREAD_SECONDS = 5.0  # that the service waits before it reads again what a job that runs does not change


@dataclass(frozen=True)
class Rows:
    """Rows of jobs in the order in which people read them, and what was measured."""

    running: Sequence[Job] = ()
    waiting: Sequence[Job] = ()
    held: Sequence[Job] = ()
    ended: Sequence[Job] = ()
    rates: Sequence[Rate] = ()

    @classmethod
    def read(cls, queue: Queue, *, waiting: int | None, held: int | None, ended: int | None) -> Rows:
        """Read them, and so many of each kind at most; None: all of them."""
        return cls(
            running=running_jobs(queue),
            waiting=queue.forecasts.waiting(waiting),
            held=sorted(queue.jobs.select(states=[HELD], limit=held), key=lambda job: job.id),
            ended=queue.jobs.ended(ended),
            rates=queue.rates.all(),
        )

    def jobs(self) -> list[Job]:
        """All of them."""
        return [*self.running, *self.waiting, *self.held, *self.ended]


def running_jobs(queue: Queue) -> list[Job]:
    """The jobs that are worked on, the first one begun first."""
    return sorted(queue.jobs.select(states=[RUNNING]), key=lambda job: (job.claimed or 0.0, job.id))


def listed(
    rows: Rows, workers: Sequence[WorkerState], queue: QueueState, service: ServiceState, run: str, moment: float
) -> tuple[QueueState, tuple[JobState, ...]]:
    """What is known of the jobs and of the queue with them. `run`: [schedule] run of the settings."""
    at_work = {worker.job for worker in workers if worker.job is not None} if service.process is not None else set()
    states = [JobState.of(row, moment, at_work) for row in rows.jobs()]
    times = with_times(states, workers, rows.rates, moment, _open_times(service, run, moment))
    jobs = times.jobs
    if service.process is None:  # a job that runs in the queue was cut off: nobody knows what of it is left
        jobs = tuple(replace(job, seconds_left=None) if job.state == RUNNING else job for job in jobs)
    unseen = max(0, queue.ahead - len(rows.running) - len(rows.waiting))
    return replace(queue, ends=times.ends, unknown=times.unknown + unseen), jobs


def _open_times(service: ServiceState, run: str, moment: float) -> OpenTimes | None:
    """When jobs are worked on; None where no service runs, while it stops, and in a rest of which no end is known."""
    if service.process is None or service.mode == STOPPING:
        return None
    if service.mode != RESTING:
        return OpenTimes(run, moment)
    return None if service.until is None else OpenTimes(run, max(moment, service.until))


class ServiceListing:
    """The rows as the service reads them: those that run at each change, the others only when they may be others."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._counts: Mapping[str, int] = {}
        self._next_read = 0.0
        self.rows = Rows()

    def refresh(self, counts: Mapping[str, int]) -> None:
        """Something in the queue has changed. `counts`: jobs in each state."""
        now, before, self._counts = time.monotonic(), self._counts, counts
        if counts == before and now < self._next_read:
            self.rows = replace(self.rows, running=running_jobs(self._queue))
            return
        self._next_read = now + REREAD_SECONDS
        # For the last ones that have ended, all that ever did are looked at.
        more_ended = any(counts[state] != before.get(state, 0) for state in FINISHED)
        read = Rows.read(self._queue, waiting=MOST_WAITING, held=MOST_HELD, ended=LAST_ENDED if more_ended else 0)
        self.rows = read if more_ended else replace(read, ended=self.rows.ended)
