"""The service as a process, with real worker processes that behave as each test needs."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flashvsr.status.service_file import WRITE_SECONDS
from kits.paths import python_environment
from kits.service import Service, eventually, running, services

MakeService = Callable[..., Service]
STARTED = ("env",)  # started with its workers as programs, not forked: what the operating system does is the test


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    yield from services(tmp_path)


def test_a_whole_life_as_systemd_sees_it(make_service: MakeService) -> None:
    service = make_service("idle", prefix=STARTED)
    service.wait_for("READY=1")
    service.wait_for("STATUS=0 running, 0 waiting, 0 held, 0 failed today")
    service.wait_for("WATCHDOG=1")
    (worker,) = service.noted("start")
    assert worker["cuda"] == ""  # a CPU worker sees no GPU
    assert not worker["told_systemd"]  # only the service process speaks to systemd
    assert worker["group"] == worker["pid"]  # a process group of its own

    assert service.stop() == 0
    service.wait_for("STOPPING=1")
    assert [note["event"] for note in service.notes()] == ["start", "SIGTERM"]
    assert not running(worker["pid"])
    assert service.ask(lambda queue: queue.workers.all()) == []


def test_it_is_ready_only_when_a_worker_can_work(make_service: MakeService) -> None:
    service = make_service("late")
    service.wait_for("STATUS=starting the workers")
    service.wait_for("READY=1")
    assert service.noted("registered")


def test_a_second_service_on_the_same_state_refuses(make_service: MakeService) -> None:
    first = make_service("idle")
    first.wait_for("READY=1")
    second = make_service("idle")
    assert second.process.wait(15) == 1
    assert f"process {first.process.pid}) already uses {first.state}" in second.log()
    assert "READY=1" not in second.said
    assert len(first.noted("start")) == 1


@pytest.mark.slow
def test_failing_workers_are_restarted_with_growing_pauses_until_the_slot_rests(
    make_service: MakeService,
) -> None:
    service = make_service("crash", first=0.2)
    service.wait_for_log("cpu rests until")
    starts = [note["time"] for note in service.noted("start")]
    assert len(starts) == 5
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    for pause, least in zip(pauses, (0.2, 0.4, 0.8, 1.6), strict=True):
        assert least <= pause < least + 1.5
    assert "ended (exit code 3)" in service.log()
    service.wait_for("0 failed today; cpu: the worker ended (exit code 3); cpu rests until")
    time.sleep(0.5)
    assert len(service.noted("start")) == 5
    assert service.stop() == 0  # also when there is nobody to stop


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_job_is_queued_at_once(make_service: MakeService) -> None:
    service = make_service("work", prefix=STARTED, first=0.5)
    job = service.add_job()
    (claimed,) = eventually(lambda: service.noted("claimed"), "the claim")
    os.kill(claimed["pid"], signal.SIGKILL)
    eventually(lambda: service.job(job).state == "queued", "the job back in the queue", 2)
    assert service.job(job).attempts == 1
    again = eventually(lambda: service.noted("claimed")[1:], "the second claim")
    assert again[0]["job"] == job
    assert again[0]["pid"] != claimed["pid"]
    assert "killed by SIGKILL" in service.log()


@pytest.mark.slow
def test_a_worker_without_new_frames_is_killed_with_its_children(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service("idle", first=60)
    service.stop()
    service.configure("[queue]\nstall_seconds = 1")
    service = make_service("hang", first=60)
    job = service.add_job()
    (child,) = eventually(lambda: service.noted("child"), "the child of the worker")
    worker = service.noted("claimed")[0]["pid"]
    time.sleep(0.5)
    assert running(worker)
    eventually(lambda: service.job(job).state == "queued", "the job back in the queue")
    assert not running(worker)
    eventually(lambda: not running(child["pid"]), "the end of the whole process group", 2)
    assert f"job {job}: no progress for 1 s, its worker is killed" in service.log()


@pytest.mark.slow
def test_a_slow_end_of_a_job_is_no_stall(make_service: MakeService) -> None:
    service = make_service("idle")
    service.stop()
    service.configure("[queue]\nstall_seconds = 1")
    service = make_service("join", first=60)
    job = service.add_job()
    eventually(lambda: service.job(job).state == "done", "the end of the slow joining", 30)
    ((begin,), (end,)) = service.noted("joining"), service.noted("joined")
    assert end["time"] - begin["time"] > 1.5  # both the joining and the checking took longer than a stall may
    assert service.job(job).attempts == 1
    assert "no progress" not in service.log()


@pytest.mark.slow
def test_a_frozen_end_of_a_job_is_a_stall(make_service: MakeService) -> None:
    service = make_service("idle")
    service.stop()
    service.configure("[queue]\nstall_seconds = 1")
    service = make_service("join-freeze", first=60)
    job = service.add_job()
    service.wait_for_log(f"job {job}: no progress for 1 s, its worker is killed")
    eventually(lambda: service.job(job).state == "queued", "the job back in the queue")
    assert service.noted("joining")
    assert not service.noted("joined")


def test_workers_die_with_a_killed_service_and_the_next_one_takes_over(make_service: MakeService) -> None:
    service = make_service("work", prefix=STARTED)
    job = service.add_job()
    (claimed,) = eventually(lambda: service.noted("claimed"), "the claim")
    service.process.kill()
    service.process.wait()
    eventually(lambda: not running(claimed["pid"]), "the end of the worker", 5)
    assert service.job(job).state == "running"  # nobody was there to tell

    service = make_service("work")
    eventually(lambda: len(service.noted("claimed")) == 2, "the second claim")
    assert service.job(job).attempts == 2


def test_stopping_interrupts_jobs_that_go_on_later(make_service: MakeService) -> None:
    service = make_service("work")
    job = service.add_job()
    eventually(lambda: service.job(job).frames_done > 2, "frames")
    service.wait_for("STATUS=1 running (clip.mp4 0 %, 5.0 fps), 0 waiting")
    assert service.stop() == 0
    row = service.job(job)
    assert (row.state, row.attempts, row.error) == ("queued", 0, "stopped")
    assert not service.noted("SIGUSR1")


@pytest.mark.slow
def test_stopping_can_let_jobs_finish(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service("idle")
    service.stop()
    service.configure('[service]\nstop_mode = "finish"')
    service = make_service("work", checkpoint=0.3)
    job = service.add_job()
    eventually(lambda: service.job(job).frames_done > 2, "frames")
    service.send(signal.SIGTERM)
    eventually(lambda: service.noted("SIGUSR1"), "the request to finish")
    service.wait_for("EXTEND_TIMEOUT_USEC=")
    service.wait_for("STATUS=stopping: running jobs are finished first")
    eventually(lambda: "stopping: running jobs are finished first" in status(service), "it is told", 5 + WRITE_SECONDS)
    time.sleep(0.6)  # longer than a checkpoint may take
    assert service.process.poll() is None
    (tmp_path / "finish").touch()
    assert service.process.wait(15) == 0
    assert service.job(job).state == "done"


def test_a_second_request_makes_a_patient_stop_impatient(make_service: MakeService) -> None:
    service = make_service("idle")
    service.stop()
    service.configure('[service]\nstop_mode = "finish"')
    service = make_service("work")
    job = service.add_job()
    eventually(lambda: service.job(job).frames_done > 2, "frames")
    service.send(signal.SIGTERM)
    eventually(lambda: service.noted("SIGUSR1"), "the request to finish")
    service.send(signal.SIGTERM)
    assert service.process.wait(15) == 0
    assert service.job(job).state == "queued"


def test_a_worker_that_does_not_stop_in_time_is_killed(make_service: MakeService) -> None:
    service = make_service("hang", checkpoint=0.5)
    job = service.add_job()
    (child,) = eventually(lambda: service.noted("child"), "the hanging worker")
    begin = time.monotonic()
    assert service.stop() == 0
    assert 0.5 <= time.monotonic() - begin < 5
    assert service.job(job).state == "queued"
    eventually(lambda: not running(child["pid"]), "the end of the whole process group", 2)
    assert "did not stop in time" in service.log()


def test_reload_takes_over_a_valid_configuration(make_service: MakeService) -> None:
    service = make_service("idle")
    service.wait_for("READY=1")
    service.configure("[retention]\ndays = 7\n[gpu]\nmax_concurrent = 1")
    service.send(signal.SIGHUP)
    (told,) = eventually(lambda: service.noted("SIGHUP"), "the worker's signal")
    assert told["days"] == 7
    service.wait_for("RELOADING=1")
    moment = int(service.wait_for("MONOTONIC_USEC=").partition("=")[2]) / 1e6
    assert 0 < time.monotonic() - moment < 10
    eventually(lambda: service.said.count("READY=1") == 2, "READY=1 after the reload")
    assert service.said.index("RELOADING=1") < len(service.said) - service.said[::-1].index("READY=1")
    service.wait_for_log("the change in [gpu] takes effect when the service is restarted")
    assert len(service.noted("start")) == 1


def test_reload_refuses_a_wrong_configuration_as_a_whole(make_service: MakeService) -> None:
    service = make_service("idle")
    service.wait_for("READY=1")
    service.configure("[retention]\ndays = -1\n[queue]\nmax_atempts = 3")
    service.send(signal.SIGHUP)
    service.wait_for_log("max_attempts")  # the nearest name for the unknown key
    assert "retention.days = -1" in service.log()
    service.wait_for("STATUS=0 running, 0 waiting, 0 held, 0 failed today; the changed configuration cannot be used")
    assert not service.noted("SIGHUP")

    (worker,) = service.noted("start")
    os.kill(worker["pid"], signal.SIGKILL)  # its successor must not read the wrong file either
    eventually(lambda: len(service.noted("start")) == 2, "another worker")
    service.configure("[retention]\ndays = 9")
    service.send(signal.SIGHUP)
    eventually(lambda: [note["days"] for note in service.noted("SIGHUP")] == [9], "the mended configuration")


def test_the_settings_of_workers_are_written_again_when_they_were_damaged(make_service: MakeService) -> None:
    service = make_service("idle", first=0.2)
    (worker,) = eventually(lambda: service.noted("start"), "a worker")
    (service.state / "worker.toml").write_text("[queue\n")
    os.kill(worker["pid"], signal.SIGKILL)
    (_, again) = eventually(lambda: len(service.noted("start")) == 2 and service.noted("start"), "another worker")
    eventually(
        lambda: service.ask(lambda queue: [row.pid for row in queue.workers.all()]) == [again["pid"]], "it works"
    )
    assert "worker.toml is not as the service wrote it" in service.log()


@pytest.mark.slow
def test_a_share_that_hangs_does_not_freeze_the_service_but_starves_the_watchdog(
    make_service: MakeService,
) -> None:
    service = make_service("idle", watcher="hang", silence=0.6)
    service.wait_for("READY=1")
    service.wait_for("STATUS=0 running, 0 waiting, 0 held, 0 failed today; no inbox could be read for")
    time.sleep(0.5)
    fed = service.said.count("WATCHDOG=1")
    time.sleep(0.5)
    assert service.said.count("WATCHDOG=1") == fed
    assert service.stop() == 0


@pytest.mark.slow
def test_a_watcher_that_only_fails_starves_the_watchdog_however_often_it_begins_anew(make_service: MakeService) -> None:
    service = make_service("idle", watcher="fail", silence=0.6)
    service.wait_for("READY=1")
    service.wait_for("watching the inboxes failed (RuntimeError: nobody knows why); it is tried again")
    service.send(signal.SIGHUP)  # a new watcher is no progress either
    service.wait_for_log("the configuration applies from the next job on")
    time.sleep(0.7)
    fed = service.said.count("WATCHDOG=1")
    time.sleep(0.5)
    assert service.said.count("WATCHDOG=1") == fed
    assert service.log().count("error   watching the inboxes failed") == 1  # not at each attempt
    assert service.stop() == 0


def test_a_configuration_that_only_a_person_can_mend_ends_with_78(make_service: MakeService) -> None:
    service = make_service("idle")
    service.stop()
    service.configure("[gpu]\ndevices = [63]")
    service = make_service("idle", discover=True)
    assert service.process.wait(15) == 78
    assert "gpu.devices names 63" in service.log()


def test_a_state_directory_that_cannot_be_used_is_a_clear_error(make_service: MakeService) -> None:
    service = make_service("idle")
    service.stop()
    (service.root / "file").touch()
    service.configure()
    service.config.write_text(service.config.read_text().replace('/state"', '/file/state"'))
    service = make_service("idle")
    assert service.process.wait(15) == 1
    assert "file/state" in service.log()
    assert "Traceback" not in service.log()


@pytest.mark.slow
def test_a_damaged_queue_is_rebuilt_at_the_start_and_said_until_it_was_seen(make_service: MakeService) -> None:
    service = make_service("idle")
    waiting = service.add_job("waiting.mp4")
    assert service.stop() == 0
    (service.state / "queue.db").write_bytes(os.urandom(8192))
    service = make_service("idle")
    service.wait_for("READY=1")
    service.wait_for("0 failed today; the queue database was damaged on")
    again = eventually(
        lambda: [job.id for job in service.ask(lambda queue: queue.jobs.select())], "the source queued again"
    )
    assert again[0] > waiting
    for command in ("status", "check"):
        assert "the queue database was damaged on" in status(service, command)
    (aside,) = service.state.glob("queue.damaged-*.db")
    aside.unlink()
    assert service.stop() == 0
    service = make_service("idle")
    service.wait_for("STATUS=0 running, 1 waiting, 0 held, 0 failed today")
    assert "damaged" not in service.log()


def status(service: Service, command: str = "status") -> str:
    """What a command says beside the service."""
    return subprocess.run(
        [sys.executable, "-m", "flashvsr", command, "--config", service.config],
        capture_output=True,
        text=True,
        env=python_environment(COLUMNS="1000"),
    ).stdout


@pytest.mark.slow
def test_damage_in_mid_life_ends_the_service_for_its_next_start_to_mend(make_service: MakeService) -> None:
    service = make_service("work")
    job = service.add_job()
    eventually(lambda: service.job(job).frames_done > 2, "frames")
    path = service.state / "queue.db"
    for spoiled in (path, path.with_name("queue.db-wal")):
        with spoiled.open("r+b") as file:
            file.seek(32)  # pages are read from the journal by what its index in memory says
            file.write(os.urandom(spoiled.stat().st_size - 32))
    assert service.process.wait(15) == 1  # for systemd to start it again
    assert "is damaged" in service.log()
    service = make_service("work")
    service.wait_for("READY=1")
    (again,) = eventually(lambda: service.ask(lambda queue: queue.jobs.select()), "the source queued again")
    assert again.source == str(service.inbox / "clip.mp4")


def test_the_service_process_loads_no_video_and_no_model_libraries() -> None:
    program = (
        "import sys, flashvsr.service.supervisor, flashvsr.system.lifeline\n"
        "print(sorted({'torch', 'av', 'numpy', 'einops', 'safetensors'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
