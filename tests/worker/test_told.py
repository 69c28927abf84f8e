"""What the log says of jobs that have ended."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig, BadInput, NoSpace, Skipped
from flashvsr.system.logs import LineFormatter
from flashvsr.worker.told import tell_done
from kits.played import Bench
from kits.reports import report_of

DONE = replace(
    report_of(Path("/out/clip.mp4"), "nano", 250, ["a warning"]), source={"width": 640, "height": 360},
    seconds=200.0, fps=1.25,
)  # fmt: skip


@pytest.fixture(autouse=True)
def all_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="flashvsr")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The log as it is written, without times."""
    return [LineFormatter(journal=True).format(record) for record in caplog.records]


def test_one_line_has_sizes_frames_time_and_rate(caplog: pytest.LogCaptureFixture) -> None:
    tell_done(DONE)
    assert lines(caplog) == [
        "<4>a warning",
        "<6>done: /out/clip.mp4: 640x360 -> 256x128, 250 frames in 3 min 20 s, 1.2 frames/s",
    ]


def test_frames_of_earlier_attempts_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    tell_done(replace(DONE, resumed_at=240, seconds=8.0, warnings=[], source={}))
    assert lines(caplog) == [
        "<6>done: /out/clip.mp4: 256x128, 250 frames, 240 of them in earlier attempts, in 8.0 s, 1.2 frames/s"
    ]


def test_each_end_is_one_line_of_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    ends = {"a.mov": None, "b.mov": BadInput("no picture"), "c.mov": Skipped("large already")}
    for name, error in ends.items():
        bench.upscaling.at.clear()
        if error is not None:
            bench.fail_at("start", error)
        bench.add(name)
        while bench.loop.step():
            pass
    found = [line for record, line in zip(caplog.records, lines(caplog), strict=True) if record.name.endswith(".told")]
    assert [line[3:] for line in found if "warning" not in line] == [
        f"done: {bench.outbox}/a.mp4: 256x128, 10 frames in 1.0 s, 10.0 frames/s",
        f"failed: {bench.inbox}/b.mov: no picture",
        f"skipped: {bench.inbox}/c.mov: large already",
    ]


@pytest.mark.parametrize("error", [BadConfig("two lines:", "widht"), NoSpace("two lines:", "widht")])
def test_no_line_of_an_error_becomes_an_escape(
    bench: Bench, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    bench.fail_at("start", error)
    bench.add()
    bench.loop.step()
    text = "\n".join(lines(caplog))
    assert "<4>two lines:\n<4>  widht; again in " in text
    assert "\\n" not in text


def test_what_keeps_a_job_is_a_warning_once_as_long_as_it_stays_the_same(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    number = bench.add(age=0.0)  # it may still grow, and is tried again and again
    for error in ("cut short", "cut short", "cut short", "no picture"):
        bench.fail_at("start", BadInput(error))
        bench.make_due(number)
        bench.loop.step()
    warnings = [line for line in lines(caplog) if line.startswith("<4>")]
    assert ["cut short" in line for line in warnings] == [True, False]
