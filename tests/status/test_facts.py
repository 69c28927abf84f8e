from __future__ import annotations

import json

from flashvsr.jobs.schema import STATES
from flashvsr.status.estimate import Estimate
from flashvsr.status.facts import facts
from flashvsr.status.snapshot import InboxState, Problem, WorkerState
from kits.snapshots import INBOX, MOMENT, job, snapshot


def test_programs_read_the_names_of_the_database() -> None:
    found = facts(snapshot(jobs=[job(2), job(1, "failed", error="no video")], failed_today=1))
    assert set(found["counts"]) == set(STATES)
    assert {one["state"] for one in found["jobs"]} == {"queued", "failed"}
    assert (found["counts"]["queued"], found["counts"]["failed"], found["failed_today"]) == (1, 1, 1)
    assert "waiting" not in json.dumps(found)


def test_everything_of_a_snapshot_is_in_it() -> None:
    problems = [Problem("gpu0", "its driver is gone", MOMENT), Problem("queue", "set aside")]
    worker = WorkerState("gpu0", 7, "a GPU", "busy", 2, "its driver is gone")
    inboxes = [
        InboxState(INBOX / "a"),
        InboxState(INBOX / "b", preset_problem="width = 1"),
        InboxState(INBOX / "c", "away"),
    ]
    found = facts(
        snapshot(jobs=[job(2)], problems=problems, workers=[worker], inboxes=inboxes, doing="stopping: at once")
    )
    assert json.loads(json.dumps(found)) == found
    service = {"process": 12, "state": "/var/lib/flashvsr", "doing": "stopping: at once", "until": None}
    assert found["service"] == service | {"mode": "serving"}
    assert found["problems"] == [
        {"subject": "gpu0", "text": "its driver is gone", "since": MOMENT},
        {"subject": "queue", "text": "set aside", "since": None},
    ]
    assert found["workers"] == [
        {"slot": "gpu0", "pid": 7, "label": "a GPU", "state": "busy", "job": 2, "error": "its driver is gone"}
    ]
    assert [inbox["preset"] for inbox in found["inboxes"]] == ["ok", "width = 1", "away"]
    assert found["moment"] == MOMENT
    assert found["queue"] == {"videos": 1, "unknown": 0, "ends": None}


def test_times_and_sizes_are_numbers() -> None:
    time = Estimate(60.0, 70.0, "near")
    of = job(1, source_size=(640, 360), result_size=(1280, 720), seconds_left=time, done_in=time, remarks=("a",))
    found = json.loads(json.dumps(facts(snapshot(jobs=[of], ends=time, unknown=2))))
    assert found["queue"] == {"videos": 1, "unknown": 2, "ends": {"least": 60.0, "most": 70.0, "basis": "near"}}
    (told,) = found["jobs"]
    assert (told["source_size"], told["result_size"], told["model_size"]) == ([640, 360], [1280, 720], None)
    assert told["seconds_left"] == told["done_in"] == found["queue"]["ends"]
    assert told["remarks"] == ["a"]


def test_paths_are_visible() -> None:
    (found,) = facts(snapshot(jobs=[job(1, name="caf\udce9\n.mp4", warnings=("a", "b"))]))["jobs"]
    assert found["source"] == f"{INBOX}/a/caf\\xe9\\n.mp4"
    assert found["result"] is None
    assert found["warnings"] == ["a", "b"]
