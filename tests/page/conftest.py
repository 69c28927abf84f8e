from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.jobs.queue import Queue


@pytest.fixture
def add(queue: Queue, tmp_path: Path) -> Callable[..., int]:
    """Put a file into an inbox and queue it."""

    def add(name: str, inbox: Path | None = None) -> int:
        folder = inbox or tmp_path / "inbox" / "films"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode("utf-8", "surrogateescape"))
        number = queue.intake.add(folder, folder / name, name, (folder / name).lstat())
        assert number is not None
        return number

    return add
