"""The life of a job: who may change it, and what each change leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import LeaseLost
from flashvsr.jobs.claims import CRASHED
from flashvsr.jobs.owner import Owner
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import SUPERSEDED, Job

OWNER = Owner("a-host", 4711, "boot-1")
MADE: dict[str, Any] = {"model": "nano", "report_json": '{"frames": 80}', "warnings": ["no sound"]}

Drop = Callable[..., int]
Claim = Callable[..., Job]


def test_claim_counts_the_attempt_and_fixes_the_preset(queue: Queue, drop: Drop, claim: Claim) -> None:
    job_id = drop()
    job = claim(job_id)
    assert (job.state, job.attempts, job.preset, job.slot) == ("running", 1, '{"width": 960}', "cpu")
    assert (job.owner_host, job.owner_pid, job.owner_start) == ("a-host", 4711, "boot-1")
    assert job.lease
    assert job.claimed is not None
    assert queue.claims.claim(job_id, "{}", OWNER, "gpu0", 3) is None
    assert queue.claims.next_candidate(time.time()) is None


def test_oldest_first_and_not_before_its_time(queue: Queue, drop: Drop, claim: Claim) -> None:
    first, second = drop("a.mp4"), drop("b.mp4")
    job = claim(first)
    queue.claims.requeue(first, str(job.lease), "no space", "transient", 60, count_attempt=False)
    now = time.time()
    assert queue.claims.next_candidate(now).id == second
    assert queue.claims.next_candidate(now + 61).id == first  # its place is kept
    assert queue.jobs.get(first).attempts == 0
    assert queue.jobs.get(first).error == "no space"


def test_a_wrong_clock_does_not_bury_a_job(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.requeue(job.id, str(job.lease), "no space", "transient", 60, count_attempt=True)
    for ahead in (3600, 365 * 86400):
        assert queue.claims.next_candidate(time.time() - ahead).id == job.id


def test_attempts_used_up_end_failed_with_the_last_error(queue: Queue, drop: Drop, claim: Claim) -> None:
    job_id = drop()
    for _ in range(2):
        claim(job_id, max_attempts=2)
        assert queue.claims.recover(lambda owner: owner == OWNER) == [job_id]
    assert queue.claims.claim(job_id, "{}", OWNER, "cpu", 2) is None
    job = queue.jobs.get(job_id)
    assert (job.state, job.attempts, job.error_kind) == ("failed", 2, "crash")
    assert job.error == f"gave up after 2 attempts: {CRASHED}"
    assert job.finished is not None


def test_finish_records_the_result(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    lease = str(job.lease)
    assert queue.claims.heartbeat(job.id, lease, 8, 80, 3.5) == "ok"
    queue.claims.publishing(job.id, lease, Path("/out/clip.mp4"), 1234, 99, **MADE)
    queue.claims.finish(job.id, lease, Path("/out/clip.mp4"), "nano", '{"frames": 80}', ["no sound"])
    job = queue.jobs.get(job.id) or job
    assert (job.state, job.result, job.result_size, job.result_mtime_ns) == (
        "done",
        "/out/clip.mp4",
        1234,
        99,
    )
    assert (job.model, job.report, job.warnings, job.error) == ("nano", '{"frames": 80}', ["no sound"], None)
    assert (job.frames_done, job.frames_total, job.fps) == (8, 80, 3.5)
    assert job.lease is None
    assert queue.history.unsettled()[0].id == job.id
    queue.history.settled(job.id, Path("/archive/clip.mp4"), True)
    assert queue.history.unsettled() == []
    assert queue.jobs.get(job.id).archived == "/archive/clip.mp4"


def test_only_the_lease_holder_changes_a_job(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    old = str(job.lease)
    queue.claims.recover(lambda owner: True)
    new = claim(job.id)
    assert new.lease != old
    assert queue.claims.heartbeat(job.id, old, 8, 80, 1.0) == "lost"
    result = Path("/out/clip.mp4")
    changes: tuple[Callable[[], object], ...] = (
        lambda: queue.claims.publishing(job.id, old, result, 1, 1, **MADE),
        lambda: queue.claims.finish(job.id, old, result, "nano", "{}", []),
        lambda: queue.claims.fail(job.id, old, "no", "internal", None, []),
        lambda: queue.claims.cancelled(job.id, old, None),
        lambda: queue.claims.requeue(job.id, old, "no", "transient", 0, True),
    )
    for change in changes:
        with pytest.raises(LeaseLost):
            change()
    unchanged = queue.jobs.get(job.id)
    assert (unchanged.state, unchanged.lease, unchanged.frames_done) == ("running", new.lease, 0)


def test_the_intent_to_publish_survives_a_crash(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    lease = str(job.lease)
    queue.claims.heartbeat(job.id, lease, 80, 80, 3.5)
    queue.claims.publishing(job.id, lease, Path("/out/clip.mp4"), 1234, 99, **MADE)
    queue.claims.recover(lambda owner: True)
    again = claim(job.id)
    assert (again.result, again.result_size, again.result_mtime_ns) == ("/out/clip.mp4", 1234, 99)
    assert (again.model, again.report, again.warnings) == ("nano", '{"frames": 80}', ["no sound"])
    assert (again.frames_done, again.frames_total, again.fps) == (80, 80, 3.5)


def test_frames_of_an_attempt_that_made_no_result_are_not_the_next_ones(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.heartbeat(job.id, str(job.lease), 40, 80, 3.5)
    queue.claims.recover(lambda owner: True)
    again = claim(job.id)
    assert (again.frames_done, again.frames_total, again.fps) == (0, 80, None)


def test_a_result_that_was_never_named_leaves_no_claim_about_it(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.publishing(job.id, str(job.lease), Path("/out/clip.mp4"), 1234, 99, **MADE)
    queue.claims.fail(job.id, str(job.lease), "no", "internal", None, [])
    job = queue.jobs.get(job.id) or job
    assert (job.result, job.result_size, job.model, job.report, job.warnings) == (None, None, None, None, [])


def test_recover_leaves_living_owners_alone(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    assert queue.claims.recover(lambda owner: owner != OWNER) == []
    assert queue.jobs.get(job.id).state == "running"


def test_a_job_put_back_gives_way_to_the_newer_version(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop(content=b"old"))
    newer = drop(content=b"newer")
    queue.claims.requeue(job.id, str(job.lease), "stopped", "transient", 0, count_attempt=False)
    assert (queue.jobs.get(job.id).state, queue.jobs.get(job.id).error) == ("cancelled", SUPERSEDED)
    assert queue.claims.next_candidate(time.time()).id == newer


def test_stalled_means_no_new_frame(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    assert queue.claims.running_stalled(time.time() + 299, 300) == []
    assert [row.id for row in queue.claims.running_stalled(time.time() + 301, 300)] == [job.id]
    time.sleep(0.2)
    queue.claims.heartbeat(job.id, str(job.lease), 0, 80, 0.0)  # alive, but not a frame further
    assert queue.claims.running_stalled(time.time(), 0.1)
    queue.claims.heartbeat(job.id, str(job.lease), 8, 80, 1.0)
    assert queue.claims.running_stalled(time.time(), 0.1) == []


def test_setting_the_clock_stalls_nobody(
    queue: Queue, drop: Drop, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(drop())
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86400)
    assert queue.claims.running_stalled(time.time(), 300) == []


def test_two_threads_share_one_queue(queue: Queue, drop: Drop) -> None:
    for index in range(40):
        drop(f"{index}.mp4")
    taken: list[int] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            while (job := queue.claims.next_candidate(time.time())) is not None:
                if (mine := queue.claims.claim(job.id, "{}", OWNER, "cpu", 3)) is not None:
                    taken.append(mine.id)
                    queue.claims.finish(mine.id, str(mine.lease), Path("/out"), "nano", "{}", [])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert sorted(taken) == list(range(1, 41))


def test_recovered_jobs_of_other_owners_stay(queue: Queue, drop: Drop, claim: Claim) -> None:
    claim(drop())
    assert queue.claims.recover(lambda owner: owner == Owner("elsewhere", 1, "x")) == []


ENDS: dict[str, Callable[[Queue, Job], object]] = {
    "done": lambda queue, job: queue.claims.finish(job.id, str(job.lease), Path("/out/a.mp4"), "nano", "{}", []),
    "cancelled": lambda queue, job: queue.claims.cancelled(job.id, str(job.lease), None),
}


@pytest.mark.parametrize(("state", "end"), ENDS.items(), ids=ENDS)
def test_an_end_that_is_no_failure_has_no_reason_of_one(
    queue: Queue, drop: Drop, claim: Claim, state: str, end: Callable[[Queue, Job], object]
) -> None:
    job = claim(drop())
    queue.claims.requeue(job.id, str(job.lease), "no space", "transient", 0, count_attempt=False)
    queue.requests.cancel(claim(job.id).id)
    end(queue, queue.jobs.get(job.id) or job)
    row = queue.jobs.get(job.id)
    assert (row.state, row.error, row.error_kind) == (state, "cancelled" if state == "cancelled" else None, None)
    assert (row.cancel_requested, row.lease, row.owner_host, row.owner_pid, row.owner_start) == (False, *(None,) * 4)


def test_a_job_that_gives_way_has_no_kind_of_failure(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop(content=b"old"))
    queue.claims.requeue(job.id, str(job.lease), "no space", "transient", 0, count_attempt=False)
    again = claim(job.id)
    drop(content=b"newer")
    queue.claims.requeue(job.id, str(again.lease), "no space", "transient", 0, count_attempt=False)
    assert (queue.jobs.get(job.id).error, queue.jobs.get(job.id).error_kind) == (SUPERSEDED, None)


def test_a_job_put_back_is_nobodys(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.requeue(job.id, str(job.lease), "no space", "transient", 0, count_attempt=True)
    row = queue.jobs.get(job.id)
    assert (row.state, row.attempts, row.error, row.error_kind) == ("queued", 1, "no space", "transient")
    assert (row.lease, row.owner_host, row.owner_pid, row.owner_start) == (None,) * 4


def test_attempts_are_never_less_than_none(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    with queue.store.writing():
        queue.jobs.change(job.id, attempts=0)  # as a person's retry may have left it meanwhile
    queue.claims.requeue(job.id, str(job.lease), "no space", "transient", 0, count_attempt=False)
    assert queue.jobs.get(job.id).attempts == 0


@pytest.mark.parametrize(
    ("error", "kind", "told", "told_kind"),
    [("shapes differ", "internal", "shapes differ", "internal"), (None, None, "no reason was recorded", "crash")],
)
def test_who_gives_up_tells_the_last_reason(
    queue: Queue, drop: Drop, error: str | None, kind: str | None, told: str, told_kind: str
) -> None:
    number = drop()
    with queue.store.writing():
        queue.jobs.change(number, attempts=2, error=error, error_kind=kind)
    assert queue.claims.claim(number, "{}", OWNER, "cpu", 2) is None
    row = queue.jobs.get(number)
    assert (row.state, row.error, row.error_kind) == ("failed", f"gave up after 2 attempts: {told}", told_kind)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_job_that_another_worker_was_faster_to_take_is_not_given_up(
    queue: Queue, drop: Drop, claim: Claim, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = drop()
    for _ in range(attempts - 1):
        claim(number)
        queue.claims.recover(lambda owner: True)
    running = claim(number)
    assert queue.claims.claim(number, "{}", OWNER, "gpu9", attempts) is None
    assert (queue.jobs.get(number).state, queue.jobs.get(number).lease) == ("running", running.lease)
    waiting = drop("b.mp4")
    monkeypatch.setattr(queue.claims, "_take", lambda *_: False)
    assert queue.claims.claim(waiting, "{}", OWNER, "gpu9", 2) is None
    assert queue.jobs.get(waiting).state == "queued", "it has attempts left"


def test_all_that_died_are_put_back_each_with_the_attempt_it_cost(queue: Queue, drop: Drop, claim: Claim) -> None:
    numbers = [claim(drop(f"{index}.mp4")).id for index in range(3)]
    other = queue.claims.claim(drop("other.mp4"), "{}", Owner("elsewhere", 4711, "boot-1"), "gpu9", 3)
    assert other is not None
    asked: list[Owner] = []

    def dead(owner: Owner) -> bool:
        asked.append(owner)
        return owner == OWNER

    assert queue.claims.recover(dead) == numbers
    assert asked == [OWNER] * 3 + [Owner("elsewhere", 4711, "boot-1")]
    for number in numbers:
        row = queue.jobs.get(number)
        assert (row.state, row.attempts, row.error, row.error_kind) == ("queued", 1, CRASHED, "crash")
    assert queue.jobs.get(other.id).state == "running"


def test_what_a_worker_says_of_its_work_is_kept(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.heartbeat(job.id, str(job.lease), 8, 80, 3.5)
    queue.claims.heartbeat(job.id, str(job.lease), 9, 90, 4.5)
    row = queue.jobs.get(job.id)
    assert (row.frames_done, row.frames_total, row.fps) == (9, 90, 4.5)


def test_the_number_of_frames_is_known_at_the_end_at_last(queue: Queue, drop: Drop, claim: Claim) -> None:
    totals = []
    for name, total in (("a.mp4", None), ("b.mp4", 90)):
        job = claim(drop(name))
        queue.claims.heartbeat(job.id, str(job.lease), 80, total, 3.5)
        queue.claims.finish(job.id, str(job.lease), Path("/out/a.mp4"), "nano", "{}", [])
        totals.append(queue.jobs.get(job.id).frames_total)
    assert totals == [80, 90]


def test_what_comes_first(queue: Queue, drop: Callable[..., int]) -> None:
    """Those that a person put first, the last of them before the others; then by priority; then as they came."""
    first, second, third, fourth, fifth = (drop(f"{number}.mp4") for number in range(5))
    values = {second: {"priority": 3}, third: {"turn": 1}, fourth: {"turn": 2, "priority": -5}, fifth: {"priority": -1}}
    with queue.store.writing():
        for number, columns in values.items():
            queue.jobs.change(number, **columns)
    order = []
    while (job := queue.claims.next_candidate(0.0)) is not None:
        order.append(job.id)
        queue.requests.cancel(job.id)
    assert order == [fourth, third, second, first, fifth]
