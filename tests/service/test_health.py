"""What the service reads of its queue to know itself, and what it costs while nothing happens."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.jobs.queue import Queue
from flashvsr.service.health import LOOK_SECONDS, Overview


@pytest.fixture
def other(queue: Queue) -> Iterator[Queue]:
    """The queue as another process has it."""
    opened = Queue(queue.path.parent)
    yield opened
    opened.close()


@pytest.fixture
def overview(queue: Queue) -> Overview:
    watch: Any = SimpleNamespace(silent_seconds=lambda: 0.0, problems=dict)
    return Overview(queue, SimpleNamespace(), watch, 120.0)  # type: ignore[arg-type]


def add(queue: Queue, tmp_path: Path, name: str) -> int:
    path = tmp_path / name
    path.write_bytes(b"video")
    number = queue.intake.add(tmp_path, path, name, path.lstat())
    assert number is not None
    return number


def fail(queue: Queue, number: int, days_ago: float = 0.0) -> None:
    with queue.store.writing():
        queue.jobs.end(number, "failed", error="no video")
        queue.jobs.change(number, finished=time.time() - days_ago * 86_400)


def test_changes_of_any_process_are_seen(overview: Overview, queue: Queue, other: Queue, tmp_path: Path) -> None:
    overview.refresh()
    assert overview.status() == "0 running, 0 waiting, 0 held, 0 failed today"
    first, second = add(other, tmp_path, "a.mp4"), add(queue, tmp_path, "b.mp4")
    overview.refresh()
    assert overview.status() == "0 running, 2 waiting, 0 held, 0 failed today"
    fail(other, first)
    fail(queue, second, days_ago=2)
    overview.refresh()
    assert overview.status() == "0 running, 0 waiting, 0 held, 1 failed today"


def test_nothing_is_read_again_before_something_changes(
    overview: Overview, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(50):
        fail(queue, add(queue, tmp_path, f"{index}.mp4"))
    overview.refresh()
    statements: list[str] = []
    queue.store.database.connection().set_trace_callback(statements.append)
    for _ in range(100):
        overview.refresh()
    assert set(statements) == {"PRAGMA data_version"}
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + LOOK_SECONDS)
    overview.refresh()  # damage changes nothing that could be noticed
    assert any("SELECT" in statement for statement in statements)
    queue.store.database.connection().set_trace_callback(None)


def test_failed_jobs_are_counted_where_they_lie(overview: Overview, queue: Queue, tmp_path: Path) -> None:
    """Rows hold whole reports: with thousands of them the service took a third of its memory for a number."""
    fail(queue, add(queue, tmp_path, "a.mp4"))
    statements: list[str] = []
    queue.store.database.connection().set_trace_callback(statements.append)
    overview.refresh()
    queue.store.database.connection().set_trace_callback(None)
    about_failed = [statement for statement in statements if "failed" in statement]
    assert about_failed
    assert all("COUNT" in statement for statement in about_failed)


def test_an_error_that_nobody_expected_is_said_once_and_not_the_end(
    overview: Overview, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with overview.queue_guard():
            raise ValueError("a row holds no JSON")
    assert not overview.healthy()
    assert "the queue does not answer: a row holds no JSON" in overview.status()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert caplog.records[0].exc_info
    with overview.queue_guard():
        pass
    assert overview.healthy()
