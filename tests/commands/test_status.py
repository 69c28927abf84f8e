"""What systemd's line counts is shown by everything that shows the status."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.errors import NoSpace, Transient
from flashvsr.files.state import StateDirectory, state_lock
from flashvsr.jobs.queue import Queue
from flashvsr.service.health import Health
from flashvsr.status.line import NAMED_PROBLEMS, status_line
from flashvsr.status.service_file import ServiceFile
from kits.commands import called

SETTINGS = """
[paths]
inbox = "inbox"
outbox = "outbox"
state = "state"
models = "models"
[gpu]
devices = "cpu"
"""


class World:
    """What a service knows, and its state directory; no process of its own. `texts`: its problems, one part of each."""

    def __init__(self, root: Path, queue: Queue) -> None:
        self.root = root
        self.queue = queue
        self.settings = root / "flashvsr.toml"
        self.settings.write_text(SETTINGS)
        for name in ("a", "b"):
            (root / "inbox" / name).mkdir(parents=True)
        self.silent = 0.0
        self.wrong: dict[Path, str] = {}
        self.presets: dict[Path, str] = {}
        watch: Any = SimpleNamespace(
            silent_seconds=lambda: self.silent, problems=lambda: self.wrong, inboxes=lambda: self.presets
        )
        pool: Any = SimpleNamespace(pids=dict)
        self.health = Health(queue, pool, watch, 120.0, root / "inbox")
        self.texts: list[str] = []

    def add(self, name: str) -> int:
        path = self.root / "inbox" / "a" / name
        path.write_bytes(name.encode())
        number = self.queue.intake.add(path.parent, path, name, path.lstat())
        assert number is not None
        return number

    def line(self) -> str:
        """What systemd shows now; commands can know it from then on."""
        self.health.refresh()
        snapshot = self.health.snapshot()
        ServiceFile(self.queue.path.parent).keep(snapshot)
        return status_line(snapshot)


def settings(world: World) -> None:
    world.health.config_problem = "the changed configuration cannot be used, see the log"
    world.texts.append(world.health.config_problem)


def disk(world: World) -> None:
    with world.health.queue_guard():
        raise NoSpace("the disk is full; make room")
    world.texts.append("the disk is full; make room")


def queue(world: World) -> None:
    with world.health.queue_guard():
        raise Transient("its file is locked")
    StateDirectory(world.queue.path.parent).aside("20260101-000000").touch()
    world.texts += ["the queue does not answer: its file is locked", "the queue database was damaged on 2026-01-01"]


def inboxes(world: World) -> None:
    world.silent = 61.0
    world.wrong = {
        world.root / "inbox" / "a": "not videos by name and left alone: a.txt",
        world.root / "inbox" / "b": "preset.toml:1: no such key",
        world.root / "outbox": "it is mounted read-only",
    }
    world.presets = {world.root / "inbox" / "a": "", world.root / "inbox" / "b": "preset.toml:1: no such key"}
    world.texts += ["no inbox could be read for 61 s", *world.wrong.values()]


def job(world: World) -> None:
    for name in ("first.mp4", "second.mp4"):
        number = world.add(name)
        with world.queue.store.writing():
            world.queue.jobs.end(number, "done")
        world.queue.history.source_stays(number, f"{name} cannot be taken away")
    world.texts.append("second.mp4 cannot be taken away (and 1 more like it)")


def worker(world: World) -> None:
    world.queue.workers.set("gpu0", 7, "a GPU", "starting", error="the worker ended (killed by SIGSEGV)")
    world.texts.append("the worker ended (killed by SIGSEGV)")


KINDS: tuple[Callable[[World], None], ...] = (settings, disk, queue, inboxes, job, worker)


@pytest.fixture
def world(tmp_path: Path, queue: Queue) -> Iterator[World]:
    with state_lock(queue.path.parent):  # for commands, this process is the service
        yield World(tmp_path, queue)


def told(world: World, capsys: pytest.CaptureFixture[str], command: str) -> str:
    done = called(capsys, *command.split(), "--config", world.settings)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_of_problem_is_shown_everywhere(
    kind: Callable[[World], None], world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashvsr.commands.check._encoders", lambda: iter(()))  # seconds, and about something else
    kind(world)
    line = world.line()
    problems = json.loads(told(world, capsys, "status --json"))["problems"]
    assert len(problems) == len(world.texts)
    assert ("more: flashvsr status" in line) == (len(world.texts) > NAMED_PROBLEMS)
    status, check = told(world, capsys, "status").splitlines(), told(world, capsys, "check").splitlines()
    for text in world.texts:
        assert any(text in problem["text"] for problem in problems)
        assert any(text in line for line in status if line.startswith("problem since "))
        assert any(text in line for line in check if line.startswith("TODO  service, "))


def test_all_kinds_at_once_are_counted_by_the_line_and_shown_by_the_others(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in KINDS:
        kind(world)
    assert world.line().endswith(f"; and {len(world.texts) - NAMED_PROBLEMS} more: flashvsr status")
    facts, status = json.loads(told(world, capsys, "status --json")), told(world, capsys, "status")
    check = told(world, capsys, "check")
    assert len(facts["problems"]) == len(world.texts)
    for shown in (status, check):
        assert [text for text in world.texts if text not in shown] == []
    assert [inbox["preset"] for inbox in facts["inboxes"]] == ["ok", "preset.toml:1: no such key"]


def test_jobs_are_counted_alike(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.mp4", "b.mp4"):
        world.add(name)
    number = world.add("c.mp4")
    with world.queue.store.writing():
        world.queue.jobs.end(number, "failed", error="no video")
    assert world.line() == "0 running, 2 waiting, 0 held, 1 failed today"
    assert "jobs: 2 waiting, 1 failed (1 today)\n" in told(world, capsys, "status")
    facts = json.loads(told(world, capsys, "status --json"))
    assert (facts["counts"]["queued"], facts["failed_today"]) == (2, 1)
    assert [job["state"] for job in facts["jobs"]] == ["queued", "queued", "failed"]
    assert "jobs: 2 waiting, 1 failed (1 today); service running, process" in told(world, capsys, "check")


def test_without_a_service_what_can_be_told_is_told_by_all(
    tmp_path: Path, queue: Queue, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, queue)
    job(world)
    worker(world)
    StateDirectory(queue.path.parent).aside("20260101-000000").touch()
    (tmp_path / "inbox" / "a" / "preset.toml").write_text("widht = 1\n")
    world.texts += ["the queue database was damaged on 2026-01-01", "widht"]
    problems = json.loads(told(world, capsys, "status --json"))["problems"]
    assert len(problems) == len(world.texts)
    check = told(world, capsys, "check")
    for shown in (told(world, capsys, "status"), check):
        assert [text for text in world.texts if text not in shown] == []
    assert check.count("widht") == 1, "once, as what is wrong with the preset"
