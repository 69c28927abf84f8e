"""The file of metrics: renewed, whole at any time, and its failure is a problem and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flashvsr.jobs.queue import Queue
from flashvsr.service import metrics_thread
from flashvsr.service.metrics_thread import MetricsThread
from flashvsr.system.devices import CPU, Reading
from kits.service import eventually

parser = pytest.importorskip("prometheus_client.parser")


@pytest.fixture
def make(tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MetricsThread]]:
    monkeypatch.setattr(metrics_thread, "STEP_SECONDS", 0.02)
    monkeypatch.setattr(metrics_thread, "LEAST_SECONDS", 0.05)
    made: list[MetricsThread] = []

    def make(path: Path | None, **options: Any) -> MetricsThread:
        made.append(MetricsThread(path, tmp_path / "state", [CPU], **options))
        made[-1].start()
        return made[-1]

    yield make
    for thread in made:
        thread.end()
        thread._thread.join(10)


def value(path: Path, name: str) -> float | None:
    if not path.exists():
        return None
    families = parser.text_string_to_metric_families(path.read_text())
    return next((sample.value for family in families for sample in family.samples if sample.name == name), None)


def test_it_is_renewed_when_something_changes(make: Callable[..., MetricsThread], tmp_path: Path, queue: Queue) -> None:
    path = tmp_path / "flashvsr.prom"
    thread = make(path)
    eventually(lambda: value(path, "flashvsr_problems") == 0, "the file")
    assert path.stat().st_mode & 0o777 == 0o644  # another account reads it
    thread.observe(2)
    eventually(lambda: value(path, "flashvsr_problems") == 2, "the problems")
    assert [entry.name for entry in tmp_path.iterdir()].count("flashvsr.prom") == 1
    assert not list(tmp_path.glob(".*"))


def test_it_is_renewed_although_nothing_changes(
    make: Callable[..., MetricsThread], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_thread, "WRITE_SECONDS", 0.2)
    path = tmp_path / "flashvsr.prom"
    make(path)
    first = eventually(lambda: path.exists() and path.stat(), "the file")
    eventually(lambda: path.stat().st_mtime_ns > first.st_mtime_ns, "another one")
    assert path.stat().st_ino != first.st_ino  # a new file in place of the old one


def test_what_reads_it_sees_it_whole(make: Callable[..., MetricsThread], tmp_path: Path) -> None:
    path = tmp_path / "flashvsr.prom"
    thread = make(path)
    eventually(path.exists, "the file")
    end = time.monotonic() + 1
    number = 0
    while time.monotonic() < end:
        thread.observe(number := number + 1)
        assert "flashvsr_oldest_waiting_age_seconds" in path.read_text()


def test_a_file_that_cannot_be_written_is_a_problem(make: Callable[..., MetricsThread], tmp_path: Path) -> None:
    path = tmp_path / "none" / "flashvsr.prom"
    thread = make(path)
    text = eventually(thread.problem, "the problem")
    assert str(path) in text
    path.parent.mkdir()
    thread.observe(1)
    eventually(lambda: not thread.problem(), "no problem")
    assert value(path, "flashvsr_problems") == 1


def test_the_path_may_change(make: Callable[..., MetricsThread], tmp_path: Path) -> None:
    thread = make(None)
    path = tmp_path / "other.prom"
    thread.reload(path)
    eventually(path.exists, "the file")


def test_a_driver_that_hangs_holds_up_nobody(make: Callable[..., MetricsThread], tmp_path: Path) -> None:
    asked = threading.Event()
    go_on = threading.Event()

    def hang(_: object) -> list[Reading]:
        asked.set()
        go_on.wait()
        return []

    thread = make(tmp_path / "flashvsr.prom", read_gpus=hang)
    assert asked.wait(10)
    begun = time.monotonic()
    thread.observe(1)
    thread.end()
    assert time.monotonic() - begun < 0.5
    go_on.set()
