"""Whose worker is killed for a job without progress: only the one that holds the job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kits.service import Service, eventually, running, services
from kits.strangers import stranger

MakeService = Callable[..., Service]


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    yield from services(tmp_path)


def impatient(make_service: MakeService, worker: str, **options: Any) -> Service:
    """A service that calls a job stalled after a second."""
    service = make_service("idle")
    service.stop()
    (service.root / "notes").unlink(missing_ok=True)
    service.configure("[queue]\nstall_seconds = 1")
    return make_service(worker, **options)


@pytest.mark.slow
def test_a_stalled_job_of_another_process_kills_no_worker_of_ours(make_service: MakeService) -> None:
    """Its slot has our worker's name: the worker of an earlier service may hang in a driver and live on."""
    service = impatient(make_service, "idle")
    (worker,) = eventually(lambda: service.noted("start"), "the worker")
    job = service.add_job()
    with stranger() as (process, owner):
        assert service.ask(lambda queue: queue.claims.claim(job, "{}", owner, "cpu", 3))
        eventually(lambda: service.ask(lambda queue: queue.claims.running_stalled(time.time(), 1)), "the stall")
        service.wait_for("STATUS=1 running")
        time.sleep(0.7)  # many turns
        assert running(worker["pid"])
        assert process.poll() is None  # nor is that process ours to kill
        assert len(service.noted("start")) == 1
        assert service.job(job).state == "running"
        assert "no progress" not in service.log()


@pytest.mark.slow
def test_only_the_worker_of_the_stalled_job_is_killed(make_service: MakeService) -> None:
    service = impatient(make_service, "hang", slots=["a", "b"], first=60)
    job = service.add_job()
    second = eventually(lambda: service.noted("claimed")[1:], "the claim of the other worker")
    assert [note["job"] for note in service.noted("claimed")] == [job, job]
    assert {note["pid"] for note in service.noted("claimed")} == {note["pid"] for note in service.noted("start")}
    assert len(service.noted("start")) == 2
    assert second[0]["time"] - service.noted("claimed")[0]["time"] > 1  # not before it stalled
