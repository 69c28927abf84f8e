"""Reading jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import STATES, Job

Drop = Callable[..., int]
Claim = Callable[..., Job]


def test_counts_and_lists(queue: Queue, drop: Drop, claim: Claim) -> None:
    numbers = [drop(f"{index}.mp4") for index in range(3)]
    claim(numbers[0])
    assert queue.jobs.counts() == dict.fromkeys(STATES, 0) | {"queued": 2, "running": 1}
    assert [job.id for job in queue.jobs.select()] == numbers[::-1]
    assert [job.id for job in queue.jobs.select(states=["queued"], limit=1)] == [numbers[2]]
    assert queue.jobs.get(9999) is None


def test_two_queues_in_one_process_do_not_mix(tmp_path: Path, queue: Queue, drop: Drop) -> None:
    drop()
    other = Queue(tmp_path / "other")
    assert other.jobs.select() == []
    assert len(queue.jobs.select()) == 1
    other.close()


def test_a_job_that_does_not_end_gets_no_record(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    with queue.store.writing():
        assert queue.jobs.end(job.id, "failed", Job.state == "queued", error="gave up") is False
    assert (queue.jobs.get(job.id).state, queue.ledger.numbers()) == ("running", [])
