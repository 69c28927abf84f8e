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


def ended(queue: Queue, claim: Claim, number: int) -> int:
    queue.claims.finish(number, str(claim(number).lease), Path("/out/clip.mp4"), "nano", "{}", ["first"])
    return number


def test_what_is_left_to_settle_is_done_and_in_order(queue: Queue, drop: Drop, claim: Claim) -> None:
    numbers = [drop(f"{index}.mp4") for index in range(5)]
    for number in (numbers[2], numbers[0], numbers[1]):
        ended(queue, claim, number)
    queue.requests.cancel(numbers[3])
    queue.history.settled(numbers[1], None, departed=False)
    assert [job.id for job in queue.history.unsettled()] == [numbers[0], numbers[2]]


def test_why_a_source_stays_is_told_once_and_until_it_went(queue: Queue, drop: Drop, claim: Claim) -> None:
    first, second, other = (ended(queue, claim, drop(f"{index}.mp4")) for index in range(3))
    waiting = drop("waiting.mp4")
    assert queue.history.staying_sources() == (0, None)
    told = [queue.history.source_stays(first, why) for why in ("closed", "closed", "the disk is full")]
    assert told == [True, False, True]
    assert queue.history.source_stays(second, "closed")
    assert not queue.history.source_stays(waiting, "closed"), "it is not done"
    assert queue.jobs.get(waiting).error is None
    number, job = queue.history.staying_sources()
    assert job is not None
    assert (number, job.id, job.error, job.error_kind) == (2, second, "closed", "source")
    for number in (second, other):
        queue.history.settled(number, None, departed=True)
    assert not queue.history.source_stays(other, "closed"), "it went"
    row = queue.jobs.get(second)
    assert (row.state, row.error, row.error_kind, row.departed) == ("done", None, None, True)
    number, job = queue.history.staying_sources()
    assert (number, job and job.id) == (1, first)


def test_a_partial_adds_to_what_is_known(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.fail(job.id, str(job.lease), "no video", "bad_input", None, ["first"])
    queue.history.add_partial(job.id, Path("/out/clip_partial.mp4"), ["second"])
    assert queue.jobs.get(job.id).warnings == ["first", "second"]
    done = ended(queue, claim, drop("b.mp4"))
    queue.history.add_partial(done, Path("/out/b_partial.mp4"))
    assert queue.jobs.get(done).result == "/out/clip.mp4"


def test_only_what_ended_is_forgotten(queue: Queue, drop: Drop, claim: Claim) -> None:
    done, waiting, running = ended(queue, claim, drop("a.mp4")), drop("b.mp4"), claim(drop("c.mp4"))
    queue.claims.publishing(
        running.id, str(running.lease), Path("/out"), 1, 2, model="nano", report_json="{}", warnings=[]
    )
    assert [row.id for row in queue.history.ended_before(1e12)] == [done]
    with queue.store.writing():
        queue.jobs.change(waiting, finished=1.0)  # as a job that was tried again had it in an earlier version
    assert [row.id for row in queue.history.ended_before(1e12)] == [done]
    assert queue.history.forget([done, waiting, running.id, 99]) == 1
    assert [job.id for job in queue.jobs.select()] == [running.id, waiting]
    assert queue.ledger.numbers() == [running.id], "what may be published keeps its record"


CONTENT = {"inbox": "/in", "relative": "a.mp4", "created": 1.0, "device": 1, "size": 3, "mtime_ns": 4}


def row(number: int, **values: object) -> dict[str, object]:
    return {**CONTENT, "id": number, "inode": number, "source": f"/in/{number}.mp4", "state": "done"} | values


def test_what_was_under_way_waits_again_with_all_its_attempts(queue: Queue) -> None:
    made = {"result": "/out/1.mp4", "result_size": 5, "result_mtime_ns": 6}
    under_way = {"attempts": 3, "not_before": 9e9, "cancel_requested": True, **made}
    rows = [row(1, state="running", **under_way), row(2, state="failed", attempts=3, error="why")]
    assert queue.history.restore(rows, last_number=0) == 2
    again, failed = queue.jobs.get(1), queue.jobs.get(2)
    assert (again.state, again.attempts, again.not_before, again.cancel_requested) == ("queued", 0, 0.0, False)
    assert (again.result, again.result_size, again.result_mtime_ns) == ("/out/1.mp4", 5, 6)
    assert (failed.state, failed.attempts, failed.error) == ("failed", 3, "why")


def test_a_record_that_meets_another_costs_no_other(queue: Queue) -> None:
    rows = [row(1), row(1, source="/in/other.mp4"), row(3, of_a_later_version="x")]
    assert queue.history.restore(rows, last_number=50) == 2
    assert [job.source for job in queue.jobs.select()] == ["/in/3.mp4", "/in/1.mp4"]
    assert queue.history.last_number() == 50
