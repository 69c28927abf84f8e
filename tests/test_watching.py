"""The thread that watches: what is removed for its age, and when the clock cannot be trusted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr import watching
from flashvsr.config import Config, Paths
from flashvsr.files.texts import write_replacing
from flashvsr.jobs.queue import Queue
from flashvsr.watching import PRUNE_SECONDS, WatchThread


class Idle:
    """A watcher with nothing to do."""

    last_progress = 0.0

    def step(self, now: float) -> None:
        """Nothing."""


@pytest.fixture
def hours(tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let time pass: `hours(mono, wall)` by each clock."""
    start, passed = time.time(), {"mono": 0.0, "wall": 0.0}
    monkeypatch.setattr(watching.time, "time", lambda: start + passed["wall"])
    paths = Paths(tmp_path / "inbox", tmp_path / "outbox", tmp_path / "state", tmp_path / "models")
    thread = WatchThread(Config(paths=paths), lambda *_: Idle(), lambda: passed["mono"])  # type: ignore[arg-type,return-value]

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
