"""What the service does and leaves alone while it stops, with real worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flashvsr.service.stopping import CHECKPOINT, FINISH, KILL, Stop
from kits.service import Service, eventually, running, services
from kits.strangers import stranger

MakeService = Callable[..., Service]


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    yield from services(tmp_path)


def finishing(make_service: MakeService, worker: str, more: str = "", **options: Any) -> Service:
    """A service that lets jobs finish when it stops."""
    service = make_service("idle")
    service.stop()
    (service.root / "notes").unlink(missing_ok=True)
    service.configure(f'[service]\nstop_mode = "finish"\n{more}')
    return make_service(worker, **options)


@pytest.mark.slow
def test_no_worker_is_started_while_another_finishes(make_service: MakeService, tmp_path: Path) -> None:
    service = finishing(make_service, "work", slots=["a", "b"], first=0.05)
    job = service.add_job()
    eventually(lambda: service.job(job).frames_done > 2, "frames")
    eventually(lambda: len(service.noted("start")) == 2, "two workers")
    pids = {note["pid"] for note in service.noted("start")}
    (busy,) = {note["pid"] for note in service.noted("claimed")}
    (other,) = pids - {busy}
    service.send(signal.SIGTERM)
    eventually(lambda: not running(other), "the end of the worker without a job")
    time.sleep(0.5)  # many turns, and ten times what an empty slot waits for its next worker
    assert {note["pid"] for note in service.noted("start")} == pids
    assert running(busy)
    (tmp_path / "finish").touch()
    assert service.process.wait(15) == 0
    assert service.job(job).state == "done"
    assert service.ask(lambda queue: queue.workers.all()) == []
    assert "a new one starts" not in service.log()
    assert "error   " not in service.log()


@pytest.mark.slow
def test_a_worker_that_crashes_while_the_service_stops_has_no_successor(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = finishing(make_service, "work", slots=["a", "b"], first=0.05)
    jobs = [service.add_job(name) for name in ("a.mp4", "b.mp4")]
    for job in jobs:
        eventually(partial(lambda job: service.job(job).frames_done > 2, job), "frames")
    service.send(signal.SIGTERM)
    service.wait_for("STATUS=stopping: running jobs are finished first")
    os.kill(service.job(jobs[0]).owner_pid, signal.SIGKILL)
    eventually(lambda: service.job(jobs[0]).state == "queued", "its job back in the queue at once", 4)
    time.sleep(0.5)
    assert len(service.noted("start")) == 2
    assert service.job(jobs[1]).state == "running"
    (tmp_path / "finish").touch()
    assert service.process.wait(15) == 0
    assert [service.job(job).state for job in jobs] == ["queued", "done"]
    assert "a new one starts" not in service.log()
    assert "error   " not in service.log()  # nobody has to look after it


@pytest.mark.slow
def test_the_watchdog_is_fed_as_long_as_jobs_finish(make_service: MakeService, tmp_path: Path) -> None:
    """Although nobody watches the inboxes any more; and systemd is asked for more time again and again."""
    service = finishing(make_service, "work", silence=1.0)
    job = service.add_job()
    eventually(lambda: service.job(job).frames_done > 2, "frames")
    service.send(signal.SIGTERM)
    service.wait_for("EXTEND_TIMEOUT_USEC=")
    time.sleep(1.5)  # longer than a watcher may be silent
    before = len(service.said)
    for words in ("WATCHDOG=1", "EXTEND_TIMEOUT_USEC="):
        eventually(partial(lambda words: sum(words in line for line in service.said[before:]) > 2, words), words, 5)
    assert "no inbox could be read" not in "".join(service.said[before:])
    (tmp_path / "finish").touch()
    assert service.process.wait(15) == 0


@pytest.mark.slow
def test_systemd_is_asked_for_no_more_time_than_a_checkpoint_takes(make_service: MakeService) -> None:
    service = make_service("hang", checkpoint=1.0)
    service.add_job()
    eventually(lambda: service.noted("child"), "the hanging worker")
    assert service.stop() == 0
    assert not [line for line in service.said if "EXTEND_TIMEOUT" in line]


@pytest.mark.slow
def test_nothing_new_becomes_a_job_while_the_service_stops(make_service: MakeService, tmp_path: Path) -> None:
    service = finishing(make_service, "work")
    job = service.add_job()
    eventually(lambda: service.job(job).frames_done > 2, "frames")
    service.send(signal.SIGTERM)
    service.wait_for("STATUS=stopping")
    time.sleep(1)  # a step of the watcher may be under way
    (service.inbox / "late.mp4").write_bytes(b"not a real video")
    time.sleep(1.5)  # several scans, and it would have stood still
    assert len(service.ask(lambda queue: queue.jobs.select())) == 1
    (tmp_path / "finish").touch()
    assert service.process.wait(15) == 0


@pytest.mark.slow
def test_a_stalled_worker_is_killed_while_the_service_waits_for_it_to_finish(make_service: MakeService) -> None:
    service = finishing(make_service, "hang", "[queue]\nstall_seconds = 2")
    job = service.add_job()
    (child,) = eventually(lambda: service.noted("child"), "the hanging worker")
    service.send(signal.SIGTERM)
    assert service.process.wait(15) == 0
    log = service.log()
    assert 0 < log.index("SIGTERM: stopping") < log.index("its worker is killed")
    assert service.job(job).state == "queued"
    eventually(lambda: not running(child["pid"]), "the end of the whole process group", 2)


@pytest.mark.slow
def test_each_further_request_is_less_patient_and_the_third_kills(make_service: MakeService) -> None:
    service = finishing(make_service, "hang", checkpoint=60)
    job = service.add_job()
    eventually(lambda: service.noted("child"), "the hanging worker")
    for words in ("running jobs are finished first", "running jobs close their chunk", "workers are killed"):
        assert service.process.poll() is None
        service.send(signal.SIGINT)  # as good as SIGTERM
        service.wait_for_log(f"SIGINT: stopping; {words}")
    assert service.process.wait(15) == 0
    assert service.job(job).state == "queued"


@pytest.mark.slow
def test_a_job_whose_process_died_unseen_is_queued_at_the_end(make_service: MakeService) -> None:
    """Of an earlier service, say: no worker of ours ends to have it noticed."""
    service = make_service("crash", first=60)
    service.wait_for("the worker ended (exit code 3)")  # the slot rests, and is the last to have jobs looked for
    job = service.add_job()
    with stranger() as (_, owner):
        assert service.ask(lambda queue: queue.claims.claim(job, "{}", owner, "old", 3))
        assert service.job(job).state == "running"
    assert service.stop() == 0
    row = service.job(job)
    assert (row.state, row.attempts, row.owner_pid) == ("queued", 1, None)


@pytest.mark.slow
def test_a_job_of_a_process_that_lives_is_left_to_it(make_service: MakeService) -> None:
    service = make_service("idle")
    job = service.add_job()
    with stranger() as (_, owner):
        assert service.ask(lambda queue: queue.claims.claim(job, "{}", owner, "old", 3))
        assert service.stop() == 0
        assert service.job(job).state == "running"


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_workers_of_a_service_that_is_gone_are_forgotten(make_service: MakeService, end: signal.Signals) -> None:
    """At the end, or else by the next one, which may have other slots."""
    service = make_service("idle", slots=["old", "older"])
    eventually(lambda: len(service.ask(lambda queue: queue.workers.all())) == 2, "the workers")
    service.send(end)
    service.process.wait(15)
    assert len(service.ask(lambda queue: queue.workers.all())) == (2 if end == signal.SIGKILL else 0)
    service = make_service("idle", slots=["new"])
    service.wait_for("READY=1")
    assert [row.slot for row in service.ask(lambda queue: queue.workers.all())] == ["new"]


@pytest.mark.parametrize(
    ("configured", "modes"), [(FINISH, [FINISH, CHECKPOINT, KILL, KILL]), (CHECKPOINT, [CHECKPOINT, KILL, KILL])]
)
def test_the_modes_of_a_stop(configured: str, modes: list[str]) -> None:
    stop = Stop(checkpoint_seconds=90, killed_seconds=10)
    assert (stop.requested, stop.words) == (False, "")
    assert not stop.must_kill(1e9)
    for number, mode in enumerate(modes):
        assert stop.request(configured, 1000.0 + number) == stop.mode == mode
        assert stop.requested
        assert stop.words


def test_the_times_of_a_stop() -> None:
    stop = Stop(checkpoint_seconds=90, killed_seconds=10)
    stop.request(FINISH, 0)
    assert not stop.must_kill(1e9)  # as long as it takes
    stop.request(FINISH, 1000)
    assert (stop.must_kill(1089), stop.gives_up(1089)) == (False, False)
    assert stop.must_kill(1090)
    assert stop.mode == KILL
    assert not stop.must_kill(1091)  # once
    assert (stop.gives_up(1099), stop.gives_up(1100)) == (False, True)


def test_a_request_to_kill_takes_no_time() -> None:
    stop = Stop(checkpoint_seconds=90, killed_seconds=10)
    for now in (1000, 1001):
        stop.request(CHECKPOINT, now)
    assert stop.must_kill(1001)
    assert (stop.gives_up(1010), stop.gives_up(1011)) == (False, True)
