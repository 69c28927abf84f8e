"""Everything about one job, as people read it."""

from __future__ import annotations

from typing import Any

import pytest

from flashvsr.status.clock import clock_text, when_text
from flashvsr.status.estimate import MEASURED, Estimate
from flashvsr.status.job_page import JobPage
from flashvsr.status.snapshot import JobState
from kits.snapshots import MOMENT, job

REPORT = {
    "source": {
        "container": "mov", "codec": "h264", "bits": 8, "scan": "top first", "frame_rate": "25", "duration": 10.0,
        "audio": [{"codec": "aac"}, {"codec": "ac3"}],
    },
    "frames": 250, "seconds": 200.0, "fps": 1.25, "resumed_at": 0,
    "model": "nano", "device": "CPU", "encoder": "libx264",
}  # fmt: skip


def rows(of: JobState, device: str = "", preset: Any = None, report: Any = None) -> dict[str, str]:
    """What is said, by the words at the beginning of the lines."""
    found: dict[str, str] = {}
    last = ""
    for line in JobPage(of, MOMENT, device, preset, report).lines():
        name, _, text = line.partition("  ")
        last = name or last
        found[last] = f"{found.get(last, '')} {text.strip()}".strip()
    return found


def test_one_that_runs() -> None:
    end = Estimate(710, 730, MEASURED)
    running = job(
        7, "running", phase="working", frames_done=103, frames_total=250, fps=3.24, attempts=2, claimed=MOMENT - 30,
        source_size=(640, 360), result_size=(1280, 720), seconds_left=end, done_in=end, remarks=("less sound",),
    )  # fmt: skip
    assert rows(running, device="CPU", preset={"scale": 2.0, "codec": "h264"}) == {
        "job": "7",
        "file": "/srv/flashvsr/inbox/a/clip.mp4",
        "state": "running: 41 %, 103 of 250 frames, 3.2 frames/s, on CPU",
        "size": "640x360 -> 1280x720",
        "time": f"about 12 minutes left, done about {when_text(MOMENT + 720, MOMENT)}",
        "added": clock_text(MOMENT - 60),
        "begun": f"{clock_text(MOMENT - 30)}, attempt 2",
        "note": "less sound",
        "preset": 'scale = 2.0 codec = "h264"',
    }


def test_one_that_is_done() -> None:
    done = job(
        7, "done", result="/out/clip.mp4", model="nano", claimed=MOMENT - 200, finished=MOMENT, warnings=("a", "b"),
        frames_done=250, frames_total=250, remarks=("a", "c"),
    )  # fmt: skip
    found = rows(done, report=REPORT)
    assert found["state"] == "done"
    assert found["ended"] == f"{clock_text(MOMENT)}, after 3 min 20 s"
    assert found["result"] == "/out/clip.mp4"
    assert found["source"] == "h264, 8 bits, interlaced, top first, 25 frames/s, 10 s"
    assert found["sound"] == "2 tracks: aac, ac3"
    assert found["made"] == "250 frames in 3 min 20 s, 1.2 frames/s"
    assert (found["model"], found["device"], found["encoder"]) == ("nano", "CPU", "libx264")
    assert (found["note"], found["warning"]) == ("c", "a b")


@pytest.mark.parametrize(
    ("given", "name", "text"),
    [
        (job(7, "failed", error="no video"), "reason", "no video"),
        (job(7, "failed"), "to do", "to try again: flashvsr retry 7"),
        (job(7, "cancelled"), "to do", "to try again: flashvsr retry 7"),
        (job(7, "skipped", error="large"), "to do", "to do it all the same: flashvsr retry --force 7"),
        (job(7, "held", error="widht\nhieght"), "reason", "widht hieght"),
        (job(7, "failed", result="/out/clip_partial.mp4"), "finished part", "/out/clip_partial.mp4"),
        (job(7, phase="again", not_before=MOMENT + 20, error="no share"), "state", "waiting: again in 20 s"),
        (job(7, phase="again", not_before=MOMENT + 20, error="no share"), "reason", "no share"),
        (job(7, phase="turn", frames_done=1, frames_total=4, fps=1.0), "state", "waiting: 25 %, 1 of 4 frames"),
        (job(7, phase="loading"), "state", "waiting: loading the model"),
        (job(7, will_skip="large"), "reason", "will be skipped: large"),
        (job(7, "running", phase="starting"), "state", "running: starting"),
    ],
)
def test_what_is_said_of_a_job(given: JobState, name: str, text: str) -> None:
    assert rows(given)[name] == text


def test_no_name_of_a_program_is_in_it() -> None:
    full = job(
        7, "done", frames_done=1, frames_total=1, fps=1.0, error="x", error_kind="source", model="m", slot="cpu",
        result="/out/a", claimed=MOMENT, finished=MOMENT, source_size=(1, 1), result_size=(2, 2), model_size=(3, 3),
        remarks=("r",), warnings=("w",), not_before=5.0, frames=1,
    )  # fmt: skip
    page = JobPage(full, MOMENT, "CPU", None, REPORT)
    assert not any("_" in line for line in page.lines())
    assert not any(line.endswith(("None", "[]", "{}")) for line in page.lines())
    for key in ("error_kind", "not_before", "preset", "report"):
        assert key in page.facts()


@pytest.mark.parametrize("report", [7, [], {}, {"source": 7, "seconds": "x", "fps": None}, {"source": {"audio": [7]}}])
def test_a_report_of_any_content_is_no_harm(report: Any) -> None:
    assert rows(job(7, "done"), report=report)["state"] == "done"


def test_long_texts_are_wrapped_to_the_terminal() -> None:
    page = JobPage(job(7, "failed", error="no picture " * 30), MOMENT, "", None, None)
    lines = page.lines(60)
    assert max(map(len, lines)) <= 60
    assert " ".join(line[8:] for line in lines).count("no picture") >= 29
    assert max(map(len, page.lines())) > 300
