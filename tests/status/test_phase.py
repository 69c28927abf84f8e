"""What a job is doing or waiting for."""

from __future__ import annotations

from typing import Any

import pytest

from flashvsr.jobs.schema import Job
from flashvsr.status.phase import AGAIN, CANCELLING, FINISHING, LOADING, ROOM, STARTING, TURN, WORKING, phase_of

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("values", "phase"),
    [
        ({"state": "running"}, STARTING),
        ({"state": "running", "frames_done": 1}, WORKING),
        ({"state": "running", "frames_done": 1, "frames_total": 9}, WORKING),
        ({"state": "running", "frames_done": 9, "frames_total": 9}, FINISHING),
        ({"state": "running", "frames_done": 9, "frames_total": 9, "cancel_requested": True}, CANCELLING),
        ({"state": "queued"}, TURN),
        ({"state": "queued", "not_before": NOW - 1}, TURN),
        ({"state": "queued", "not_before": NOW + 20, "error_kind": "transient"}, AGAIN),
        ({"state": "queued", "not_before": NOW + 20, "error_kind": "space"}, ROOM),
        ({"state": "queued", "not_before": NOW - 1, "error_kind": "space"}, TURN),
        ({"state": "queued", "not_before": NOW + 1e6}, TURN),  # from before the clock was set right
        ({"state": "held"}, ""),
        ({"state": "done", "frames_done": 9, "frames_total": 9}, ""),
    ],
)
def test_phases(values: dict[str, Any], phase: str) -> None:
    assert phase_of(Job(id=1, **values), NOW, at_work=()) == phase


def test_a_worker_loads_the_model_before_it_claims_the_job() -> None:
    assert phase_of(Job(id=1, state="queued"), NOW, at_work={1}) == LOADING
    assert phase_of(Job(id=2, state="queued"), NOW, at_work={1}) == TURN
    assert phase_of(Job(id=1, state="running"), NOW, at_work={1}) == STARTING
