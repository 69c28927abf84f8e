"""Which job is about a newer version of another one's file: to that one an interrupted job gives way."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.errors import FlashVSRError
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import SUPERSEDED, Job

Drop = Callable[..., int]
Claim = Callable[..., Job]
End = Callable[[Queue, Claim, int], object]


def requeue(queue: Queue, job: Job) -> None:
    queue.claims.requeue(job.id, str(job.lease), "stopped", "transient", 0, count_attempt=False)


def recover(queue: Queue, job: Job) -> None:
    assert job.id in queue.claims.recover(lambda owner: True)


def finish(queue: Queue, claim: Claim, number: int) -> None:
    queue.claims.finish(number, str(claim(number).lease), Path("/out/clip.mp4"), "nano", "{}", [])


def fail(queue: Queue, claim: Claim, number: int) -> None:
    queue.claims.fail(number, str(claim(number).lease), "no picture", "bad_input", None, [])


def cancel_running(queue: Queue, claim: Claim, number: int) -> None:
    queue.claims.cancelled(number, str(claim(number).lease), None)


def settle_away(queue: Queue, claim: Claim, number: int) -> None:
    finish(queue, claim, number)
    queue.history.settled(number, Path("/archive/clip.mp4"), departed=True)


WAITING: dict[str, End] = {
    "queued": lambda queue, claim, number: None,
    "held": lambda queue, claim, number: queue.intake.hold(Path(queue.jobs.get(number).inbox), "scale is 99"),
}
LATER: dict[str, End] = {
    "done": finish,
    "done and archived": settle_away,
    "failed": fail,
    "cancelled while it waited": lambda queue, claim, number: queue.requests.cancel(number),
    "cancelled while it ran": cancel_running,
}
PUT_BACK = pytest.mark.parametrize("put_back", [requeue, recover])


def waits(queue: Queue, number: int) -> bool:
    row = queue.jobs.get(number)
    return row.state == "queued" and row.error != SUPERSEDED


@PUT_BACK
@pytest.mark.parametrize("end", [*WAITING.values(), *LATER.values()], ids=[*WAITING, *LATER])
def test_a_job_put_back_gives_way_whatever_became_of_the_newer_version(
    queue: Queue, drop: Drop, claim: Claim, end: End, put_back: Callable[[Queue, Job], None]
) -> None:
    job = claim(drop(content=b"old"))
    newer = drop(content=b"newer")
    end(queue, claim, newer)
    before = queue.jobs.get(newer)
    put_back(queue, job)
    row = queue.jobs.get(job.id)
    assert (row.state, row.error, row.error_kind) == ("cancelled", SUPERSEDED, None)
    assert (row.lease, row.owner_pid) == (None, None)
    assert row.finished is not None
    after = queue.jobs.get(newer)
    assert (after.state, after.error, after.finished) == (before.state, before.error, before.finished)


def test_a_job_put_back_gives_way_to_the_newer_version_that_runs(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop(content=b"old"))
    newer = claim(drop(content=b"newer"))
    requeue(queue, job)
    assert queue.jobs.get(job.id).error == SUPERSEDED
    assert queue.jobs.get(newer.id).state == "running"


@pytest.mark.parametrize("end", [*WAITING.values(), *LATER.values()], ids=[*WAITING, *LATER])
def test_what_has_a_newer_version_is_not_tried_again(queue: Queue, drop: Drop, claim: Claim, end: End) -> None:
    old = drop(content=b"old")
    fail(queue, claim, old)
    end(queue, claim, drop(content=b"newer"))
    with pytest.raises(FlashVSRError, match="newer version"):
        queue.requests.retry(old)
    assert queue.jobs.get(old).state == "failed"


@PUT_BACK
@pytest.mark.parametrize("end", LATER.values(), ids=LATER.keys())
def test_an_older_version_is_none(
    queue: Queue, drop: Drop, claim: Claim, end: End, put_back: Callable[[Queue, Job], None]
) -> None:
    end(queue, claim, drop(content=b"older"))
    job = claim(drop(content=b"now"))
    put_back(queue, job)
    assert waits(queue, job.id)
    claim(job.id)


@PUT_BACK
def test_the_file_of_another_name_is_none(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, put_back: Callable[[Queue, Job], None]
) -> None:
    job = claim(drop("clip.mp4"))
    (inbox.parent / "other").mkdir()
    path = inbox.parent / "other" / "clip.mp4"
    path.write_bytes(b"of another inbox")
    assert queue.intake.add(path.parent, path, "clip.mp4", path.lstat())
    queue.requests.cancel(drop("clip.mp4.mp4"))
    finish(queue, claim, drop("Clip.mp4"))
    drop("deeper.mp4")
    put_back(queue, job)
    assert waits(queue, job.id)


@PUT_BACK
def test_a_newer_version_that_was_itself_replaced_is_none(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, put_back: Callable[[Queue, Job], None]
) -> None:
    """Another file took its place, and left it again."""
    job = claim(drop("clip.mp4", b"old"))
    newer = drop("clip.mp4", b"newer")
    other = drop("other.mp4", b"another file")
    for there, here in (("other.mp4", "clip.mp4"), ("clip.mp4", "else.mp4")):
        path = (inbox / there).rename(inbox / here)
        assert queue.intake.add(inbox, path, here, path.lstat()) is None
    assert (queue.jobs.get(newer).state, queue.jobs.get(newer).error) == ("cancelled", SUPERSEDED)
    assert queue.jobs.get(other).source == str(inbox / "else.mp4")
    put_back(queue, job)
    assert waits(queue, job.id)


def test_what_waits_is_newer_whatever_the_clock_said(
    queue: Queue, drop: Drop, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was set back before the newer version came."""
    job = claim(drop(content=b"old"))
    with monkeypatch.context() as patch:
        before = time.time() - 3600
        patch.setattr(time, "time", lambda: before)
        newer = drop(content=b"newer")
    assert queue.jobs.get(newer).created < queue.jobs.get(job.id).created
    requeue(queue, job)
    assert queue.jobs.get(job.id).error == SUPERSEDED
    assert queue.claims.next_candidate(time.time()).id == newer


def test_a_job_is_no_newer_version_of_itself(queue: Queue, drop: Drop, inbox: Path) -> None:
    number = drop()
    queue.intake.hold(inbox, "scale is 99")
    queue.requests.retry(number)
    assert waits(queue, number)
