"""The parts of the service that need no process: patience, the way a stop goes, the status line."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.errors import Damaged, NoSpace, Transient
from flashvsr.service.health import Overview
from flashvsr.service.pool import Patience, worker_environment
from flashvsr.service.stopping import Stop
from flashvsr.status.line import summarize
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


def test_each_request_to_stop_is_less_patient() -> None:
    stop = Stop(checkpoint_seconds=90, killed_seconds=10)
    assert not stop.requested
    assert stop.request("finish", 0) == "finish"
    assert not stop.must_kill(1e9)
    assert stop.request("finish", 100) == "checkpoint"
    assert not stop.must_kill(189)
    assert stop.must_kill(190)
    assert not stop.must_kill(191)  # once
    assert not stop.gives_up(199)
    assert stop.gives_up(200)
    assert stop.request("finish", 300) == "kill"


def test_a_third_request_kills_at_once() -> None:
    stop = Stop(checkpoint_seconds=90, killed_seconds=10)
    stop.request("checkpoint", 0)
    stop.request("checkpoint", 1)
    assert stop.must_kill(1)
    assert stop.gives_up(math.inf)


def job(name: str, done: int = 0, total: int | None = None, fps: float | None = None) -> Any:
    return SimpleNamespace(relative=name, frames_done=done, frames_total=total, fps=fps)


def test_the_status_line_says_what_goes_on() -> None:
    running = [job("trip/clip.mp4", 41, 100, 3.24), job("b.mp4", 7), job("c.mp4")]
    assert summarize(running[:1], {"queued": 5, "held": 1, "done": 9}, 0) == (
        "1 running (clip.mp4 41 %, 3.2 fps), 5 waiting, 1 held, 0 failed today"
    )
    assert summarize(running, {}, 2, ["/mnt/nas: not mounted"]) == (
        "3 running (clip.mp4 41 %, 3.2 fps; b.mp4 frame 7; and 1 more), 0 waiting, 0 held, 2 failed today; "
        "/mnt/nas: not mounted"
    )


def test_a_name_cannot_garble_the_status_line() -> None:
    line = summarize([job("a\nREADY=1\x1b[31m\udcff.mp4")], {}, 0)
    assert line.startswith("1 running (a\\nREADY=1\\x1b[31m\\xff.mp4), ")
    assert len(summarize([job("x" * 255 + ".mp4")], {}, 0)) < 150


def test_a_full_disk_is_said_but_does_not_starve_the_watchdog(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A restart makes no room, and would cost the running jobs an attempt."""
    watch: Any = SimpleNamespace(silent_seconds=lambda: 0.0, problems=dict)
    queue: Any = SimpleNamespace(path=tmp_path / "queue.db")
    overview = Overview(queue, SimpleNamespace(), watch, 120.0)  # type: ignore[arg-type]
    for _ in range(2):
        with overview.queue_guard():
            raise NoSpace("the disk is full; make room")
    assert overview.healthy()
    assert "the disk is full; make room" in overview.status()
    assert caplog.messages == ["the disk is full; make room"]
    with overview.queue_guard():
        raise Transient("locked")
    assert not overview.healthy()
    with overview.queue_guard():
        pass
    assert overview.healthy()
    assert "full" not in overview.status()
    with pytest.raises(Damaged), overview.queue_guard():
        raise Damaged("malformed")
