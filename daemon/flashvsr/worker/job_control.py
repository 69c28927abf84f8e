"""How the work on one job hears that it must stop, and how its progress is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.errors import Cancelled, Interrupted, LeaseLost, SourceRenamed
from flashvsr.files.space import check_low_water, check_room
from flashvsr.files.trees import NO_LINKS, Trees
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from flashvsr.system.text import printable
from flashvsr.upscaling.control import Control
from flashvsr.worker.orders import Orders
from flashvsr.worker.source import InboxGone, SourceGone, check_source

if TYPE_CHECKING:
    from flashvsr.upscaling.report import Report
    from flashvsr.upscaling.task import Task
    from flashvsr.video.geometry import Geometry

HEARTBEAT_SECONDS = 0.5


class JobControl(Control):
    """Called from within the work, after frames: a thread saying "alive" would hide a worker that hangs."""

    def __init__(
        self,
        queue: Queue,
        job: Job,
        orders: Orders,
        clock: Callable[[], float] = time.monotonic,
        check_shares: Callable[[Job], None] = lambda _: None,
        min_free: int = 0,
        follow: Callable[[Job], Job] | None = None,
        task: Callable[[Job], Task] | None = None,
        trees: Trees = NO_LINKS,
    ) -> None:
        self._queue = queue
        self._job = job
        self._lease = str(job.lease)
        self._orders = orders
        self._clock = clock
        self._check_shares = check_shares
        self._min_free = min_free  # bytes of the state directory's file system
        self._follow = follow or self._checked  # to the name that the job's file has now
        self._task = task  # what the work on the job is, by its row
        self._trees = trees
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
            raise Interrupted("its worker was told to stop; the job goes on from its last chunk")
        if self._tell(working, at_once) == "cancel":
            raise Cancelled("cancelled")

    def _tell(self, working: bool, at_once: bool = False) -> str:
        now = self._clock()
        if now < self._next_heartbeat and not at_once:
            return "ok"
        self._next_heartbeat = now + HEARTBEAT_SECONDS
        check_low_water(self._queue.path.parent, self._min_free)
        answer = self._queue.claims.heartbeat(self._job.id, self._lease, *self._last, working=working)
        if answer == "lost":
            raise LeaseLost(f"job {self._job.id} belongs to another worker now")
        return answer

    def check_room(self, needs: Sequence[tuple[Path, int]]) -> None:
        """Raise NoSpace unless these bytes fit into these directories, and some more."""
        check_room(self._trees, needs, self._min_free)

    def check_outbox(self) -> None:
        """Raise ShareAway if the outbox, or the inbox, is only the mount point of a share that went away."""
        self._check_shares(self._job)

    def planned(self, source: tuple[int, int], geometry: Geometry, frames: int | None, remarks: Sequence[str]) -> None:
        """Keep it for those who ask how far the job is."""
        sizes = {"source": source, "result": geometry.output, "model": geometry.model}
        facts = {**sizes, "frames": frames, "remarks": list(remarks)}
        self._queue.forecasts.planned(self._job.id, self._lease, facts)

    def present(self, task: Task) -> Task:
        """The work under the name that its source has now, which decides the result's. Raises SourceChanged."""
        with suppress(SourceGone, InboxGone):
            self._job = self._follow(self._job)
        return task if self._task is None else self._task(self._job)

    def publishing(self, report: Report, size: int, mtime_ns: int) -> None:
        """The result is about to get its name. Raises SourceChanged if the file is another one now, and SourceRenamed
        if it has another name than when `present` was asked.
        """
        # Whoever took the file away meanwhile did not ask for its result to be thrown away.
        with suppress(SourceGone, InboxGone):
            now = self._follow(self._job)
            if (now.inbox, now.relative) != (self._job.inbox, self._job.relative):
                raise SourceRenamed(f"the file is called {printable(now.source)} now")
        self._check_shares(self._job)
        self._queue.claims.publishing(
            self._job.id,
            self._lease,
            report.result,
            size,
            mtime_ns,
            model=report.model,
            report_json=report.to_json(),
            warnings=list(report.warnings),
        )

    def _checked(self, job: Job) -> Job:
        """Return the job if its file is where it was. Raises as `check_source` does."""
        check_source(self._trees, job)
        return job
