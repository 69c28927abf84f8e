"""When each job will be done, and when the whole queue."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from flashvsr.jobs.schema import Rate
from flashvsr.status import open_times
from flashvsr.status.estimate import GUESSED, MEASURED, NEAR
from flashvsr.status.open_times import OpenTimes
from flashvsr.status.queue_times import Times, with_times
from flashvsr.status.snapshot import JobState, WorkerState
from kits.snapshots import MOMENT, job

SIZE = (256, 128)
FAST = Rate(device="CPU", model="nano", width=256, height=128, frames=1000.0, seconds=100.0, updated=MOMENT)
SLOW = Rate(device="Old GPU", model="nano", width=256, height=128, frames=100.0, seconds=100.0, updated=MOMENT - 1)
CPU = WorkerState("cpu", 7, "CPU", "idle", None, None)
ONE, TWO = (WorkerState(f"gpu{number}", number, "CPU", "idle", None, None) for number in (1, 2))


ALWAYS = OpenTimes("", MOMENT)


def waiting(number: int, frames: int | None, **values: Any) -> JobState:
    return job(number, frames=frames, model_size=SIZE, **values)


def running(number: int, done: int, total: int | None, slot: str = "cpu", **values: Any) -> JobState:
    return job(number, "running", slot=slot, frames_done=done, frames_total=total, model_size=SIZE, **values)


def times(
    *jobs: JobState,
    workers: Sequence[WorkerState] = (CPU,),
    rates: Sequence[Rate] = (FAST,),
    work: OpenTimes | None = ALWAYS,
) -> Times:
    return with_times(jobs, workers, rates, MOMENT, work)


def middles(found: Times) -> list[Any]:
    """In how many seconds each job is done, in the middle of its range."""
    ends = [one.done_in for one in found.jobs]
    return [None if end is None else pytest.approx((end.least + end.most) / 2) for end in ends]


def end(found: Times) -> Any:
    assert found.ends is not None
    return pytest.approx((found.ends.least + found.ends.most) / 2)


def test_one_after_the_other_by_frames_and_rate() -> None:
    found = times(running(1, 50, 150), waiting(2, 200), waiting(3, 300))
    assert middles(found) == [10.0, 30.0, 60.0]
    assert end(found) == 60.0
    assert found.ends is not None
    assert (found.ends.basis, found.unknown) == (MEASURED, 0)
    assert [one.seconds_left.most - one.seconds_left.least for one in found.jobs if one.seconds_left] == pytest.approx(
        [1.0, 2.0, 3.0]
    )


def test_more_pixels_take_longer_and_are_rougher() -> None:
    found = times(job(1, frames=100, model_size=(512, 128)))
    assert found.jobs[0].seconds_left is not None
    assert found.jobs[0].seconds_left.basis == NEAR
    assert found.jobs[0].seconds_left.least < 20 < found.jobs[0].seconds_left.most


def test_a_job_tells_its_own_speed_and_that_of_a_device_not_known_otherwise() -> None:
    jobs = running(1, 100, 200, fps=5.0), waiting(2, 100)
    assert middles(times(*jobs, rates=())) == [20.0, 40.0]
    assert middles(times(*jobs)) == [20.0, 30.0], "what was measured before is of whole jobs"
    young = times(running(1, 10, 200, fps=5.0), waiting(2, 100), rates=()).jobs[1].seconds_left
    assert young is not None
    assert young.basis == GUESSED


def test_what_runs_tells_more_than_what_was_measured_of_another_size() -> None:
    large: dict[str, Any] = {"model_size": (512, 128)}
    first = job(1, "running", slot="cpu", frames_done=100, frames_total=200, fps=1.0, **large)
    found = times(first, job(2, frames=100, **large), waiting(3, 100))
    assert middles(found) == [100.0, 200.0, 210.0]
    assert found.ends is not None
    assert found.ends.basis == MEASURED


def test_workers_share_the_queue() -> None:
    jobs = running(1, 0, 1000, "gpu1"), running(2, 0, 100, "gpu2"), waiting(3, 200), waiting(4, 300), waiting(5, 600)
    found = times(*jobs, workers=(ONE, TWO))
    assert middles(found) == [100.0, 10.0, 30.0, 60.0, 120.0]
    assert end(found) == 120.0


def test_the_device_of_its_worker_decides() -> None:
    old = WorkerState("gpu1", 1, "Old GPU", "busy", 2, None)
    found = times(running(1, 0, 100), running(2, 0, 100, "gpu1"), workers=(CPU, old), rates=(FAST, SLOW))
    assert middles(found) == [10.0, 100.0]


def test_a_job_that_has_to_wait_lets_others_pass() -> None:
    later = waiting(1, 100, not_before=MOMENT + 15)
    found = times(later, waiting(2, 200), waiting(3, 100))
    assert middles(found) == [30.0, 20.0, 40.0], "it comes first as soon as it may"
    assert middles(times(later)) == [25.0], "nobody works meanwhile"
    clock_was_wrong = waiting(1, 100, not_before=MOMENT + 1e6)
    assert middles(times(clock_was_wrong)) == [10.0]


def test_what_is_not_to_be_done_takes_no_time() -> None:
    found = times(waiting(1, 100, will_skip="large"), waiting(2, None, refused="no video"), waiting(3, 100))
    assert middles(found) == [0.0, 0.0, 10.0]
    assert found.unknown == 0


def test_behind_one_that_nobody_has_looked_at_nothing_is_sure() -> None:
    found = times(waiting(1, 100), job(2), waiting(3, 100))
    assert middles(found) == [10.0, None, None]
    assert [one.seconds_left is None for one in found.jobs] == [False, True, False]
    assert (end(found), found.unknown) == (20.0, 1)


def test_behind_a_worker_of_which_it_is_not_known_when_it_is_free() -> None:
    jobs = running(1, 5, None, "gpu1"), waiting(2, 100)
    alone = times(*jobs, workers=(ONE,))
    assert (alone.ends, alone.unknown, middles(alone)) == (None, 1, [None, None])
    found = times(*jobs, workers=(ONE, TWO))
    assert (end(found), found.unknown) == (10.0, 1)


@pytest.mark.parametrize(
    ("workers", "work"),
    [((), ALWAYS), ((CPU,), None), ((WorkerState("cpu", 7, "CPU", "idle", None, "no job starts: full"),), ALWAYS)],
    ids=["no worker", "no service", "no room"],
)
def test_where_nobody_works_there_is_no_end(workers: Sequence[WorkerState], work: OpenTimes | None) -> None:
    found = times(waiting(1, 100), workers=workers, work=work)
    assert found.ends is None
    assert found.jobs[0].done_in is None
    assert found.jobs[0].seconds_left is not None, "how long it takes is known all the same"


def test_nothing_is_known_where_there_is_no_device() -> None:
    found = times(waiting(1, 100), workers=(), rates=(), work=None)
    assert found.jobs[0].seconds_left is None


def test_jobs_that_have_ended_or_are_held_have_no_times() -> None:
    found = times(job(1, "done", frames=100, model_size=SIZE), job(2, "held", frames=100, model_size=SIZE))
    assert [(one.seconds_left, one.done_in) for one in found.jobs] == [(None, None)] * 2
    assert (found.ends, found.unknown) == (None, 0)


def test_a_flood_takes_no_time_itself() -> None:
    found = times(*(waiting(number, 10) for number in range(1, 5001)), workers=(ONE, TWO))
    assert end(found) == 2500.0


def test_what_runs_and_what_waits_go_on_when_a_rest_is_over() -> None:
    found = times(running(1, 50, 150), waiting(2, 200), work=OpenTimes("", MOMENT + 1000))
    assert middles(found) == [1010.0, 1030.0]
    assert end(found) == 1030.0
    assert [one.seconds_left.most for one in found.jobs if one.seconds_left] == pytest.approx([10.5, 21.0])


def test_the_work_of_the_next_hours_and_of_the_ones_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 21:00, with two hours a night: one job is done in the first, one goes on in the second."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    evening = MOMENT - MOMENT % 86400 + 21 * 3600
    hours = OpenTimes("22:00-24:00", evening)
    found = with_times((waiting(1, 36_000), waiting(2, 72_000)), (CPU,), (FAST,), evening, hours)
    assert middles(found) == [3600 + 3600.0, 24 * 3600 + 3600 + 3600.0]


def test_hours_that_never_come_have_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_times, "next_change", lambda hours, moment: None)
    monkeypatch.setattr(open_times, "allowed", lambda hours, moment: False)
    found = times(waiting(1, 100), work=OpenTimes("03:00-03:10", MOMENT))
    assert (found.ends, found.jobs[0].done_in) == (None, None)
