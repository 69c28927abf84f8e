"""The bench that the tests of the worker work on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kits.played import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.queue.close()
