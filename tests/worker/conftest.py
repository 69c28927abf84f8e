"""The bench that the tests of the worker work on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from flashvsr.worker import loop
from kits.played import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.queue.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time of a worker's loop: `ticks`, and how long it `slept`."""
    clock = SimpleNamespace(ticks=1000.0, slept=[])
    times = SimpleNamespace(time=time.time, monotonic=lambda: clock.ticks, sleep=lambda s: clock.slept.append(s))
    monkeypatch.setattr(loop, "time", times)
    return clock
