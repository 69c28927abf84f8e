"""How the queue's end, sizes and progress read."""

from __future__ import annotations

import pytest

from flashvsr.status.clock import when_text
from flashvsr.status.estimate import MEASURED, Estimate
from flashvsr.status.snapshot import Snapshot
from flashvsr.status.words import PHASES, phase_text, progress_text, queue_text, sizes_text
from kits.snapshots import MOMENT, job, snapshot

ENDS = Estimate(1750, 1850, MEASURED)
CLOCK = when_text(MOMENT + 1800, MOMENT)


@pytest.mark.parametrize(
    ("taken", "text"),
    [
        (snapshot(), ""),
        (snapshot(counts={"held": 3, "done": 2}), ""),
        (snapshot(counts={"running": 1, "queued": 5}, ends=ENDS), f"queue: 6 videos, done about {CLOCK}"),
        (snapshot(counts={"queued": 1}, ends=ENDS), f"queue: 1 video, done about {CLOCK}"),
        (snapshot(counts={"queued": 6}), "queue: 6 videos"),
        (snapshot(counts={"queued": 6}, unknown=6, ends=ENDS), "queue: 6 videos"),
        (snapshot(counts={"queued": 6}, unknown=2, ends=ENDS),
         f"queue: 6 videos, 4 done about {CLOCK}, 2 not looked at yet"),
        (snapshot(counts={"queued": 6}, process=None), "queue: 6 videos; the service does not run"),
    ],
)  # fmt: skip
def test_the_end_of_the_queue(taken: Snapshot, text: str) -> None:
    assert queue_text(taken) == text


def test_sizes() -> None:
    assert sizes_text(job()) == ""
    assert sizes_text(job(source_size=(640, 360))) == "640x360"
    assert sizes_text(job(source_size=(640, 360), result_size=(1280, 720))) == "640x360 -> 1280x720"


def test_progress_is_never_more_than_all() -> None:
    assert progress_text(job(1, "running", frames_done=10, frames_total=9)) == "100 %"
    assert progress_text(job(1, "running", frames_done=1, frames_total=1000)) == "0 %"
    assert progress_text(job(1, "running", frames_done=999, frames_total=1000)) == "99 %"
    assert progress_text(job(1, "running", frames_done=5, frames=10)) == "50 %"
    assert progress_text(job(1, "done", frames_done=5, frames_total=10)) == ""


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_has_words_and_no_name_of_a_program(phase: str) -> None:
    text = phase_text(job(1, phase=phase, not_before=MOMENT + 20), MOMENT)
    assert "_" not in text
    assert ("again in 20 s" in text) == (phase in ("room", "again"))
