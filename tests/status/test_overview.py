"""The status as a whole, as people read it."""

from __future__ import annotations

import pytest

from flashvsr.status.clock import clock_text
from flashvsr.status.estimate import MEASURED, Estimate
from flashvsr.status.overview import FIRST, LAST_ENDED, overview
from flashvsr.status.snapshot import Problem, Snapshot, WorkerState
from kits.snapshots import MOMENT, job, snapshot


def shown(taken: Snapshot, everything: bool = False) -> list[str]:
    return list(overview(taken, everything=everything))


def numbers(taken: Snapshot, everything: bool = False) -> list[int]:
    """The jobs in the order in which they are shown."""
    return [int(line.split()[0]) for line in shown(taken, everything) if line.split() and line.split()[0].isdigit()]


def test_the_service_its_workers_and_its_problems() -> None:
    problems = [Problem("gpu0", "gone", MOMENT), Problem("/srv/in", "away")]
    workers = [WorkerState("gpu0", 7, "a GPU", "busy", 3, None), WorkerState("gpu1", 8, "another", "idle", None, "hot")]
    assert shown(snapshot(problems=problems, workers=workers, doing="stopping: at once")) == [
        "service: running, process 12; stopping: at once",
        "gpu0 (a GPU): job 3",
        "gpu1 (another): idle: hot",
        f"problem since {clock_text(MOMENT)}: gpu0: gone",
        "problem: /srv/in: away",
        "jobs: none",
    ]
    assert shown(snapshot(process=None))[0] == "service: not running"


def test_failures_of_today_are_counted_apart() -> None:
    assert "jobs: 3 failed (2 today)" in shown(snapshot(counts={"done": 0, "failed": 3}, failed_today=2))


def test_the_end_of_the_queue_comes_last() -> None:
    lines = shown(snapshot(jobs=[job(1), job(2)], ends=Estimate(60, 61, MEASURED)))
    assert lines[-2] == ""
    assert lines[-1].startswith("queue: 2 videos, done about ")
    assert not any(line.startswith("queue") for line in shown(snapshot(jobs=[job(1, "done")])))


def test_people_read_that_a_job_waits() -> None:
    lines = shown(snapshot(jobs=[job(1), job(2, "held", error="its preset is wrong")]))
    assert "jobs: 1 waiting, 1 held" in lines
    assert not any("queued" in line for line in lines)


def test_of_a_flood_the_first_of_each_kind_are_shown() -> None:
    jobs = [job(number) for number in range(1, 101)]
    jobs += [job(number, "held") for number in range(200, 260)]
    jobs += [job(number, state) for number, state in zip(range(300, 320), ["done", "failed"] * 10, strict=True)]
    taken = snapshot(jobs=jobs)
    waiting, held = FIRST["queued"], FIRST["held"]
    assert numbers(taken) == [
        *range(1, waiting + 1), *range(200, 200 + held), *range(300, 300 + LAST_ENDED)
    ]  # fmt: skip
    assert f"and {100 - waiting} more that wait: flashvsr status --all" in shown(taken)
    assert f"and {60 - held} more that are held: flashvsr status --all" in shown(taken)
    assert numbers(taken, everything=True) == [one.id for one in jobs]
    assert not any("more" in line for line in shown(taken, everything=True))


def test_a_skipped_video_can_be_done_all_the_same() -> None:
    hint = "to do a skipped video all the same: flashvsr retry --force 4"
    assert hint in shown(snapshot(jobs=[job(4, "skipped", error="large already")]))
    assert not any("--force" in line for line in shown(snapshot(jobs=[job(4, "failed", error="no video")])))


@pytest.mark.parametrize("width", [80, 132])
def test_the_width_of_the_terminal_is_kept(width: int) -> None:
    jobs = [job(number, name="x" * 200 + ".mp4", error="y" * 200) for number in range(1, 5)]
    lines = [line for line in overview(snapshot(jobs=jobs), width=width) if line[:1].isdigit()]
    assert {len(line) for line in lines} == {width}
