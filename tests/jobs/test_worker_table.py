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


def test_since_when_a_worker_does_what_it_does(queue: Queue) -> None:
    queue.workers.set("gpu1", 12, "NVIDIA X", "idle")

    def since(pid: int, state: str, job: int | None = None, error: str | None = None) -> float:
        queue.workers.set("cpu", pid, "CPU", state, job, error)
        row = queue.workers.all()[0]
        assert (row.slot, row.pid, row.label, row.state, row.job, row.error) == ("cpu", pid, "CPU", state, job, error)
        return float(row.since)

    moments = [since(11, "busy", 7), since(11, "busy", 7, "loads"), since(11, "busy", 8), since(12, "busy", 8)]
    moments.append(since(12, "idle"))
    assert moments[0] == moments[1] < moments[2] < moments[3] < moments[4]
    assert [row.slot for row in queue.workers.all()] == ["cpu", "gpu1"]
    queue.workers.remove("cpu")
    queue.workers.remove("nobody")
    assert [row.slot for row in queue.workers.all()] == ["gpu1"]
