"""What a page shows: the part of a snapshot that concerns the people of one outbox, and what came out there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import QUEUED, RUNNING
from flashvsr.page.roots import Root
from flashvsr.page.troubles import Discretion, Trouble, troubles
from flashvsr.status.estimate import Estimate
from flashvsr.status.job_names import inbox_names
from flashvsr.status.snapshot import SERVING, JobState, Snapshot

MOST_WAITING, MOST_HELD, MOST_ENDED, MOST_INBOXES = 20, 10, 12, 8
STOPPED = "stopped"


@dataclass(frozen=True)
class Content:
    """All of it, but for the moment. Texts are not yet visible ones, but for those of `troubles`.

    Attributes:
        condition: of the service: a mode of `ServiceState`, or STOPPED.
        counts: jobs in each state.
        running, waiting, held, ended: as many of them as are shown, in the order in which people read them.
        inboxes: names by their paths; `drop`: those to name where nothing waits, None if they are too many.
        discretion: takes the server's paths out of texts.
        ends: in how many seconds everything is done; None if that is not known, or concerns the people of others too.
        until: when a service that rests goes on, in seconds since the epoch; None if that is not known.
    """

    condition: str
    counts: Mapping[str, int]
    running: tuple[JobState, ...]
    waiting: tuple[JobState, ...]
    held: tuple[JobState, ...]
    ended: tuple[JobState, ...]
    troubles: tuple[Trouble, ...]
    inboxes: Mapping[str, str]
    drop: tuple[str, ...] | None
    discretion: Discretion
    ends: Estimate | None = None
    until: float | None = None

    @property
    def busy(self) -> bool:
        """Whether anything is done, or will be without anybody's help."""
        return self.condition != SERVING or bool(self.counts[RUNNING] or self.counts[QUEUED])

    def tells(self) -> tuple[object, ...]:
        """What makes two contents the same."""
        numbers = tuple(sorted(self.counts.items()))
        jobs = (*self.running, *self.waiting, *self.held, *self.ended)
        return self.condition, self.until, numbers, jobs, self.troubles, self.drop


def content_of(snapshot: Snapshot, queue: Queue, root: Root, others: tuple[Root, ...]) -> Content:
    """Put together what the people of an outbox are shown. `others`: all other outboxes. Raises as the queue does."""
    known = {job.id: job for job in snapshot.jobs}
    discretion = Discretion(snapshot, root, others)
    view = queue.inboxes
    waiting = view.waiting(root.inboxes, MOST_WAITING)
    held = view.held(root.inboxes, MOST_HELD)
    ended = view.ended(root.inboxes, MOST_ENDED)
    rows = [*waiting, *held, *ended]
    # With the times and phases of the snapshot, so that page and commands say the same.
    states = {row.id: known.get(row.id) or JobState.of(row, snapshot.moment) for row in rows}
    # Between the snapshot and this look a job may have gone on.
    states |= {row.id: JobState.of(row, snapshot.moment) for row in rows if states[row.id].state != row.state}
    running = tuple(job for job in snapshot.running if root.inboxes.holds(job.inbox) and job.id not in states)
    inboxes = [str(inbox.path) for inbox in snapshot.inboxes if root.inboxes.holds(str(inbox.path))]
    names = inbox_names({*inboxes, *root.inboxes.paths} if not root.inboxes.others else inboxes)
    return Content(
        condition=snapshot.service.mode,
        counts=view.counts(root.inboxes),
        running=running,
        waiting=tuple(states[row.id] for row in waiting),
        held=tuple(states[row.id] for row in held),
        ended=tuple(states[row.id] for row in ended),
        troubles=tuple(troubles(snapshot, root, discretion)),
        inboxes=names,
        drop=tuple(sorted(names.values())) if 0 < len(names) <= MOST_INBOXES else None,
        discretion=discretion,
        ends=None if others or snapshot.queue is None else snapshot.queue.ends,
        until=snapshot.service.until,
    )
