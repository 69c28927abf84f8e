"""The thread that watches: what is removed for its age, and when the clock cannot be trusted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from flashvsr.files.texts import write_replacing
from flashvsr.jobs.queue import Queue
from flashvsr.service import watch_thread as watching
from flashvsr.service.watch_thread import PRUNE_SECONDS, WatchThread
from flashvsr.settings.config import Config
from flashvsr.settings.service_tables import Paths
from kits.service import eventually


class Idle:
    """A watcher with nothing to do."""

    last_progress = 0.0
    problems: ClassVar[dict[Path, str]] = {}

    def step(self, now: float) -> None:
        """Nothing."""


@pytest.fixture
def hours(tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let time pass: `hours(mono, wall)` by each clock."""
    start, passed = time.time(), {"mono": 0.0, "wall": 0.0}
    monkeypatch.setattr(time, "time", lambda: start + passed["wall"])
    paths = Paths(tmp_path / "inbox", tmp_path / "outbox", tmp_path / "state", tmp_path / "models")
    thread = WatchThread(Config(paths=paths), lambda *_: Idle(), lambda: passed["mono"])  # type: ignore[arg-type]

    def hours(mono: float, wall: float) -> None:
        passed["mono"] += mono * PRUNE_SECONDS
        passed["wall"] += wall * PRUNE_SECONDS
        thread._step(Idle(), queue)  # type: ignore[arg-type]

    return hours


@pytest.fixture
def archived(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "archive" / "clips" / "a.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"video")
    return path


class Failing(Idle):
    """A watcher that gets nowhere until it is told to."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.reason: Exception | None = ValueError("a row is broken")
        self.steps = 0
        self.waiting = False

    def step(self, now: float) -> None:
        """Fail, or do something."""
        self.steps += 1
        if self.reason is not None:
            raise self.reason
        if not self.waiting:
            self.last_progress = self.clock()

    def stop(self) -> None:
        """Nothing."""


def test_a_step_that_fails_is_told_and_no_progress_and_tried_again_by_the_same_watcher(
    tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watching, "RETRY_SECONDS", 0.0)
    now = 100.0
    config = Config(paths=Paths(tmp_path, tmp_path, tmp_path / "state", tmp_path))
    watcher = Failing(lambda: now)
    thread = WatchThread(config, lambda *_: watcher, lambda: now)  # type: ignore[arg-type]
    for _ in range(10):
        now += 60.0
        thread._step(watcher, queue)  # type: ignore[arg-type]
    assert thread.silent_seconds() == 600.0
    assert "ValueError: a row is broken" in thread.problems()[tmp_path / "state"]
    assert len(caplog.records) == 1
    watcher.reason, broken = None, watcher.reason
    watcher.waiting = True  # for its next attempt: no step of it fails then, and none gets anywhere
    thread._step(watcher, queue)  # type: ignore[arg-type]
    assert thread.problems()
    watcher.reason = broken
    thread._step(watcher, queue)  # type: ignore[arg-type]
    assert len(caplog.records) == 1
    watcher.waiting = False
    watcher.reason = KeyError("another")
    thread._step(watcher, queue)  # type: ignore[arg-type]
    assert len(caplog.records) == 2  # it changed
    watcher.reason = None
    thread._step(watcher, queue)  # type: ignore[arg-type]
    thread._watcher = watcher  # type: ignore[assignment]
    assert thread.silent_seconds() == 0.0
    assert thread.problems() == {}


def test_beginning_anew_is_no_progress_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(watching, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(watching, "STEP_SECONDS", 0.01)
    now, attempts = 100.0, 0
    watchers: list[Failing] = []

    def make(*_: object) -> Failing:
        nonlocal attempts
        attempts += 1
        if attempts < 5:
            raise OSError(5, "Input/output error")
        watchers.append(Failing(lambda: now))
        return watchers[-1]

    config = Config(paths=Paths(tmp_path, tmp_path, tmp_path / "state", tmp_path))
    thread = WatchThread(config, make, lambda: now)  # type: ignore[arg-type]
    request.addfinalizer(thread.end)
    thread.start()
    now = 400.0
    eventually(lambda: watchers and watchers[0].steps, "a watcher")
    assert attempts == 5
    assert thread.silent_seconds() == 300.0
    watchers[0].reason = None
    eventually(lambda: thread.silent_seconds() == 0.0, "progress")
    now = 450.0
    watchers[0].reason = ValueError("again")
    thread.reload(config)
    eventually(lambda: len(watchers) == 2 and watchers[1].steps, "another watcher")
    assert 0.0 <= thread.silent_seconds() <= 50.0
    now = 600.0
    assert thread.silent_seconds() >= 150.0
    thread.end()
    thread.join(5)


def test_what_is_removed_may_fail_without_ending_the_watching(
    hours: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(watching, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(watching, "prune", fail)
    for _ in range(3):
        hours(1.1, 1.1)
    assert len(caplog.messages) == 1
    assert "removing what is old failed (RecursionError: too deep)" in caplog.text


def test_a_clock_that_jumps_ahead_removes_nothing(hours: Callable[..., None], archived: Path) -> None:
    hours(0.5, 0.5)
    hours(0.6, 24 * 365)  # set wrong by a year
    assert archived.exists()
    hours(1.1, 1.1 - 24 * 365)  # and right again
    assert archived.exists()
    hours(1.1, 1.1)
    assert archived.exists()


def test_old_things_go_when_time_really_passes(hours: Callable[..., None], archived: Path, tmp_path: Path) -> None:
    for _ in range(29):
        hours(24, 24)
    assert archived.exists()
    for _ in range(2):
        hours(24, 24)
    assert not archived.exists()
    assert not os.path.lexists(tmp_path / "state" / "archive" / "clips" / "a.mp4")


def test_half_written_files_of_crashed_processes_go_after_a_day(hours: Callable[..., None], tmp_path: Path) -> None:
    inbox, outbox = tmp_path / "inbox" / "clips", tmp_path / "outbox" / "of an inbox that went"
    places = (inbox, outbox, tmp_path / "state" / "records", tmp_path / "state")
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        write_replacing(place / "kept", "whole")
        (place / ".flashvsr-4711-0a1b2c3d.tmp").touch()
    (outbox / ".flashvsr-77-0a1b2c3d.mp4.part").touch()
    hours(23, 23)
    assert len(list(tmp_path.rglob(".flashvsr-*"))) == 5
    hours(2, 2)
    assert not list(tmp_path.rglob(".flashvsr-*"))
    assert all((place / "kept").exists() for place in places)
