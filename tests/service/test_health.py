"""Whether the service is well: what ends its signs of life, and what does not."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.errors import Damaged, NoSpace, Transient
from flashvsr.jobs.queue import Queue
from flashvsr.service.health import Health
from flashvsr.status.line import status_line

SILENCE = 120.0  # seconds


class Watch:
    """What the watcher knows, as a test wants it."""

    def __init__(self) -> None:
        self.silent = 0.0

    def silent_seconds(self) -> float:
        return self.silent

    def problems(self) -> dict[Path, str]:
        return {}

    def inboxes(self) -> dict[Path, str]:
        return {}


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def health(queue: Queue, watch: Watch, tmp_path: Path) -> Health:
    pool: Any = SimpleNamespace(pids=lambda: {"gpu0": 7})
    return Health(queue, pool, watch, SILENCE, tmp_path / "inbox")  # type: ignore[arg-type]


def test_a_watcher_that_hangs_is_said_before_it_ends_the_signs_of_life(health: Health, watch: Watch) -> None:
    watch.silent = SILENCE / 2 - 1
    assert "share" not in status_line(health.snapshot())
    watch.silent = SILENCE / 2
    assert "no inbox could be read for 60 s: does a share hang?" in status_line(health.snapshot())
    assert health.healthy()
    watch.silent = SILENCE
    assert not health.healthy()


@pytest.mark.parametrize(
    ("slot", "pid", "state", "up"),
    [("gpu0", 7, "idle", True), ("gpu0", 7, "busy", True), ("gpu0", 7, "starting", False), ("gpu0", 8, "idle", False),
     ("gpu1", 7, "idle", False)],
)  # fmt: skip
def test_only_a_worker_of_our_own_that_can_work_is_up(
    health: Health, queue: Queue, slot: str, pid: int, state: str, up: bool
) -> None:
    health.refresh()
    assert not health.worker_is_up()
    queue.workers.set(slot, pid, "a GPU", state)
    health.refresh()
    assert health.worker_is_up() is up


def test_a_full_disk_is_said_but_does_not_starve_the_watchdog(health: Health, caplog: pytest.LogCaptureFixture) -> None:
    """A restart makes no room, and would cost the running jobs an attempt."""
    for _ in range(2):
        with health.queue_guard():
            raise NoSpace("the disk is full; make room")
    assert health.healthy()
    assert "the disk is full; make room" in status_line(health.snapshot())
    assert caplog.messages == ["the disk is full; make room"]
    with health.queue_guard():
        raise Transient("locked")
    assert not health.healthy()
    with health.queue_guard():
        pass
    assert health.healthy()
    assert "full" not in status_line(health.snapshot())
    with pytest.raises(Damaged), health.queue_guard():
        raise Damaged("malformed")


def test_an_error_that_nobody_expected_is_said_once_and_not_the_end(
    health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with health.queue_guard():
            raise ValueError("a row holds no JSON")
    assert not health.healthy()
    assert "the queue does not answer: a row holds no JSON" in status_line(health.snapshot())
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert caplog.records[0].exc_info
    with health.queue_guard():
        pass
    assert health.healthy()
