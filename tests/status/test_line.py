from __future__ import annotations

from flashvsr.status.line import PROBLEM_LENGTH, status_line
from flashvsr.status.snapshot import Problem
from kits.snapshots import job, snapshot

RUNNING = [
    job(1, "running", "trip/clip.mp4", frames_done=41, frames_total=100, fps=3.24),
    job(2, "running", "b.mp4", frames_done=7),
    job(3, "running", "c.mp4"),
]


def test_it_says_what_goes_on() -> None:
    counts = {"queued": 5, "held": 1, "done": 9, "failed": 7}
    assert status_line(snapshot(jobs=RUNNING[:1], counts=counts)) == (
        "1 running (clip.mp4 41 %, 3.2 fps), 5 waiting, 1 held, 0 failed today"
    )
    assert status_line(snapshot(jobs=[*RUNNING, job(4)], failed_today=2, problems=[Problem("/mnt/nas", "away")])) == (
        "3 running (clip.mp4 41 %, 3.2 fps; b.mp4 frame 7; and 1 more), 1 waiting, 0 held, 2 failed today; "
        "/mnt/nas: away"
    )
    assert status_line(snapshot(doing="starting the workers")) == (
        "starting the workers; 0 running, 0 waiting, 0 held, 0 failed today"
    )


def test_the_newest_problems_are_named_and_all_are_counted() -> None:
    problems = [Problem("queue", "no\n  answer"), Problem("disk", "x" * 5000), Problem("a", "b"), Problem("c", "d")]
    line = status_line(snapshot(problems=problems))
    assert "0 failed today; no; answer; xxx" in line
    assert line.endswith("; and 2 more: flashvsr status")
    assert len(line) < PROBLEM_LENGTH + 200


def test_a_name_cannot_garble_it() -> None:
    line = status_line(snapshot(jobs=[job(1, "running", "a\nREADY=1\x1b[31m\udcff.mp4")]))
    assert line.startswith("1 running (a\\nREADY=1\\x1b[31m\\xff.mp4), ")
    long = status_line(snapshot(jobs=[job(1, "running", "x" * 251 + ".mp4")]))
    assert "(255 characters)" in long
    assert ".mp4), 0 waiting" in long
    assert len(long) < 150
