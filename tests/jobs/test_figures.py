"""The queue in numbers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.jobs.owner import Owner
from flashvsr.jobs.queue import Queue

Drop = Callable[..., int]
Claim = Callable[..., Any]


def beat(queue: Queue, job: Any, *frames: int) -> None:
    for number in frames:
        queue.claims.heartbeat(job.id, job.lease, number, 100, 2.5)


def test_an_empty_queue(queue: Queue) -> None:
    found = queue.figures.read()
    assert (found.frames, found.oldest_waiting, found.last_success, found.slots) == (0, None, None, ())
    assert set(found.counts.values()) == {0}


def test_all_of_them(queue: Queue, drop: Drop, claim: Claim) -> None:
    before = time.time()
    done, running = claim(drop("a.mp4")), claim(drop("b.mp4"))
    waiting = drop("c.mp4")
    queue.claims.finish(done.id, done.lease, Path("/out/a.mp4"), "nano", "{}", [])
    queue.workers.set("cpu", 1, "CPU", "busy", running.id)
    queue.workers.set("gpu1", 2, "GPU", "idle")
    beat(queue, running, 7)
    found = queue.figures.read()
    assert (found.counts["done"], found.counts["running"], found.counts["queued"]) == (1, 1, 1)
    assert found.oldest_waiting == queue.jobs.get(waiting).created
    assert before <= (found.last_success or 0) <= time.time()
    assert [(slot.slot, slot.fps) for slot in found.slots] == [("cpu", 2.5), ("gpu1", 0.0)]
    assert found.slots[0].silent == pytest.approx(0.0, abs=5.0)
    assert found.slots[1].silent is None


def test_frames_are_counted_once_over_attempts_and_stay_when_jobs_go(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    beat(queue, job, 10, 10, 30)
    queue.claims.requeue(job.id, job.lease, "stopped", "transient", 0.0, False)
    job = claim(job.id)
    beat(queue, job, 0, 20)  # it goes on behind its last chunk, and makes some again
    assert queue.figures.read().frames == 30
    beat(queue, job, 50)
    assert queue.figures.read().frames == 50
    queue.claims.finish(job.id, job.lease, Path("/out/a.mp4"), "nano", "{}", [])
    queue.history.forget([job.id])
    assert queue.figures.read().frames == 50


def test_a_job_that_is_tried_anew_makes_its_frames_anew(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    beat(queue, job, 10)
    queue.claims.fail(job.id, job.lease, "broken", "bad_input", None, [])
    queue.requests.retry(job.id)
    again: Any = queue.claims.claim(job.id, "{}", Owner("a-host", 1, "x"), "cpu", 3)
    beat(queue, again, 10)
    assert queue.figures.read().frames == 20
