"""When things happened to a job, as its row tells: by these times it is found due, stalled, over or old."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.jobs import claims, history, intake, table
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import SUPERSEDED, Job

Drop = Callable[..., int]
Claim = Callable[..., Job]
MADE: dict[str, Any] = {"model": "nano", "report_json": "{}", "warnings": []}


class Clock:
    now, ticks = 1_700_000_000.0, 5_000.0

    def go_on(self, seconds: float = 10.0) -> float:
        self.now, self.ticks = self.now + seconds, self.ticks + seconds
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (claims, history, intake, table):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: clock.now, monotonic=lambda: clock.ticks))
    return clock


def progress(job: Job | None) -> tuple[float | None, float | None]:
    assert job is not None
    return job.progress_at, job.progress_ticks


def test_from_its_claim_to_its_end(queue: Queue, drop: Drop, claim: Claim, clock: Clock) -> None:
    job = claim(drop())
    lease = str(job.lease)
    begun = clock.now
    assert (job.created, job.claimed, job.heartbeat, *progress(job)) == (*(begun,) * 4, clock.ticks)
    heard = clock.go_on()
    queue.claims.heartbeat(job.id, lease, 0, 80, 0.0)
    job = queue.jobs.get(job.id) or job
    assert (job.heartbeat, job.progress_at) == (heard, begun), "alive, but not a frame further"
    for frames, working in ((8, False), (8, True), (4, False)):  # it may begin a part anew
        clock.go_on()
        queue.claims.heartbeat(job.id, lease, frames, 80, 1.0, working=working)
        assert progress(queue.jobs.get(job.id)) == (clock.now, clock.ticks)
    clock.go_on()
    queue.claims.publishing(job.id, lease, Path("/out/clip.mp4"), 1, 2, **MADE)
    assert progress(queue.jobs.get(job.id)) == (clock.now, clock.ticks)
    over = clock.go_on()
    queue.claims.finish(job.id, lease, Path("/out/clip.mp4"), "nano", "{}", [])
    job = queue.jobs.get(job.id) or job
    assert (job.claimed, job.finished, job.settled) == (begun, over, None)
    queue.history.settled(job.id, None, departed=False)
    assert queue.jobs.get(job.id).settled == clock.now


def test_the_next_attempt_has_its_own_times(queue: Queue, drop: Drop, claim: Claim, clock: Clock) -> None:
    job = claim(drop())
    clock.go_on(400)
    queue.claims.recover(lambda owner: True)
    assert queue.claims.running_stalled(clock.now, 300) == []
    claim(job.id)
    assert queue.claims.running_stalled(clock.now, 300) == []
    clock.go_on(301)
    assert [row.id for row in queue.claims.running_stalled(clock.now, 300)] == [job.id]


def test_what_is_over_stalls_no_more(queue: Queue, drop: Drop, claim: Claim, clock: Clock) -> None:
    jobs = [claim(drop(f"{index}.mp4")) for index in range(3)]
    queue.claims.finish(jobs[0].id, str(jobs[0].lease), Path("/out/clip.mp4"), "nano", "{}", [])
    queue.claims.requeue(jobs[1].id, str(jobs[1].lease), "stopped", "transient", 0, count_attempt=False)
    assert [row.id for row in queue.claims.running_stalled(clock.go_on(301), 300)] == [jobs[2].id]


def test_a_job_is_due_at_its_time_and_not_a_moment_earlier(
    queue: Queue, drop: Drop, claim: Claim, clock: Clock
) -> None:
    job = claim(drop())
    queue.claims.requeue(job.id, str(job.lease), "no space", "transient", 60, count_attempt=False)
    due = clock.now + 60
    assert queue.jobs.get(job.id).not_before == due
    assert queue.claims.next_candidate(due - 0.001) is None
    assert queue.claims.next_candidate(due).id == job.id
    for far in (600.0, 899.0):
        claim(job.id, max_attempts=99)
        queue.claims.requeue(job.id, str(queue.jobs.get(job.id).lease), "no", "transient", far, count_attempt=False)
        assert queue.claims.next_candidate(clock.now) is None, "no delay of ours is taken for a wrong clock"


def test_a_job_put_back_after_a_crash_is_due_at_once(queue: Queue, drop: Drop, claim: Claim, clock: Clock) -> None:
    job = claim(drop())
    queue.claims.recover(lambda owner: True)
    assert queue.claims.next_candidate(clock.now).id == job.id


@pytest.mark.parametrize("end", ["cancel", "replace"])
def test_every_end_has_its_time(queue: Queue, drop: Drop, clock: Clock, end: str) -> None:
    number = drop(content=b"old")
    over = clock.go_on()
    if end == "cancel":
        queue.requests.cancel(number)
    else:
        drop(content=b"newer")
        assert queue.jobs.get(number).error == SUPERSEDED
    assert queue.jobs.get(number).finished == over
    assert [job.id for job in queue.history.ended_before(over + 1)] == [number]
    assert queue.history.ended_before(over) == []


def test_failures_are_counted_since_a_moment(queue: Queue, drop: Drop, claim: Claim, clock: Clock) -> None:
    moments = []
    for name in ("a.mp4", "b.mp4"):
        job = claim(drop(name))
        queue.claims.fail(job.id, str(job.lease), "no picture", "bad_input", None, [])
        moments.append(clock.now)
        clock.go_on()
    queue.requests.cancel(drop("c.mp4"))
    assert [queue.jobs.failed_since(moment) for moment in (*moments, clock.now)] == [2, 1, 0]


def test_a_file_that_is_tried_again_is_as_new(queue: Queue, drop: Drop, inbox: Path, clock: Clock) -> None:
    """The version before it came later than its job did, and is no newer one."""
    number = drop("clip.mp4", b"first")
    first = (inbox / "clip.mp4").rename(inbox / "kept.mp4").lstat()
    clock.go_on()
    drop("clip.mp4", b"the second")
    (inbox / "kept.mp4").replace(inbox / "clip.mp4")
    back = clock.go_on()
    assert queue.intake.add(inbox, inbox / "clip.mp4", "clip.mp4", first) == number
    assert (queue.jobs.get(number).state, queue.jobs.get(number).created) == ("queued", back)
