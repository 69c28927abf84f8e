"""What the queue tells of a job's end: the record beside the database is on the disk before the database says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from kits.durable import Steps

Drop = Callable[..., int]
Claim = Callable[..., Job]

RECORDED = [
    "sync state/records/.flashvsr.tmp",
    "name state/records/.flashvsr.tmp -> state/records/1.json",
    "sync state/records/",
    "commit",
]


@pytest.fixture
def watch(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Steps]:
    """From the call on, steps on the disk and commits of the queue; SQLite brings these to the disk by itself."""

    def watch() -> Steps:
        steps = Steps(monkeypatch, tmp_path)

        def trace(statement: str) -> None:
            if statement.startswith("COMMIT"):
                steps.note("commit")

        queue.store.database.connection().set_trace_callback(trace)
        return steps

    return watch


def finish(queue: Queue, job: Job) -> None:
    queue.claims.finish(job.id, str(job.lease), Path("/out/clip.mp4"), "nano", "{}", [])


def fail(queue: Queue, job: Job) -> None:
    queue.claims.fail(job.id, str(job.lease), "no video", "bad_input", None, [])


def cancelled(queue: Queue, job: Job) -> None:
    queue.claims.cancelled(job.id, str(job.lease), None)


def publishing(queue: Queue, job: Job) -> None:
    facts: dict[str, Any] = {"model": "nano", "report_json": "{}", "warnings": ["so"]}
    queue.claims.publishing(job.id, str(job.lease), Path("/out/clip.mp4"), 5, 7, **facts)


ENDS = [finish, fail, cancelled, publishing]


@pytest.mark.parametrize("end", ENDS)
def test_an_end_is_recorded_and_then_told(
    end: Callable[[Queue, Job], None], queue: Queue, drop: Drop, claim: Claim, watch: Callable[[], Steps]
) -> None:
    job = claim(drop("clip.mp4"))
    steps = watch()
    end(queue, job)
    assert steps.taken == ["make state/records/", "sync state/", *RECORDED]


def test_a_partial_video_of_a_job_that_ended_is_recorded_too(
    queue: Queue, drop: Drop, claim: Claim, watch: Callable[[], Steps]
) -> None:
    job = claim(drop("clip.mp4"))
    fail(queue, job)
    steps = watch()
    queue.history.add_partial(job.id, Path("/out/clip_partial.mp4"))
    assert steps.taken == RECORDED


def test_a_job_leaves_the_history_before_its_record_does(
    queue: Queue, drop: Drop, claim: Claim, watch: Callable[[], Steps]
) -> None:
    job = claim(drop("clip.mp4"))
    fail(queue, job)
    steps = watch()
    assert queue.history.forget([job.id]) == 1
    assert steps.taken == ["commit", "remove state/records/1.json"]
