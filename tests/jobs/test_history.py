"""Jobs that have ended: what may still be said of them, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flashvsr.jobs.intake import Source
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job

Drop = Callable[..., int]
Claim = Callable[..., Job]


def test_add_partial_only_for_ended_jobs(queue: Queue, drop: Drop) -> None:
    job_id = drop()
    queue.history.add_partial(job_id, Path("/out/x_partial.mp4"))
    assert queue.jobs.get(job_id).result is None
    queue.requests.cancel(job_id)
    queue.history.add_partial(job_id, Path("/out/x_partial.mp4"), ["short"])
    assert queue.jobs.get(job_id).result == "/out/x_partial.mp4"
    assert queue.jobs.get(job_id).warnings == ["short"]


def test_a_partial_made_later_is_recorded_too(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.fail(job.id, str(job.lease), "no video", "bad_input", None, [])
    queue.history.add_partial(job.id, Path("/out/clip_partial.mp4"))
    (row,) = queue.ledger.rows()
    assert (row["state"], row["error"], row["result"]) == ("failed", "no video", "/out/clip_partial.mp4")


def test_records_leave_with_the_history(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.finish(job.id, str(job.lease), Path("/out"), "nano", "{}", [])
    assert queue.ledger.numbers() == [job.id]
    assert queue.history.forget([job.id]) == 1
    assert queue.ledger.numbers() == []


def test_job_numbers_never_come_back(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.intake.add_many([Source("/in", "/in/a.mp4", "a.mp4", 1, 2, 3, 4)])
    queue.requests.cancel(1)
    assert queue.history.forget([1]) == 1
    assert queue.intake.add_many([Source("/in", "/in/a.mp4", "a.mp4", 1, 2, 3, 4)]) == [2]


def test_numbers_go_on_above_those_that_are_restored(queue: Queue, drop: Drop) -> None:
    """The folders of jobs may tell of less than the records."""
    row = {"id": 7, "inbox": "/in", "source": "/in/a.mp4", "relative": "a.mp4", "state": "done", "created": 1.0}
    content = {"device": 1, "inode": 2, "size": 3, "mtime_ns": 4}
    assert queue.history.restore([row | content], last_number=3) == 1
    assert queue.history.last_number() == 7
    assert drop() == 8
