"""The running service while its workers, its share and it itself are ill-treated."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kits.service import Service, eventually, running, services

MakeService = Callable[..., Service]
NOBODY = 65534


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    yield from services(tmp_path)


def states(service: Service) -> dict[str, str]:
    return {job.relative: job.state for job in service.ask(lambda queue: queue.jobs.select())}


def configured(make_service: MakeService, extra: str) -> None:
    """Write the settings for the services that follow."""
    service = make_service("idle")
    service.stop()
    service.configure(extra)


def test_kill_9_at_random_moments(make_service: MakeService) -> None:
    """Worker, service or both, while files come in: each ends with exactly one result and its source archived."""
    rng = random.Random(1)
    configured(make_service, "[queue]\nmax_attempts = 99")
    service = make_service("copy", first=0.05, rest=0.1)
    contents = {}
    for number in range(40):
        name = f"{number}.mp4"
        contents[name] = f"video {number} {rng.random()}".encode()
        (service.inbox / f".{name}").write_bytes(contents[name])
        (service.inbox / f".{name}").rename(service.inbox / name)
        time.sleep(rng.uniform(0, 0.6))
        if number % 2:
            continue
        victim = rng.choice(("worker", "service", "both"))
        if victim != "service":
            for worker in service.ask(lambda queue: queue.workers.all()):
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL) if worker.pid else None
        if victim != "worker":
            service.process.kill()
            service.process.wait()
            service = make_service("copy", first=0.05, rest=0.1)

    def settled() -> bool:
        jobs = service.ask(lambda queue: queue.jobs.select())
        return len(jobs) == len(contents) and all(job.state == "done" and job.settled for job in jobs)

    eventually(settled, "all done", 60)
    eventually(lambda: not list((service.state / "jobs").iterdir()), "all tidied", 30)
    assert service.stop() == 0
    for folder in (service.root / "outbox" / "clips", service.state / "archive" / "clips"):
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents
    assert [path.name for path in service.inbox.iterdir()] == ["preset.toml"]


def test_a_frozen_worker_is_killed(make_service: MakeService) -> None:
    configured(make_service, "[queue]\nstall_seconds = 1")
    service = make_service("work")
    job = service.add_job()
    (claimed,) = eventually(lambda: service.noted("claimed"), "the claim")
    os.kill(claimed["pid"], signal.SIGSTOP)
    again = eventually(lambda: service.noted("claimed")[1:], "the second claim")
    assert again[0]["job"] == job
    assert not running(claimed["pid"])
    assert f"job {job}: no progress for 1 s, its worker is killed" in service.log()


def test_a_file_that_kills_its_workers_fails_and_others_go_on(make_service: MakeService) -> None:
    service = make_service("copy")
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (service.inbox / name).write_bytes(b"deadly" if name == "b.mp4" else b"video")
    eventually(lambda: states(service) == {"a.mp4": "done", "b.mp4": "failed", "c.mp4": "done"}, "all over", 30)
    (job,) = (job for job in service.ask(lambda queue: queue.jobs.select()) if job.relative == "b.mp4")
    assert job.attempts == 3
    assert job.error == "gave up after 3 attempts: worker ended unexpectedly"
    outbox = service.root / "outbox" / "clips"
    text = eventually(lambda: (outbox / "b.mp4.error.txt").exists() and (outbox / "b.mp4.error.txt").read_text(), "why")
    assert job.error in text
    assert {path.name for path in outbox.iterdir()} == {"a.mp4", "c.mp4", "b.mp4.error.txt"}
    assert (service.inbox / "b.mp4").read_bytes() == b"deadly"


def test_a_broken_gpu_rests_and_the_other_works_on(make_service: MakeService) -> None:
    service = make_service("copy", first=0.05, slots=["broken", "sound"])
    service.wait_for_log("broken rests until")
    (service.inbox / "a.mp4").write_bytes(b"video")
    eventually(lambda: states(service) == {"a.mp4": "done"}, "done by the other GPU")
    assert service.ask(lambda queue: queue.jobs.select())[0].slot == "sound"
    service.wait_for("broken rests until")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make directories of another user")
def test_permissions_are_asked_for_and_waited_for(make_service: MakeService, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    os.chown(outbox, NOBODY, NOBODY)
    # Root without its powers is a user like any other.
    service = make_service("copy", prefix=("setpriv", "--bounding-set=-all", "--inh-caps=-all"))
    service.wait_for("READY=1")
    service.wait_for(f"cannot write to {outbox}: Permission denied")  # before there is a job
    source = service.inbox / "a.mp4"
    source.write_bytes(b"video")

    def why() -> str:
        return next((job.error or "" for job in service.ask(lambda queue: queue.jobs.select())), "")

    eventually(lambda: "let the user that runs flashvsr write there" in why(), f"the reason, {service.log()}")
    job = service.ask(lambda queue: queue.jobs.select())[0]
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "transient")
    assert source.exists()
    os.chown(outbox, 0, 0)
    eventually(lambda: states(service) == {"a.mp4": "done"}, "done", 30)
    assert (outbox / "clips" / "a.mp4").read_bytes() == b"video"

    locked = service.inbox / ".b.mp4"
    locked.write_bytes(b"locked")
    locked.chmod(0)
    os.chown(locked, NOBODY, NOBODY)
    locked.rename(service.inbox / "b.mp4")
    eventually(lambda: "Permission denied" in why(), f"the reason, {service.log()}")
    job = service.ask(lambda queue: queue.jobs.select())[0]
    assert (job.relative, job.state, job.attempts, job.error_kind) == ("b.mp4", "queued", 0, "transient")
    (service.inbox / "b.mp4").chmod(0o444)
    eventually(lambda: states(service)["b.mp4"] == "done", "done", 30)
    assert (outbox / "clips" / "b.mp4").read_bytes() == b"locked"
    assert service.stop() == 0


@pytest.mark.parametrize(
    ("old", "new", "result", "noticed"),
    [
        ("clips/new", "clips/film", "clips/film/a.mp4", False),
        ("clips/new/a.mp4", "clips/new/b.mp4", "clips/new/b.mp4", True),
        ("clips", "films", "films/new/a.mp4", True),
    ],
    ids=["directory", "file noticed by the watcher", "inbox noticed by the watcher"],
)
def test_a_rename_while_the_job_runs_and_others_wait(
    make_service: MakeService, old: str, new: str, result: str, noticed: bool
) -> None:
    """The worker finds the new name if it is the first who needs it; else the watcher tells. Nothing is done twice."""
    service = make_service("copy")
    root = service.inbox.parent
    folder = service.inbox / "new"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"slow video")
    eventually(
        lambda: [job for job in service.ask(lambda queue: queue.jobs.select()) if job.state == "running"],
        "a running job",
    )
    (folder / "z.mp4").write_bytes(b"another")
    eventually(lambda: len(states(service)) == 2, "a waiting job")
    (root / old).rename(root / new)
    moved = "new/b.mp4" if new.endswith(".mp4") else "film/a.mp4" if old == "clips/new" else "new/a.mp4"
    if noticed:
        source = root / new if new.endswith(".mp4") else root / result
        eventually(
            lambda: str(source) in {job.source for job in service.ask(lambda queue: queue.jobs.select())},
            "the new name",
        )
    (service.root / "go").touch()
    eventually(lambda: set(states(service).values()) == {"done"}, f"done, {service.log()}")
    assert moved in states(service)
    outbox = service.root / "outbox"
    assert (outbox / result).read_bytes() == b"slow video"
    service.wait_for("0 waiting")
    time.sleep(0.6)  # three scans
    jobs = service.ask(lambda queue: queue.jobs.select())
    assert [job.attempts for job in jobs] == [1, 1]
    assert all(job.archived for job in jobs)
    assert len([path for path in outbox.rglob("*") if path.is_file()]) == 2
    assert service.stop() == 0
