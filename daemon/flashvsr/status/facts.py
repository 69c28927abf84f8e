"""The status as data for programs: what `flashvsr status --json` prints.

Keys are those of the snapshot's classes. States are the names of the database, in `jobs` and as the keys of `counts`:
a job that people read of as "waiting" has `"state": "queued"` here. Paths are one visible line each
(`flashvsr.system.text.printable`), times are seconds since the epoch, sizes [width, height], `null` is what is not
known. config/README.md names the keys.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from flashvsr.status.estimate import Estimate
from flashvsr.status.snapshot import InboxState, JobState, QueueState, Snapshot
from flashvsr.system.text import printable

_PATHS = ("inbox", "source", "relative", "result")
_LISTS = ("warnings", "remarks", "source_size", "result_size", "model_size")
_TIMES = ("seconds_left", "done_in")
_JOB_FIELDS = tuple(field.name for field in fields(JobState))


def facts(snapshot: Snapshot) -> dict[str, Any]:
    """Return the whole snapshot as dictionaries, lists, texts and numbers."""
    service, queue = snapshot.service, snapshot.queue
    return {
        "moment": snapshot.moment,
        "service": asdict(service) | {"state": printable(service.state)},
        "problems": [asdict(problem) for problem in snapshot.problems],
        "workers": [asdict(worker) for worker in snapshot.workers],
        "counts": {} if queue is None else dict(queue.counts),
        "failed_today": 0 if queue is None else queue.failed_today,
        "queue": None if queue is None else _queue(queue),
        "inboxes": [_inbox(inbox) for inbox in snapshot.inboxes],
        "jobs": [job_facts(job) for job in snapshot.jobs],
    }


def _queue(queue: QueueState) -> dict[str, Any]:
    return {"videos": queue.ahead, "unknown": queue.unknown, "ends": _time(queue.ends)}


def job_facts(job: JobState) -> dict[str, Any]:
    """Return one job as a dictionary, in the order of its fields."""
    values = {name: getattr(job, name) for name in _JOB_FIELDS}
    paths = {name: printable(values[name]) for name in _PATHS if values[name] is not None}
    lists = {name: None if values[name] is None else list(values[name]) for name in _LISTS}
    return values | paths | lists | {name: _time(values[name]) for name in _TIMES}


def _time(found: Estimate | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def _inbox(inbox: InboxState) -> dict[str, str | None]:
    """`preset`: "ok", or why its jobs have to wait; None if that is not known."""
    return {"path": printable(inbox.path), "preset": inbox.problem or ("ok" if inbox.known else None)}
