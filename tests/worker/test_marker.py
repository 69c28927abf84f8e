"""The marker of a job's end: who may put it in order, and how often it was tried."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from flashvsr.worker.marker import Marker


def test_one_at_a_time(tmp_path: Path) -> None:
    marker = Marker(tmp_path / "1.ending")
    with marker.alone() as first, Marker(tmp_path / "1.ending").alone() as second:
        assert (first, second) == (True, False)
    with marker.alone() as again:
        assert again


def test_a_marker_removed_between_its_opening_and_its_lock_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one would make a file of its own, and both would be at the same job."""
    marker = Marker(tmp_path / "1.ending")
    lock = fcntl.flock

    def late(file: int, how: int) -> None:
        marker.remove()  # by the worker that had it until now
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with marker.alone() as alone:
        assert not alone
