"""One line about each job."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from flashvsr.status.clock import when_text
from flashvsr.status.estimate import GUESSED, MEASURED, NEAR, Estimate
from flashvsr.status.job_line import job_lines
from flashvsr.status.job_names import job_names
from flashvsr.status.snapshot import JobState
from kits.snapshots import MOMENT, job, snapshot

LARGE: dict[str, Any] = {"source_size": (1920, 1080), "result_size": (3840, 2160)}
SIZES: dict[str, Any] = {"source_size": (640, 360), "result_size": (1280, 720)}
SURE, GUESS = Estimate(700, 740, MEASURED), Estimate(600, 2400, GUESSED)


def lines(*jobs: JobState, width: int | None = 80) -> list[str]:
    return list(job_lines(jobs, job_names(snapshot(jobs=jobs)), MOMENT, width))


def told(of: JobState, width: int | None = 80) -> str:
    """What is said behind the name."""
    (line,) = lines(of, width=width)
    start = f"1  {'waiting' if of.state == 'queued' else of.state}  a/clip.mp4"
    assert line.startswith(start)
    return line.removeprefix(start).strip()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (job(1), ""),
        (job(1, **SIZES, seconds_left=SURE, phase="turn"), "640x360 -> 1280x720, about 12 min"),
        (job(1, **SIZES, seconds_left=GUESS, phase="turn"), "640x360 -> 1280x720, perhaps 10-40 min"),
        (job(1, **SIZES, phase="loading"), "640x360 -> 1280x720, loading the model"),
        (job(1, will_skip="large already", source_size=(9, 9)), "will be skipped: large already"),
        (job(1, refused="no picture"), "cannot be done: no picture"),
        (job(1, phase="again", error="no share", not_before=MOMENT + 20), "again in 20 s  no share"),
        (job(1, phase="turn", error="no share", not_before=MOMENT - 1), "no share"),
        (job(1, phase="room", error="full", not_before=MOMENT + 60), "waiting for room, again in 60 s  full"),
        (job(1, "running", phase="starting"), "starting"),
        (job(1, "running", **SIZES, phase="starting", seconds_left=GUESS),
         "640x360 -> 1280x720, starting, perhaps 10-40 min"),
        (job(1, "running", **SIZES, phase="working", frames_done=41, frames_total=100, seconds_left=SURE),
         "640x360 -> 1280x720, 41 %, about 12 min left"),
        (job(1, "running", phase="working", frames_done=7), "frame 7"),
        (job(1, "running", phase="working", frames_done=7, frames=5), "frame 7"),
        (job(1, "running", phase="finishing", frames_done=9, frames_total=9, seconds_left=Estimate(0, 0, MEASURED)),
         "100 %, joining and checking"),
        (job(1, "running", phase="cancelling", frames_done=1, frames_total=2), "50 %, being cancelled"),
        (job(1, "held", **SIZES, error="2 problems:\n  /srv/flashvsr/inbox/a/preset.toml:1: widht"),
         "2 problems: preset.toml:1: widht"),
        (job(1, "failed", error="/srv/flashvsr/inbox/a/clip.mp4: no video", finished=MOMENT), "{ended}  no video"),
        (job(1, "failed", error="/srv/flashvsr/inbox/a/clip.mp4 is cut short", finished=MOMENT),
         "{ended}  it is cut short"),
        (job(1, "skipped", error="large already", finished=MOMENT, source_size=(9, 9)), "{ended}  large already"),
        (job(1, "done", **SIZES, finished=MOMENT, result="/out/a.mp4"), "640x360 -> 1280x720, {ended}"),
        (job(1, "done", finished=MOMENT, error="its source stays"), "{ended}  its source stays"),
        (job(1, "cancelled", error="cancelled", finished=MOMENT), "{ended}"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_job(given: JobState, text: str) -> None:
    assert told(given) == text.format(ended=when_text(MOMENT, MOMENT))


@pytest.mark.parametrize("width", [120, None])
def test_where_there_is_room_more_is_said(width: int | None) -> None:
    running = job(
        1, "running", phase="working", frames_done=41, frames_total=100, fps=3.24, seconds_left=SURE, done_in=SURE
    )
    done = when_text(MOMENT + 720, MOMENT)
    assert told(running, width) == f"41 %, about 12 min left, done about {done}, 3.2 frames/s"
    assert "frames/s" not in told(job(1, phase="turn", frames_done=41, frames_total=100, fps=3.24), width)
    ended = job(1, "done", claimed=MOMENT - 200, finished=MOMENT, result="/out/a.mp4", error="its source stays")
    assert told(ended, width) == f"in 3 min 20 s, {when_text(MOMENT, MOMENT)}  /out/a.mp4; its source stays"


NAMES = ("clip.mp4", "Grandmother's birthday party at the lake in 1987, part two.mp4", "東京物語" * 20 + ".mkv")


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(width: int) -> None:
    jobs = [
        job(number, "running", name, **LARGE, phase="working", frames_done=41, frames_total=100, seconds_left=GUESS)
        for number, name in zip((998, 999, 1000), NAMES, strict=True)
    ]
    jobs += [job(1001, name=NAMES[1], will_skip="it is as large already as its result may be, 3840x2160 pixels")]
    jobs += [job(1002, "cancelled", NAMES[2], **LARGE, finished=MOMENT - 90_000)]
    shown = lines(*jobs, width=width)
    assert max(map(cell_len, shown)) <= width
    for of, line in zip(jobs, shown, strict=True):
        assert line.split()[0] == str(of.id)
    assert all("1920x1080 -> 3840x2160, 41 %, perhaps 10-40 min" in line for line in shown[:3])
    assert when_text(MOMENT - 90_000, MOMENT) in shown[4]
    assert ("…" in shown[1]) == (width < 140)
    assert shown[1].split("  1920x1080")[0].rstrip().endswith(".mp4")
    assert "  will be skipped: it is" in shown[3]


def test_a_reason_gives_way_to_a_name_that_can_be_told() -> None:
    facts: dict[str, Any] = {"source_size": (480, 270), "result_size": (960, 540), "frames_done": 58, "frames": 100}
    first = job(9, name=NAMES[1], **facts, seconds_left=Estimate(50, 80, NEAR), error="its worker was told to stop")
    (line,) = lines(first)
    assert cell_len(line) <= 80
    assert line.startswith("9  waiting  a/Grandmot…t two.mp4  480x270")


def test_columns_stand_below_each_other() -> None:
    first, second = lines(job(9, **SIZES), job(10, "running", "longer.mp4", **SIZES, phase="starting"))
    assert first == " 9  waiting  a/clip.mp4    640x360 -> 1280x720"
    assert second == "10  running  a/longer.mp4  640x360 -> 1280x720, starting"


def test_nothing_is_cut_without_a_terminal() -> None:
    long = "y" * 3000
    (line,) = lines(job(1, "failed", NAMES[1], error=long), width=None)
    assert NAMES[1] in line
    assert line.endswith(long)


def test_three_results_of_three_inboxes_differ() -> None:
    jobs = [job(number, "done", inbox=f"/srv/{inbox}/a") for number, inbox in enumerate(("x", "y", "z"), 1)]
    assert len({line[2:] for line in lines(*jobs)}) == 3


def test_a_reason_stays_one_line_whatever_it_quotes() -> None:
    (line,) = lines(job(1, "failed", error="a\x1b[31m\n\nb"))
    assert line.endswith("a\\x1b[31m; b")
