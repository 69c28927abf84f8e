"""What a person may ask of a job, and what that leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.errors import FlashVSRError
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job

Drop = Callable[..., int]
Claim = Callable[..., Job]


def test_cancel_of_a_waiting_and_of_a_running_job(queue: Queue, drop: Drop, claim: Claim) -> None:
    waiting, running = drop("a.mp4"), drop("b.mp4")
    assert queue.requests.cancel(waiting) == "cancelled"
    job = claim(running)
    assert queue.requests.cancel(running) == "cancel_requested"
    assert queue.claims.heartbeat(running, str(job.lease), 8, 80, 1.0) == "cancel"
    queue.claims.cancelled(running, str(job.lease), Path("/out/b_partial.mp4"))
    assert queue.jobs.get(running).state == "cancelled"
    assert queue.jobs.get(running).result == "/out/b_partial.mp4"
    assert queue.jobs.get(running).result_size is None  # a partial is no published result
    for job_id, words in ((waiting, "already cancelled"), (9999, "no job 9999")):
        with pytest.raises(FlashVSRError, match=words):
            queue.requests.cancel(job_id)


def test_a_cancel_is_not_forgotten_when_the_worker_dies(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.requests.cancel(job.id)
    queue.claims.recover(lambda owner: True)
    again = claim(job.id)
    assert queue.claims.heartbeat(job.id, str(again.lease), 0, None, None) == "cancel"


def test_retry_starts_afresh(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    with pytest.raises(FlashVSRError, match="is running"):
        queue.requests.retry(job.id)
    queue.claims.fail(job.id, str(job.lease), "no picture", "bad_input", Path("/out/clip_partial.mp4"), ["w"])
    failed = queue.jobs.get(job.id)
    assert (failed.state, failed.error, failed.error_kind) == ("failed", "no picture", "bad_input")
    assert failed.result == "/out/clip_partial.mp4"
    queue.requests.retry(job.id)
    job = queue.jobs.get(job.id) or job
    assert (job.state, job.attempts, job.error, job.result, job.finished) == ("queued", 0, None, None, None)


def test_retry_refuses_an_outdated_version(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop(content=b"old"))
    queue.claims.fail(job.id, str(job.lease), "no picture", "bad_input", None, [])
    drop(content=b"new")
    with pytest.raises(FlashVSRError, match="newer version"):
        queue.requests.retry(job.id)
