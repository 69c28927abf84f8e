"""What is to be told is written with what happened, in one transaction."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flashvsr.jobs.intake import Source, Terms
from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job, Notice
from kits.versions import as_version

Drop = Callable[..., int]
Claim = Callable[..., Any]


def told(queue: Queue) -> list[tuple[str, str | None, str | None, int]]:
    return [(row.kind, row.subject, row.detail, row.number) for row in queue.notices.pending(100)]


def finish(queue: Queue, job: Any) -> None:
    queue.claims.finish(job.id, job.lease, Path("/out/clip.mp4"), "nano", "{}", [])


def test_ends_are_noted(queue: Queue, drop: Drop, claim: Claim) -> None:
    jobs = [claim(drop(f"{index}.mp4")) for index in range(4)]
    finish(queue, jobs[0])
    queue.claims.fail(jobs[1].id, jobs[1].lease, "broken; copy it again", "bad_input", None, [])
    queue.claims.skip(jobs[2].id, jobs[2].lease, "large enough")
    assert told(queue) == [
        ("done", "default/0.mp4", "/out/clip.mp4", 1),
        ("failed", "default/1.mp4", "broken; copy it again", 1),
        ("skipped", "default/2.mp4", "large enough", 1),
    ]
    queue.claims.cancelled(jobs[3].id, jobs[3].lease, None)
    assert told(queue)[3:] == [("queue_empty", None, json.dumps({"done": 1, "skipped": 1, "failed": 1}), 3)]


def test_a_job_that_gives_up_is_noted(queue: Queue, drop: Drop, claim: Claim) -> None:
    number = drop()
    claim(number, max_attempts=1)
    queue.claims.recover(lambda owner: True)
    assert queue.claims.claim(number, "{}", current_owner(), "cpu", 1) is None
    assert [kind for kind, *_ in told(queue)] == ["failed", "queue_empty"]


def test_nothing_left_counts_from_the_last_time(queue: Queue, drop: Drop, claim: Claim) -> None:
    for name in ("a.mp4", "b.mp4"):
        finish(queue, claim(drop(name)))
    empties = [detail for kind, _, detail, _ in told(queue) if kind == "queue_empty"]
    assert empties == ['{"done": 1}'] * 2


def test_it_is_not_said_while_something_waits(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop("a.mp4"))
    drop("b.mp4")
    finish(queue, job)
    assert [kind for kind, *_ in told(queue)] == ["done"]


def test_a_cancelled_job_is_no_news(queue: Queue, drop: Drop) -> None:
    queue.requests.cancel(drop())
    assert told(queue) == []


def test_held_jobs_are_noted_by_inbox(queue: Queue, drop: Drop, inbox: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        drop(name)
    queue.intake.hold(inbox, "width = 7: expected more")
    queue.intake.hold(inbox, "width = 7: expected more")  # there is none left
    other = [Source("/in/x", f"/in/x/{index}.mp4", f"{index}.mp4", 1, index, 3, 4) for index in range(300)]
    queue.intake.add_many(other, Terms(held={"/in/x": "no"}))
    queue.intake.add_many(other, Terms(held={"/in/x": "no"}))  # known
    assert told(queue) == [
        ("held", str(inbox), "width = 7: expected more", 2), ("held", "/in/x", "no", 200), ("held", "/in/x", "no", 100)
    ]  # fmt: skip


def test_what_fails_to_be_written_was_not_to_be_told(
    queue: Queue, drop: Drop, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claim(drop())

    def full(self: Ledger, row: Job) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Ledger, "write", full)
    with pytest.raises(OSError, match="no space"):
        finish(queue, job)
    assert (queue.jobs.get(job.id).state, told(queue)) == ("running", [])


def test_told_by_address(queue: Queue, drop: Drop, claim: Claim) -> None:
    finish(queue, claim(drop()))
    numbers = [row.id for row in queue.notices.pending(10)]
    queue.notices.told(numbers, "aa", ["aa", "bb"])
    assert [json.loads(row.told) for row in queue.notices.pending(10)] == [["aa"], ["aa"]]
    queue.notices.told(numbers[:1], "bb", ["aa", "bb"])
    assert [row.id for row in queue.notices.pending(10)] == numbers[1:]
    queue.notices.drop(numbers)
    assert told(queue) == []


def test_what_is_over_is_forgotten_but_the_last_of_each_kind(queue: Queue, drop: Drop, claim: Claim) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        finish(queue, claim(drop(name)))
    numbers = [row.id for row in queue.notices.pending(10)]
    queue.notices.drop(numbers[:-1])
    queue.notices.forget(time.time() - 1)
    assert len(queue.store.rows(Notice.select())) == 6
    queue.notices.forget(time.time() + 1)
    kept = [(row.kind, row.id) for row in queue.store.rows(Notice.select().order_by(Notice.id))]
    assert kept == [("done", numbers[-2]), ("queue_empty", numbers[-1])]


def test_trouble_and_calm(queue: Queue) -> None:
    assert not queue.notices.in_trouble()
    queue.notices.trouble("the disk is full")
    assert queue.notices.in_trouble()
    queue.notices.calm()
    assert not queue.notices.in_trouble()
    assert told(queue) == [("trouble", None, "the disk is full", 1)]


def test_a_database_of_before_gets_the_tables(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.intake.add_many([Source("/in", "/in/a.mp4", "a.mp4", 1, 2, 3, 4)])
    queue.close()
    as_version(tmp_path / "queue.db", 4)
    with closing(Queue(tmp_path)) as queue:
        assert (queue.notices.pending(1), queue.figures.read().frames, queue.jobs.get(1).frames_counted) == ([], 0, 0)
    with sqlite3.connect(tmp_path / "queue.db") as connection:
        for model in ("notice", "total"):
            assert connection.execute(f"SELECT count(*) FROM {model}").fetchall() == [(0,)]
