"""How fast this machine has been, and what is reckoned from it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.rates import LEAST_FRAMES, MEMORY_FRAMES, Measured, rate_for

SIZE = (1280, 768)


def row(fps: float, size: tuple[int, int] = SIZE, device: str = "H200", model: str = "v1.1") -> Any:
    return SimpleNamespace(device=device, model=model, width=size[0], height=size[1], frames=100 * fps, seconds=100.0)


def test_what_jobs_were_like_is_added_up(queue: Queue) -> None:
    queue.rates.note("H200", "v1.1", SIZE, 100, 10.0)
    queue.rates.note("H200", "v1.1", SIZE, 300, 10.0)
    queue.rates.note("H200", "v1.1", (640, 384), 100, 1.0)
    assert rate_for(queue.rates.all(), SIZE) == Measured(20.0, SIZE, rough=False)
    assert len(queue.rates.all()) == 2


def test_the_newest_measurement_comes_first(queue: Queue) -> None:
    for device in ("CPU", "H200", "CPU"):
        queue.rates.note(device, "nano", SIZE, 100, 10.0)
    assert [rate.device for rate in queue.rates.all()] == ["CPU", "H200"]


def test_old_measurements_fade(queue: Queue) -> None:
    queue.rates.note("H200", "v1.1", SIZE, 100_000, 100_000.0)
    for _ in range(10):
        queue.rates.note("H200", "v1.1", SIZE, int(MEMORY_FRAMES), MEMORY_FRAMES / 10)
    found = rate_for(queue.rates.all(), SIZE)
    assert found is not None
    assert found.frames_per_second == pytest.approx(10, rel=0.02)


def test_a_few_frames_say_nothing(queue: Queue) -> None:
    queue.rates.note("H200", "v1.1", SIZE, LEAST_FRAMES - 1, 1.0)
    queue.rates.note("H200", "v1.1", SIZE, 1000, 0.0)
    assert queue.rates.all() == []
    assert rate_for([], SIZE) is None


def test_another_size_is_a_guess_by_the_pixels() -> None:
    rates = [row(20), row(5, (2560, 1536))]
    for size, nearest, rate in (((1408, 896), SIZE, 20), ((3840, 2176), (2560, 1536), 5)):
        found = rate_for(rates, size)
        assert found is not None
        assert (found.size, found.rough) == (nearest, True)
        assert found.frames_per_second == pytest.approx(rate * nearest[0] * nearest[1] / (size[0] * size[1]))


def test_a_picture_on_its_side_costs_the_same() -> None:
    assert rate_for([row(20)], SIZE[::-1]) == Measured(20.0, SIZE, rough=False)


def test_another_device_or_model_says_nothing() -> None:
    rates = [row(20), row(1, device="CPU", model="nano")]
    assert rate_for(rates, SIZE, "CPU", "nano") == Measured(1.0, SIZE, rough=False)
    assert rate_for(rates, SIZE, "CPU", "v1.1") is None
    assert rate_for(rates, SIZE, device="CPU") == Measured(1.0, SIZE, rough=False)
    assert rate_for(rates[::-1], SIZE) == Measured(1.0, SIZE, rough=False), "nothing asked: the newest"
