"""The parts of the pool that need no process: patience, and what a worker sees."""

from __future__ import annotations

import pytest

from flashvsr.service.pool import Patience, worker_environment
from flashvsr.system.devices import Slot


def test_pauses_double_up_to_a_minute_then_the_slot_rests() -> None:
    patience = Patience(failures_before_rest=9)
    assert [patience.delay(count) for count in range(1, 11)] == [1, 2, 4, 8, 16, 32, 60, 60, 600, 600]


def test_a_worker_sees_its_own_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    environment = worker_environment(Slot("gpu1", "GPU-1234", "NVIDIA H100", 80 << 30))
    assert environment["CUDA_VISIBLE_DEVICES"] == "GPU-1234"
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "NOTIFY_SOCKET" not in environment
