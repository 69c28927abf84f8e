from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.jobs.owner import Owner
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job

OWNER = Owner("a-host", 4711, "boot-1")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox" / "default"
    inbox.mkdir(parents=True)
    return inbox


@pytest.fixture
def drop(queue: Queue, inbox: Path) -> Callable[..., int | None]:
    """Write a file into the inbox with an mtime that no earlier one had, and add it."""
    clock = itertools.count(1_700_000_000)

    def drop(name: str = "clip.mp4", content: bytes = b"video") -> int | None:
        path = inbox / name
        path.write_bytes(content)
        moment = next(clock)
        os.utime(path, (moment, moment))
        return queue.intake.add(inbox, path, name, path.lstat())

    return drop


@pytest.fixture
def claim(queue: Queue) -> Callable[..., Job]:
    def claim(job_id: int, max_attempts: int = 3) -> Job:
        job = queue.claims.claim(job_id, '{"width": 960}', OWNER, "cpu", max_attempts)
        assert job is not None
        return job

    return claim
