"""Snapshots of a service that does not run, for tests of what is shown of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flashvsr.jobs.schema import STATES
from flashvsr.status.estimate import Estimate
from flashvsr.status.snapshot import InboxState, JobState, Problem, QueueState, ServiceState, Snapshot, WorkerState

MOMENT = 1_700_000_000.0  # seconds since the epoch
STATE = Path("/var/lib/flashvsr")
INBOX = Path("/srv/flashvsr/inbox")


def job(number: int = 1, state: str = "queued", name: str = "clip.mp4", **values: Any) -> JobState:
    """A job as it is when nothing has happened to it yet, but for `values`."""
    facts: dict[str, Any] = {
        "id": number, "state": state, "inbox": str(INBOX / "a"), "source": str(INBOX / "a" / name), "relative": name,
        "attempts": 0, "not_before": 0.0, "forced": False, "slot": None, "frames_done": 0, "frames_total": None,
        "fps": None, "error": None, "error_kind": None, "warnings": (), "result": None, "model": None,
        "created": MOMENT - 60, "claimed": None, "finished": None,
    }  # fmt: skip
    return JobState(**facts | values)


def snapshot(
    *,
    jobs: Sequence[JobState] = (),
    counts: Mapping[str, int] | None = None,
    failed_today: int = 0,
    problems: Sequence[Problem] = (),
    workers: Sequence[WorkerState] = (),
    inboxes: Sequence[InboxState] = (),
    process: int | None = 12,
    doing: str = "",
    ends: Estimate | None = None,
    unknown: int = 0,
) -> Snapshot:
    """A snapshot; `counts` are those of `jobs` unless given."""
    own = {state: sum(one.state == state for one in jobs) for state in STATES}
    queue = QueueState(STATE / "queue.db", own if counts is None else counts, failed_today, ends, unknown)
    return Snapshot(
        moment=MOMENT,
        service=ServiceState(process, STATE, doing),
        problems=tuple(problems),
        workers=tuple(workers),
        queue=queue,
        inbox_root=InboxState(INBOX),
        inboxes=tuple(inboxes),
        jobs=tuple(jobs),
    )
