"""The status as people read it in a terminal: what `flashvsr status` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flashvsr.jobs.schema import FINISHED, HELD, QUEUED, SKIPPED
from flashvsr.status.clock import clock_text
from flashvsr.status.job_line import job_lines
from flashvsr.status.job_names import job_names
from flashvsr.status.snapshot import JobState, Problem, Snapshot, WorkerState
from flashvsr.status.words import counts_text, queue_text, service_text

FIRST = {QUEUED: 20, HELD: 10}  # of a flood: a person looks at a screen
LAST_ENDED = 5


def overview(snapshot: Snapshot, *, everything: bool = False, width: int | None = None) -> Iterator[str]:
    """Yield messages, one line each but for problems that have more.

    `everything`: all jobs of the snapshot, also of a flood. `width`: columns of the terminal; None: nothing is cut.
    """
    yield f"service: {service_text(snapshot.service)}"
    yield from (_worker_text(worker) for worker in snapshot.workers)
    yield from (_problem_text(problem) for problem in snapshot.problems)
    yield f"jobs: {'none' if snapshot.queue is None else counts_text(snapshot.queue)}"
    jobs = snapshot.jobs if everything else _without_flood(snapshot.jobs)
    if jobs:
        yield ""
        yield from job_lines(jobs, job_names(snapshot), snapshot.moment, width)
        yield from _left_out(snapshot, jobs)
    yield from _hints(jobs)
    if end := queue_text(snapshot):
        yield ""
        yield end


def _worker_text(worker: WorkerState) -> str:
    doing = f"job {worker.job}" if worker.job else worker.state
    return f"{worker.slot} ({worker.label}): {doing}{f': {worker.error}' if worker.error else ''}"


def _problem_text(problem: Problem) -> str:
    since = "" if problem.since is None else f" since {clock_text(problem.since)}"
    return f"problem{since}: {problem}"


def _without_flood(jobs: Sequence[JobState]) -> list[JobState]:
    """Of the jobs in each state only the first ones."""
    shown: list[JobState] = []
    seen: dict[str, int] = {}
    for job in jobs:
        kind = "ended" if job.state in FINISHED else job.state
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= (LAST_ENDED if kind == "ended" else FIRST.get(kind, len(jobs))):
            shown.append(job)
    return shown


def _left_out(snapshot: Snapshot, shown: Sequence[JobState]) -> Iterator[str]:
    counts = {} if snapshot.queue is None else snapshot.queue.counts
    for state, words in ((QUEUED, "that wait"), (HELD, "that are held")):
        more = counts.get(state, 0) - sum(job.state == state for job in shown)
        if more > 0 and any(job.state == state for job in shown):
            yield f"and {more} more {words}: flashvsr status --all"


def _hints(jobs: Sequence[JobState]) -> Iterator[str]:
    skipped = next((job for job in jobs if job.state == SKIPPED), None)
    if skipped is not None:
        yield f"to do a skipped video all the same: flashvsr retry --force {skipped.id}"
