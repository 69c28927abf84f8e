"""The life of a job in one process: who may change it, and what each change leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.errors import FlashVSRError, LeaseLost
from flashvsr.jobs.claims import CRASHED
from flashvsr.jobs.intake import LONGEST_REASON, Source
from flashvsr.jobs.owner import Owner
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import STATES, SUPERSEDED, Job

OWNER = Owner("a-host", 4711, "boot-1")
MADE = {"model": "nano", "report_json": '{"frames": 80}', "warnings": ["no sound"]}

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
    job = queue.jobs.get(job.id)
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
    for change in (
        lambda: queue.claims.publishing(job.id, old, result, 1, 1, **MADE),
        lambda: queue.claims.finish(job.id, old, result, "nano", "{}", []),
        lambda: queue.claims.fail(job.id, old, "no", "internal", None, []),
        lambda: queue.claims.cancelled(job.id, old, None),
        lambda: queue.claims.requeue(job.id, old, "no", "transient", 0, True),
    ):
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
    job = queue.jobs.get(job.id)
    assert (job.result, job.result_size, job.model, job.report, job.warnings) == (None, None, None, None, [])


def test_recover_leaves_living_owners_alone(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    assert queue.claims.recover(lambda owner: owner != OWNER) == []
    assert queue.jobs.get(job.id).state == "running"


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
    job = queue.jobs.get(job.id)
    assert (job.state, job.attempts, job.error, job.result, job.finished) == ("queued", 0, None, None, None)


def test_retry_refuses_an_outdated_version(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop(content=b"old"))
    queue.claims.fail(job.id, str(job.lease), "no picture", "bad_input", None, [])
    drop(content=b"new")
    with pytest.raises(FlashVSRError, match="newer version"):
        queue.requests.retry(job.id)


def test_a_job_put_back_gives_way_to_the_newer_version(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop(content=b"old"))
    newer = drop(content=b"newer")
    queue.claims.requeue(job.id, str(job.lease), "stopped", "transient", 0, count_attempt=False)
    assert (queue.jobs.get(job.id).state, queue.jobs.get(job.id).error) == ("cancelled", SUPERSEDED)
    assert queue.claims.next_candidate(time.time()).id == newer


def test_add_partial_only_for_ended_jobs(queue: Queue, drop: Drop) -> None:
    job_id = drop()
    queue.history.add_partial(job_id, Path("/out/x_partial.mp4"))
    assert queue.jobs.get(job_id).result is None
    queue.requests.cancel(job_id)
    queue.history.add_partial(job_id, Path("/out/x_partial.mp4"), ["short"])
    assert queue.jobs.get(job_id).result == "/out/x_partial.mp4"
    assert queue.jobs.get(job_id).warnings == ["short"]


def test_hold_and_release_an_inbox(queue: Queue, drop: Drop, inbox: Path, claim: Claim) -> None:
    running, waiting = drop("a.mp4"), drop("b.mp4")
    claim(running)
    assert queue.intake.hold(inbox.parent / "other", "no") == 0
    assert queue.intake.hold(inbox, "scale is 99") == 1
    assert queue.jobs.get(waiting).state == "held"
    assert queue.jobs.get(waiting).error == "scale is 99"
    assert queue.jobs.get(running).state == "running"
    assert queue.claims.next_candidate(time.time()) is None
    assert queue.intake.release(inbox) == 1
    assert queue.jobs.get(waiting).state == "queued"
    assert queue.jobs.get(waiting).error is None


def test_the_reason_of_held_jobs_is_kept_short(queue: Queue, drop: Drop, inbox: Path) -> None:
    reason = "preset.toml:1: " + "k" * 900_000
    first = drop("a.mp4")
    assert queue.intake.hold(inbox, reason) == 1
    other = inbox / "b.mp4"
    other.write_bytes(b"other")
    (second,) = queue.intake.add_many([Source.of(inbox, other, "b.mp4", other.lstat())], {str(inbox): reason})
    for number in (first, second):
        job = queue.jobs.get(number)
        assert job.state == "held"
        assert job.error.startswith("preset.toml:1: kkk")
        assert job.error.endswith("… (the rest: flashvsr check)")
        assert len(job.error) == LONGEST_REASON


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


def test_counts_and_lists(queue: Queue, drop: Drop, claim: Claim) -> None:
    numbers = [drop(f"{index}.mp4") for index in range(3)]
    claim(numbers[0])
    assert queue.jobs.counts() == dict.fromkeys(STATES, 0) | {"queued": 2, "running": 1}
    assert [job.id for job in queue.jobs.select()] == numbers[::-1]
    assert [job.id for job in queue.jobs.select(states=["queued"], limit=1)] == [numbers[2]]
    assert queue.jobs.get(9999) is None


def test_worker_table(queue: Queue) -> None:
    queue.workers.set("gpu1", 12, "NVIDIA X", "starting")
    queue.workers.set("cpu", 11, "CPU", "idle")
    first = queue.workers.all()[0]
    queue.workers.set("cpu", 11, "CPU", "idle", error="rested")
    assert [worker.slot for worker in queue.workers.all()] == ["cpu", "gpu1"]
    again = queue.workers.all()[0]
    assert (again.since, again.error, again.job) == (first.since, "rested", None)
    queue.workers.set("cpu", 11, "CPU", "busy", job=7)
    assert queue.workers.all()[0].since > first.since
    queue.workers.remove("cpu")
    assert [worker.slot for worker in queue.workers.all()] == ["gpu1"]


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


def test_two_queues_in_one_process_do_not_mix(tmp_path: Path, queue: Queue, drop: Drop) -> None:
    drop()
    other = Queue(tmp_path / "other")
    assert other.jobs.select() == []
    assert len(queue.jobs.select()) == 1
    other.close()
