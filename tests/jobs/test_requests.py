"""What a person may ask of a job, and what that leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import FlashVSRError, LeaseLost
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


@pytest.mark.parametrize("state", ["failed", "cancelled", "held"])
def test_nothing_of_an_end_is_left_when_a_job_is_tried_again(
    queue: Queue, drop: Drop, claim: Claim, state: str, inbox: Path
) -> None:
    untouched = queue.jobs.get(drop("untouched.mp4"))
    number = drop()
    if state == "held":
        assert queue.intake.hold(inbox, "scale is 99") == 2
    else:
        job = claim(number)
        lease = str(job.lease)
        queue.claims.heartbeat(number, lease, 8, 80, 2.0)
        made: dict[str, Any] = {"model": "nano", "report_json": '{"frames": 80}', "warnings": ["w"]}
        queue.claims.publishing(number, lease, Path("/out/clip.mp4"), 1234, 99, **made)
        queue.requests.cancel(number)
        queue.claims.requeue(number, lease, "no space", "transient", 600, count_attempt=True)
        with queue.store.writing():
            queue.jobs.change(number, state=state, finished=5.0)
            queue.jobs.note(number)
    queue.requests.retry(number)
    row = queue.jobs.get(number)
    names = ["state", "attempts", "not_before", "error", "error_kind", "warnings", "finished", "cancel_requested"]
    names += ["frames_done", "result", "result_size", "result_mtime_ns", "model", "report", "lease"]
    assert [getattr(row, name) for name in names] == [getattr(untouched, name) for name in names]
    assert queue.ledger.numbers() == [], "it has not ended any more"


def test_what_is_done_or_waits_is_neither_tried_again_nor_cancelled(queue: Queue, drop: Drop, claim: Claim) -> None:
    waiting, done = drop("a.mp4"), claim(drop("b.mp4"))
    queue.claims.finish(done.id, str(done.lease), Path("/out/b.mp4"), "nano", "{}", [])
    for number, word in ((waiting, "waiting"), (done.id, "done")):
        with pytest.raises(FlashVSRError, match=f"Job {number} is {word}; only failed, cancelled, skipped and held"):
            queue.requests.retry(number)
    with pytest.raises(FlashVSRError, match=f"Job {done.id} is already done; there is nothing to cancel"):
        queue.requests.cancel(done.id)
    assert [job.state for job in queue.jobs.select()] == ["done", "queued"]


def test_a_held_job_can_be_cancelled_and_its_reason_goes(queue: Queue, drop: Drop, inbox: Path) -> None:
    number = drop()
    queue.intake.hold(inbox, "scale is 99")
    assert queue.requests.cancel(number) == "cancelled"
    row = queue.jobs.get(number)
    assert (row.state, row.error, row.error_kind) == ("cancelled", "cancelled", None)
    assert queue.ledger.numbers() == [number]


def test_a_skipped_job_can_be_tried_again_and_forced(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.skip(job.id, str(job.lease), "it is large enough")
    skipped = queue.jobs.get(job.id) or job
    assert (skipped.state, skipped.error, skipped.error_kind) == ("skipped", "it is large enough", None)
    assert skipped.finished is not None
    assert queue.ledger.numbers() == [job.id]
    with pytest.raises(FlashVSRError, match="already skipped"):
        queue.requests.cancel(job.id)
    for force in (False, True):
        queue.requests.retry(job.id, force=force)
        again = queue.jobs.get(job.id) or job
        assert (again.state, again.error, again.forced) == ("queued", None, force)
        queue.requests.cancel(job.id)
    queue.requests.retry(job.id)
    assert not (queue.jobs.get(job.id) or job).forced, "a later retry without it asks anew"


def test_only_the_owner_skips(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    with pytest.raises(LeaseLost):
        queue.claims.skip(job.id, "another", "it is large enough")
    assert (queue.jobs.get(job.id) or job).state == "running"


def order(queue: Queue) -> list[int]:
    return [job.id for job in queue.forecasts.waiting(99)]


def test_what_is_put_first_comes_before_priorities_and_earlier_wishes(queue: Queue, drop: Drop, inbox: Path) -> None:
    one, two, three, four = (drop(f"{number}.mp4") for number in range(4))
    queue.requests.first(three)
    assert order(queue) == [three, one, two, four]
    queue.requests.first(four)
    queue.requests.first(four)
    assert order(queue) == [four, three, one, two]
    queue.intake.hold(inbox, "wrong")
    queue.requests.first(two)  # a held one, too
    queue.intake.release(inbox)
    assert order(queue) == [two, four, three, one]


def test_only_a_job_that_waits_can_be_put_first(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    for number, words in ((job.id, "is running; only jobs that wait"), (77, "no job 77"), (10**30, "no job 1000")):
        with pytest.raises(FlashVSRError, match=words):
            queue.requests.first(number)


def test_a_place_in_front_is_kept_when_a_job_is_put_back_and_lost_when_it_ends(
    queue: Queue, drop: Drop, claim: Claim
) -> None:
    one, two = drop("a.mp4"), drop("b.mp4")
    queue.requests.first(two)
    job = claim(two)
    queue.claims.requeue(two, str(job.lease), "stopped", "transient", 0.0, count_attempt=False)
    assert order(queue) == [two, one]
    job = claim(two)
    queue.claims.fail(two, str(job.lease), "no picture", "bad_input", None, [])
    queue.requests.retry(two)
    assert order(queue) == [one, two]


def test_retry_of_all_failed_jobs(queue: Queue, drop: Drop, claim: Claim) -> None:
    numbers = [drop(f"{name}.mp4") for name in "abc"]
    outdated = drop("d.mp4", content=b"old")
    for number in (*numbers[:2], outdated):
        job = claim(number)
        queue.claims.fail(number, str(job.lease), "no picture", "bad_input", None, [])
    newer = drop("d.mp4", content=b"new")
    queue.requests.cancel(numbers[2])
    assert queue.requests.retry_all() == numbers[:2]
    assert sorted(order(queue)) == [*numbers[:2], newer]
    assert queue.requests.retry_all() == []
