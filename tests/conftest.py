from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flashvsr.jobs.queue import Queue


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path / "state")
    yield queue
    queue.close()
