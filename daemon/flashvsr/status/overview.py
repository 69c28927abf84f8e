"""The status as people read it in a terminal: what `flashvsr status` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from flashvsr.files.report_text import report_toml
from flashvsr.jobs.schema import DONE, FAILED, HELD, QUEUED, RUNNING, SKIPPED, state_word
from flashvsr.status.snapshot import JobState, Problem, Snapshot, WorkerState
from flashvsr.status.words import clock_text, counts_text, service_text
from flashvsr.system.text import printable

FIRST_WAITING = 20
_TIMES = ("created", "claimed", "finished")


def overview(snapshot: Snapshot, everything: bool) -> Iterator[str | Table]:
    """Yield messages, and a table of jobs; of a flood that waits only the first jobs, unless `everything` is wanted."""
    yield f"service: {service_text(snapshot.service)}"
    yield from (_worker_text(worker) for worker in snapshot.workers)
    yield from (_problem_text(problem) for problem in snapshot.problems)
    yield f"jobs: {'none' if snapshot.queue is None else counts_text(snapshot.queue)}"
    jobs = snapshot.jobs if everything else _without_flood(snapshot.jobs)
    if jobs:
        yield _job_table(jobs, snapshot.moment)
    if len(jobs) < len(snapshot.jobs):
        yield f"and {len(snapshot.jobs) - len(jobs)} more that wait: flashvsr status --all"


def job_overview(facts: Mapping[str, Any]) -> Table:
    """Return everything about one job (`status.facts.job_facts`, and its preset and report) that is known."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key, value in facts.items():
        if value not in (None, [], {}):
            table.add_row(key, _shown(key, value))
    return table


def _shown(key: str, value: Any) -> str | Text:
    if key == "state":
        return state_word(value)
    if key in _TIMES:
        return clock_text(value)
    if isinstance(value, dict):
        return Text(report_toml(value).rstrip())
    return "\n".join(value) if isinstance(value, list) else str(value)


def _worker_text(worker: WorkerState) -> str:
    doing = f"job {worker.job}" if worker.job else worker.state
    return f"{worker.slot} ({worker.label}): {doing}{f': {worker.error}' if worker.error else ''}"


def _problem_text(problem: Problem) -> str:
    since = "" if problem.since is None else f" since {clock_text(problem.since)}"
    return f"problem{since}: {problem}"


def _without_flood(jobs: Sequence[JobState]) -> Sequence[JobState]:
    """All jobs but those far back in the queue: a person looks at a screen, and a flood may hold thousands."""
    later = sorted(job.id for job in jobs if job.state == QUEUED)[FIRST_WAITING:]
    return [job for job in jobs if job.state != QUEUED or not later or job.id < later[0]]


def _job_table(jobs: Sequence[JobState], moment: float) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("id", "state", "file", "progress", "what"):
        table.add_column(name, overflow="fold")
    for job in jobs:
        name = printable(PurePath(job.source).name)
        table.add_row(str(job.id), state_word(job.state), name, _progress(job), _what(job, moment))
    return table


def _progress(job: JobState) -> str:
    done, total = job.frames_done or 0, job.frames_total
    if job.state != RUNNING:
        return f"{done} frames" if done else ""
    share = f"{100 * min(done, total) / total:.0f} %, " if total else f"{done} frames, "
    return f"{share}{job.fps or 0:.1f} fps"


def _what(job: JobState, moment: float) -> str:
    """The one thing worth knowing: why it waits or failed, or where the result is."""
    if job.error and job.state in (QUEUED, HELD, FAILED, SKIPPED):
        wait = job.not_before - moment if job.not_before else 0
        return f"{job.error}{f' (again in {wait:.0f} s)' if job.state == QUEUED and wait > 0 else ''}"
    result = printable(job.result) if job.result is not None else None
    # The error of one that is done: its source could not be taken away.
    return "; ".join(text for text in (result, job.error if job.state == DONE else None) if text)
