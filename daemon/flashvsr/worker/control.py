"""How the work on one job hears that it must stop, and how its progress is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from flashvsr.errors import Cancelled, Interrupted, LeaseLost
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from flashvsr.space import check_low_water, check_room
from flashvsr.worker.orders import Orders
from flashvsr.worker.source import SourceGone, check_source
from flashvsr.worker.upscaling import Report

HEARTBEAT_SECONDS = 0.5


class JobControl:
    """Called from within the work, after frames: a thread saying "alive" would hide a worker that hangs."""

    def __init__(
        self,
        queue: Queue,
        job: Job,
        orders: Orders,
        clock: Callable[[], float] = time.monotonic,
        check_outbox: Callable[[], None] = lambda: None,
        min_free: int = 0,
    ) -> None:
        self._queue = queue
        self._job = job
        self._lease = str(job.lease)
        self._orders = orders
        self._clock = clock
        self._check_outbox = check_outbox
        self._min_free = min_free  # bytes of the state directory's file system
        self._next_heartbeat = -1.0
        self._last: tuple[int, int | None, float] = (job.frames_done, job.frames_total, 0.0)

    def progress(self, done: int, total: int | None, fps: float) -> None:
        """Tell how many frames are done. Raises Interrupted, Cancelled or LeaseLost to end the work."""
        self._last = done, total, fps
        self._go_on(working=False, at_once=done == total)

    def working(self) -> None:
        """Tell that something else got done: packets joined, frames checked or skipped. Raises as `progress`."""
        self._go_on(working=True)

    def ending(self) -> None:
        """Tell the same while a job that goes no further is put in order: only a lost lease ends that."""
        self._tell(working=True)

    def _go_on(self, working: bool, at_once: bool = False) -> None:
        if self._orders.interrupt:
            raise Interrupted("the service stops; the job goes on from its last chunk")
        if self._tell(working, at_once) == "cancel":
            raise Cancelled("cancelled")

    def _tell(self, working: bool, at_once: bool = False) -> str:
        now = self._clock()
        if now < self._next_heartbeat and not at_once:
            return "ok"
        self._next_heartbeat = now + HEARTBEAT_SECONDS
        check_low_water(self._queue.path.parent, self._min_free)
        answer = self._queue.heartbeat(self._job.id, self._lease, *self._last, working=working)
        if answer == "lost":
            raise LeaseLost(f"job {self._job.id} belongs to another worker now")
        return answer

    def check_room(self, needs: Sequence[tuple[Path, int]]) -> None:
        """Raise NoSpace unless these bytes fit into these directories, and some more."""
        check_room(needs, self._min_free)

    def check_outbox(self) -> None:
        """Raise ShareAway if the outbox is only the mount point of a share that went away."""
        self._check_outbox()

    def publishing(self, report: Report, size: int, mtime_ns: int) -> None:
        """The result is about to get its name. Raises SourceChanged if the file is another one now."""
        # Whoever took the file away meanwhile did not ask for its result to be thrown away.
        with suppress(SourceGone):
            check_source(self._job)
        self._check_outbox()
        self._queue.publishing(
            self._job.id,
            self._lease,
            report.result,
            size,
            mtime_ns,
            model=report.model,
            report_json=report.to_json(),
            warnings=list(report.warnings),
        )
