"""What is kept of the looks at jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.jobs.forecasts import forecast_of
from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.queue import Queue


@pytest.fixture
def add(queue: Queue, tmp_path: Path) -> Callable[[str], int]:
    def added(name: str) -> int:
        path = tmp_path / name
        path.write_bytes(b"video")
        number = queue.intake.add(tmp_path, path, name, path.lstat())
        assert number is not None
        return number

    return added


def forecast(queue: Queue, number: int) -> dict[str, object]:
    job = queue.jobs.get(number)
    assert job is not None
    return forecast_of(job)


def test_those_that_wait_come_in_the_order_in_which_they_are_done(queue: Queue, add: Callable[[str], int]) -> None:
    numbers = [add(f"{name}.mp4") for name in "abc"]
    with queue.store.writing():
        queue.jobs.change(numbers[2], priority=1)
    assert [job.id for job in queue.forecasts.waiting(None)] == [numbers[2], numbers[0], numbers[1]]
    assert [job.id for job in queue.forecasts.waiting(1)] == [numbers[2]]


def test_what_its_worker_finds_out_is_taken_in(queue: Queue, add: Callable[[str], int]) -> None:
    number = add("a.mp4")
    queue.forecasts.note(number, '{"preset": "x", "frames": 9, "codec": "h264"}')
    claimed = queue.claims.claim(number, "{}", current_owner(), "cpu", 3)
    assert claimed is not None
    queue.forecasts.planned(number, str(claimed.lease), {"frames": 10, "source": (64, 36)})
    assert forecast(queue, number) == {"preset": "x", "frames": 10, "codec": "h264", "source": [64, 36]}


def test_what_a_worker_says_that_lost_the_job_is_not(queue: Queue, add: Callable[[str], int]) -> None:
    number = add("a.mp4")
    claimed = queue.claims.claim(number, "{}", current_owner(), "cpu", 3)
    assert claimed is not None
    queue.forecasts.planned(number, "another lease", {"frames": 10})
    queue.forecasts.planned(99, str(claimed.lease), {"frames": 10})
    assert forecast(queue, number) == {}
    queue.claims.requeue(number, str(claimed.lease), "stopped", "transient", 0.0, count_attempt=False)
    queue.forecasts.planned(number, str(claimed.lease), {"frames": 10})
    assert forecast(queue, number) == {}
