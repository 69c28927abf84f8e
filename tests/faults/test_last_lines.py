"""A worker or service that ends otherwise than a test expects: the message of the test shows why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kits.crashes import Workers, World
from kits.service import Service, eventually, services


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    yield from services(tmp_path)


def test_of_a_worker(workers: Workers, clip: Path, tmp_path: Path) -> None:
    world = World(tmp_path / "world", tmp_path / "notes", clip, extra="max_attempts = 0\n")
    with pytest.raises(AssertionError, match=r"(?s)the worker ended: 1 instead of 0\n.*queue\.max_attempts = 0"):
        workers.run(world)
    never = ("flashvsr.jobs.claims:Claims.claim", 99, False)
    with pytest.raises(AssertionError, match=r"(?s)ended: 1 instead of -9\n.*queue\.max_attempts = 0"):
        workers.run(world, never)


def test_of_the_workers_of_a_service(make_service: Callable[..., Service]) -> None:
    service = make_service("crash")
    service.wait_for_log("ended (exit code 3)")
    with pytest.raises(AssertionError, match=r"(?s)not within 0 s: a wonder\nthe last lines of log-.*exit code 3"):
        eventually(lambda: None, "a wonder", 0)
