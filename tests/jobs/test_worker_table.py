"""Who is working, and since when."""

from __future__ import annotations

from collections.abc import Callable

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job

Drop = Callable[..., int]
Claim = Callable[..., Job]


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
