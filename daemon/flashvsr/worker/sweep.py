"""What was left undone: a crash, a full disk or a share that is away can cut every end of a job short."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import DONE, FAILED, FINISHED, SKIPPED, SUPERSEDED, Job
from flashvsr.settings.config import Config
from flashvsr.system import logs
from flashvsr.worker.conclusion import Conclusion
from flashvsr.worker.faults import Outcome, Verdict, backoff
from flashvsr.worker.places import left_behind
from flashvsr.worker.settling import Settling
from flashvsr.worker.whereabouts import Whereabouts

SWEEP_SECONDS = 10.0
SETTLE_AFTER = 60.0  # by then the worker that finished a job is at its source, or has died


class Sweep:
    """Finishes the ends of jobs that are over. `config`: the settings as they are now."""

    def __init__(
        self,
        queue: Queue,
        config: Callable[[], Config],
        conclusion: Conclusion,
        settling: Settling,
        whereabouts: Whereabouts,
    ) -> None:
        self._queue = queue
        self._config = config
        self._conclusion = conclusion
        self._settling = settling
        self._whereabouts = whereabouts
        self._next_sweep = 0.0
        self._postponed: dict[int, tuple[int, float]] = {}  # job -> failures in a row, time of the next try

    def step(self) -> None:
        """Look for such jobs, now and then: those with chunks or a marker, and those whose source is not settled."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + SWEEP_SECONDS
        for number in sorted(left_behind(self._config())):
            if self._is_due(number):
                self.finish(number)
        for job in self._queue.history.unsettled():
            if job.finished is not None and job.finished < time.time() - SETTLE_AFTER and self._is_due(job.id):
                self.settle_or_postpone(job.id)

    def finish(self, job_id: int) -> None:
        """Put a job in order that is over, such as one cancelled while it waited. No lease is needed for that."""
        with logs.job(job_id), self._conclusion.marker(job_id).alone() as alone:
            job = self._queue.jobs.get(job_id)
            if not alone or job is None or job.state not in FINISHED:
                return
            job = self._whereabouts.present(job)
            if job.state in (DONE, SKIPPED) or job.result is not None or job.error == SUPERSEDED:
                self._conclusion.clear(job)  # the chunks are all that is left
            elif not self._conclusion.conclude(job, _verdict(job), lambda partial: self._record(job_id, partial)):
                self._postpone(job_id)

    def settle_or_postpone(self, job_id: int) -> None:
        """Take the source of a done job away, or see to it that this is tried again."""
        with logs.job(job_id):
            settled = self._settling.settle(job_id)
        if settled is None:
            return  # what comes of it is not known here: a delay that runs goes on
        if settled:
            self._postponed.pop(job_id, None)
        else:
            self._postpone(job_id)

    def _record(self, job_id: int, partial: Path | None) -> None:
        """The end is recorded; that there is a partial video, after all, is not."""
        if partial is not None:
            self._queue.history.add_partial(job_id, partial)

    def _is_due(self, job_id: int) -> bool:
        return self._postponed.get(job_id, (0, 0.0))[1] <= time.monotonic()

    def _postpone(self, job_id: int) -> None:
        failures = self._postponed.get(job_id, (0, 0.0))[0]
        self._postponed[job_id] = failures + 1, time.monotonic() + backoff(failures)


def _verdict(job: Job) -> Verdict:
    """What was decided about a job that has ended."""
    outcome = Outcome.FAIL if job.state == FAILED else Outcome.CANCEL
    return Verdict(outcome, job.error or "cancelled", job.error_kind or "internal")
