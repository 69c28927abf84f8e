from __future__ import annotations

import io

import pytest
from rich.console import Console

from flashvsr.status.facts import job_facts
from flashvsr.status.overview import FIRST_WAITING, job_overview, overview
from flashvsr.status.snapshot import JobState, Problem, Snapshot, WorkerState
from flashvsr.status.words import clock_text
from kits.snapshots import MOMENT, job, snapshot


def shown(taken: Snapshot, everything: bool = False) -> str:
    console = Console(file=io.StringIO(), width=400)
    for part in overview(taken, everything):
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def row(of: JobState) -> list[str]:
    """The cells about this job."""
    (line,) = (line for line in shown(snapshot(jobs=[of])).splitlines() if line.strip().startswith(f"{of.id} "))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_service_its_workers_and_its_problems() -> None:
    problems = [Problem("gpu0", "gone", MOMENT), Problem("/srv/in", "away")]
    workers = [WorkerState("gpu0", 7, "a GPU", "busy", 3, None), WorkerState("gpu1", 8, "another", "idle", None, "hot")]
    text = shown(snapshot(problems=problems, workers=workers, doing="stopping: at once"))
    assert text.splitlines() == [
        "service: running, process 12; stopping: at once",
        "gpu0 (a GPU): job 3",
        "gpu1 (another): idle: hot",
        f"problem since {clock_text(MOMENT)}: gpu0: gone",
        "problem: /srv/in: away",
        "jobs: none",
    ]
    assert shown(snapshot(process=None)).startswith("service: not running\n")


def test_people_read_that_a_job_waits() -> None:
    text = shown(snapshot(jobs=[job(1), job(2, "held", error="its preset is wrong")]))
    assert "jobs: 1 waiting, 1 held" in text
    assert "queued" not in text
    assert row(job(1))[1] == "waiting"
    console = Console(file=io.StringIO(), width=400)
    console.print(job_overview(job_facts(job(1))))
    assert "waiting" in console.file.getvalue()  # type: ignore[attr-defined]


def test_failures_of_today_are_counted_apart() -> None:
    assert "jobs: 3 failed (2 today)\n" in shown(snapshot(counts={"done": 0, "failed": 3}, failed_today=2))


@pytest.mark.parametrize(
    ("given", "cells"),
    [
        (job(1, "running", frames_done=41, frames_total=100, fps=3.24), ["running", "clip.mp4", "41 %, 3.2 fps"]),
        (job(1, "running", frames_done=7), ["running", "clip.mp4", "7 frames, 0.0 fps"]),
        (job(1, error="no share", not_before=MOMENT + 90), ["waiting", "clip.mp4", "no share (again in 90 s)"]),
        (job(1, error="no share", not_before=MOMENT - 1), ["waiting", "clip.mp4", "no share"]),
        (job(1, "failed", error="no video", frames_done=3), ["failed", "clip.mp4", "3 frames", "no video"]),
        (job(1, "done", result="/out/a.mp4"), ["done", "clip.mp4", "/out/a.mp4"]),
        (job(1, "done", result="/out/a.mp4", error="stays"), ["done", "clip.mp4", "/out/a.mp4; stays"]),
        (job(1, "cancelled", error="asked"), ["cancelled", "clip.mp4"]),
        (job(1, name="sub/caf\udce9.mp4"), ["waiting", "caf\\xe9.mp4"]),
    ],
)
def test_what_is_said_of_a_job(given: JobState, cells: list[str]) -> None:
    assert row(given) == ["1", *cells]


def test_of_a_flood_the_first_that_wait_are_shown() -> None:
    jobs = [job(number) for number in range(100, 0, -1)]
    text = shown(snapshot(jobs=[job(500, "done"), *jobs]))
    numbers = [int(line.split()[0]) for line in text.splitlines() if line.split() and line.split()[0].isdigit()]
    assert numbers == [500, *range(FIRST_WAITING, 0, -1)]
    assert f"and {100 - FIRST_WAITING} more that wait: flashvsr status --all" in text
    assert "more that wait" not in shown(snapshot(jobs=jobs), everything=True)
