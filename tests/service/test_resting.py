"""The service while it is paused or outside its hours: workers leave, the GPU is free, and work goes on afterwards."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flashvsr.service.pause import Moment, Pause, Wish, keep_pause
from kits.commands import called
from kits.service import Service, eventually, running, services

MakeService = Callable[..., Service]
Say = Callable[..., str]


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    yield from services(tmp_path)


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """A command, in this process; what it said."""

    def say(*arguments: str) -> str:
        done = called(capsys, *arguments, "--config", tmp_path / "flashvsr.toml")
        assert done.returncode == 0, done.stderr
        return done.stdout

    return say


def starts(service: Service, rests: bool) -> list[dict[str, Any]]:
    return [note for note in service.noted("start") if note["rests"] is rests]


def started(service: Service, rests: bool, number: int) -> bool:
    return len(starts(service, rests)) == number


def closed_hours() -> str:
    """Hours that do not begin within one hour from now, nor have lasted until then."""
    soon = time.localtime(time.time() + 2 * 3600)
    later = time.localtime(time.time() + 3 * 3600)
    return f"{time.strftime('%H:%M', soon)}-{time.strftime('%H:%M', later)}"


@pytest.mark.slow
def test_a_pause_lets_workers_leave_and_resume_brings_them_back(make_service: MakeService, say: Say) -> None:
    service = make_service("work", slots=["one", "two"])
    job = service.add_job()
    (claimed,) = eventually(lambda: service.noted("claimed"), "the claim")
    eventually(lambda: len(starts(service, rests=False)) == 2, "a worker for each slot")
    workers = [note["pid"] for note in starts(service, rests=False)]
    assert "running jobs save what is done of them" in say("pause", "2h")
    service.wait_for("STATUS=paused until")
    (resting,) = eventually(lambda: starts(service, rests=True), "the one that rests")
    assert resting["cuda"] == ""  # it sees no GPU
    assert not any(map(running, workers))
    assert claimed["pid"] in [note["pid"] for note in service.noted("SIGTERM")]
    assert (service.job(job).state, service.job(job).attempts) == ("queued", 0)

    def paused() -> Any:
        told = json.loads(say("status", "--json"))
        return told if told["service"]["doing"].startswith("paused until ") else None

    told = eventually(paused, "the status tells it")
    assert told["service"]["doing"].endswith(" by flashvsr pause")
    assert told["service"]["mode"] == "resting"
    assert abs(told["service"]["until"] - time.time() - 7200) < 60
    assert [(worker["slot"], worker["state"]) for worker in told["workers"]] == [("one", "resting")]
    assert told["problems"] == []
    assert "; paused until " in say("status")
    fed = service.said.count("WATCHDOG=1")
    eventually(lambda: service.said.count("WATCHDOG=1") > fed + 2, "the watchdog is fed")

    assert say("resume") == "the pause is over\n"
    eventually(lambda: len(service.noted("claimed")) == 2, "the job goes on")
    assert service.job(job).attempts == 1
    eventually(lambda: len(starts(service, rests=False)) == 4, "a worker for each slot")
    service.wait_for("STATUS=1 running")
    assert not running(resting["pid"])
    assert "ERROR" not in service.log()
    assert say("resume") == "it was not paused\n"
    assert service.stop() == 0


@pytest.mark.slow
def test_a_pause_outlives_the_service_which_is_ready_and_stops_at_once(make_service: MakeService, say: Say) -> None:
    service = make_service("work")
    service.wait_for("READY=1")
    assert service.stop() == 0
    assert say("pause") == (
        "paused until flashvsr resume; no service runs now, and one that starts does no job until then\n"
    )
    service = make_service("work")
    service.wait_for("READY=1")
    service.wait_for("STATUS=paused by flashvsr pause until flashvsr resume; 0 running")
    eventually(lambda: starts(service, rests=True), "the one that rests")
    job = service.add_job()  # what comes is noticed all the same
    time.sleep(0.3)
    assert service.job(job).state == "queued"
    assert len(starts(service, rests=False)) == 1  # that of the first service
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_a_pause_that_is_over_ends_by_itself(make_service: MakeService) -> None:
    service = make_service("work")
    service.wait_for("READY=1")
    keep_pause(service.state, Pause.begin(Wish(seconds=1.5), Moment.now()))
    service.wait_for("STATUS=paused until")
    job = service.add_job()
    eventually(lambda: service.job(job).state == "running", "work again")
    assert "work goes on" in service.log()


def test_outside_its_hours_it_rests_and_a_reload_changes_them(make_service: MakeService, say: Say) -> None:
    service = make_service("work")
    job = service.add_job()
    eventually(lambda: service.noted("claimed"), "the claim")
    hours = closed_hours()
    service.configure(f'[schedule]\nrun = "{hours}"')
    service.send(signal.SIGHUP)
    service.wait_for(f"STATUS=outside [schedule] run until {hours[:5]}")
    eventually(lambda: service.job(job).state == "queued", "the job waits")
    assert service.job(job).attempts == 0
    assert "no job is worked on all the same: outside [schedule] run until" in say("resume")
    service.configure()
    service.send(signal.SIGHUP)
    eventually(lambda: service.job(job).state == "running", "the job goes on")


def test_a_worker_that_does_not_leave_is_killed(make_service: MakeService, say: Say) -> None:
    service = make_service("hang", checkpoint=0.5)
    service.add_job()
    (claimed,) = eventually(lambda: service.noted("claimed"), "the claim")
    say("pause")
    eventually(lambda: not running(claimed["pid"]), "its end")
    service.wait_for_log("left (killed: it did not leave in time)")
    eventually(lambda: starts(service, rests=True), "the one that rests")


def test_no_number_of_pauses_counts_as_a_failure(make_service: MakeService, say: Say) -> None:
    service = make_service("idle", first=60)
    service.wait_for("READY=1")
    for number in range(1, 3):
        say("pause")
        eventually(partial(started, service, True, number), "a rest")
        say("resume")
        eventually(partial(started, service, False, number + 1), "work")
    assert "rests until" not in service.log()
    assert "new one starts" not in service.log()


@pytest.mark.slow
def test_a_stop_that_finishes_jobs_is_not_cut_short_by_a_pause(make_service: MakeService, say: Say) -> None:
    service = make_service("idle")
    service.stop()
    service.configure('[service]\nstop_mode = "finish"')
    service = make_service("work")
    job = service.add_job()
    eventually(lambda: service.noted("claimed"), "the claim")
    service.send(signal.SIGTERM)
    service.wait_for("STOPPING=1")
    say("pause")
    time.sleep(0.5)
    assert service.job(job).state == "running"
    (service.root / "finish").touch()
    assert service.process.wait(15) == 0
    assert service.job(job).state == "done"
