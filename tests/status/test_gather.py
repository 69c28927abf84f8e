"""Where the facts come from, and what it costs to gather them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.files.state import StateDirectory, state_lock
from flashvsr.files.trees import NO_LINKS
from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.queue import Queue
from flashvsr.settings.config import Config
from flashvsr.settings.preset import PRESET_NAME
from flashvsr.settings.service_tables import Paths, Schedule
from flashvsr.status import gather as gathering
from flashvsr.status.facts import facts
from flashvsr.status.gather import LOOK_SECONDS, Jobs, Live, ServiceGatherer, gather, gather_job
from flashvsr.status.line import status_line
from flashvsr.status.listing import LAST_ENDED, MOST_WAITING, REREAD_SECONDS
from flashvsr.status.phase import LOADING, TURN
from flashvsr.status.problems import MOST
from flashvsr.status.service_file import ServiceFile
from flashvsr.status.snapshot import RESTING, SERVING, STOPPING, Problem

NOW = time.time()


@pytest.fixture
def other(queue: Queue) -> Iterator[Queue]:
    """The queue as another process has it."""
    opened = Queue(queue.path.parent)
    yield opened
    opened.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for name in ("inbox/good", "inbox/wrong", "inbox/new"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "inbox" / "good" / PRESET_NAME).write_text("width = 640\nscale = 4\n")
    (tmp_path / "inbox" / "wrong" / PRESET_NAME).write_text("widht = 1\n")
    return Config(paths=Paths(tmp_path / "inbox", tmp_path / "outbox", tmp_path / "state", tmp_path / "models"))


@pytest.fixture
def gatherer(queue: Queue, tmp_path: Path) -> ServiceGatherer:
    return ServiceGatherer(queue, tmp_path / "inbox")


@pytest.fixture
def no_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise AssertionError("a preset was read")

    monkeypatch.setattr(gathering, "load_preset", load)


def add(queue: Queue, tmp_path: Path, name: str) -> int:
    path = tmp_path / name
    path.write_bytes(b"video")
    number = queue.intake.add(tmp_path, path, name, path.lstat())
    assert number is not None
    return number


def fail(queue: Queue, number: int, days_ago: float = 0.0) -> None:
    with queue.store.writing():
        queue.jobs.end(number, "failed", error="no video")
        queue.jobs.change(number, finished=time.time() - days_ago * 86_400)


def line(gatherer: ServiceGatherer) -> str:
    gatherer.refresh()
    return status_line(gatherer.snapshot(Live()))


def test_changes_of_any_process_are_seen(gatherer: ServiceGatherer, queue: Queue, other: Queue, tmp_path: Path) -> None:
    assert line(gatherer) == "0 running, 0 waiting, 0 held, 0 failed today"
    first, second = add(other, tmp_path, "a.mp4"), add(queue, tmp_path, "b.mp4")
    assert line(gatherer) == "0 running, 2 waiting, 0 held, 0 failed today"
    fail(other, first)
    fail(queue, second, days_ago=2)
    assert line(gatherer) == "0 running, 0 waiting, 0 held, 1 failed today"


def test_nothing_is_read_again_before_something_changes(
    gatherer: ServiceGatherer, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(50):
        fail(queue, add(queue, tmp_path, f"{index}.mp4"))
    gatherer.refresh()
    statements: list[str] = []
    queue.store.database.connection().set_trace_callback(statements.append)
    for _ in range(100):
        gatherer.refresh()
        gatherer.snapshot(Live())
    assert set(statements) == {"PRAGMA data_version"}
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + LOOK_SECONDS)
    gatherer.refresh()  # damage changes nothing that could be noticed
    assert any("SELECT" in statement for statement in statements)
    queue.store.database.connection().set_trace_callback(None)


def test_failed_jobs_are_counted_where_they_lie(gatherer: ServiceGatherer, queue: Queue, tmp_path: Path) -> None:
    """Rows hold whole reports: with thousands of them the service took a third of its memory for a number."""
    fail(queue, add(queue, tmp_path, "a.mp4"))
    statements: list[str] = []
    queue.store.database.connection().set_trace_callback(statements.append)
    gatherer.refresh()
    queue.store.database.connection().set_trace_callback(None)
    about_failed = [statement for statement in statements if "failed" in statement]
    assert about_failed
    assert all("COUNT" in statement or f"LIMIT {LAST_ENDED}" in statement for statement in about_failed)


@pytest.mark.usefixtures("no_presets")
def test_the_service_takes_the_inboxes_from_its_watcher(gatherer: ServiceGatherer, tmp_path: Path) -> None:
    inboxes = {tmp_path / "inbox" / "a": "", tmp_path / "inbox" / "b": "width = 1"}
    live = Live(inboxes=inboxes, inbox_problems={tmp_path / "inbox": "away"})
    taken = gatherer.snapshot(live)
    assert [(inbox.path, inbox.problem) for inbox in taken.inboxes] == list(inboxes.items())
    assert taken.inbox_root.problem == "away"
    assert gatherer.snapshot(live).inboxes is taken.inboxes, "nothing is done for an unchanged list"
    assert gatherer.snapshot(Live(inboxes={})).inboxes == ()


def test_without_a_service_the_inboxes_are_looked_at(config: Config, queue: Queue) -> None:
    taken = gather(config, queue)
    assert taken.service.process is None
    good, new, wrong = taken.inboxes
    assert (good.problem, good.note) == ("", "preset: width 640, scale 4, quality 6, h264 in mp4")
    assert (new.problem, new.note) == ("", "no preset yet, the service writes one with the defaults")
    assert "widht" in wrong.preset_problem
    assert taken.problems == (Problem(str(wrong.path), wrong.preset_problem),)


def test_an_inbox_that_is_away_and_a_root_without_inboxes_are_told(tmp_path: Path) -> None:
    empty = Config(paths=Paths(tmp_path / "none", *(tmp_path / name for name in ("outbox", "state", "models"))))
    (problem,) = gather(empty, None).problems
    assert problem.subject == str(tmp_path / "none")
    assert "there is no inbox in it" in problem.text
    assert gathering._look_at(NO_LINKS, tmp_path / "away", 6).problem == "does not exist; create it, or mount its share"


@pytest.mark.usefixtures("no_presets")
def test_beside_a_service_its_file_is_read_and_no_preset(
    config: Config, queue: Queue, gatherer: ServiceGatherer
) -> None:
    state, wrong = config.paths.state, config.paths.inbox / "wrong"
    with state_lock(state):
        live = Live(doing="starting the workers", inbox_problems={wrong: f"{PRESET_NAME}: no such key"})
        ServiceFile(state).keep(gatherer.snapshot(live))
        taken = gather(config, queue)
    assert taken.service.process == os.getpid()
    assert taken.service.doing == "starting the workers"
    assert [problem.text for problem in taken.problems] == [f"{PRESET_NAME}: no such key"]
    assert {inbox.path.name: inbox.problem for inbox in taken.inboxes} == {
        "good": "", "new": "", "wrong": f"{PRESET_NAME}: no such key"
    }  # fmt: skip


def presets(config: Config, queue: Queue) -> dict[str, str | None]:
    """What programs are told of each inbox's preset."""
    return {Path(inbox["path"]).name: inbox["preset"] for inbox in facts(gather(config, queue))["inboxes"]}


def test_a_preset_whose_problem_was_left_out_is_not_said_to_be_right(
    config: Config, queue: Queue, gatherer: ServiceGatherer
) -> None:
    many = {config.paths.inbox / f"{number:04}": f"{PRESET_NAME}: no such key" for number in range(MOST)}
    last = config.paths.inbox / "wrong"
    for path in many:
        path.mkdir()
    state = config.paths.state
    with state_lock(state):
        assert presets(config, queue)["good"] is None, "the service has told nothing yet"
        ServiceFile(state).keep(gatherer.snapshot(Live(inbox_problems={last: f"{PRESET_NAME}: width"})))
        assert presets(config, queue) == dict.fromkeys((path.name for path in many), "ok") | {
            "good": "ok", "new": "ok", "wrong": f"{PRESET_NAME}: width"
        }  # fmt: skip
        ServiceFile(state).keep(gatherer.snapshot(Live(inbox_problems=many | {last: f"{PRESET_NAME}: width"})))
        found = presets(config, queue)
    told = [name for name, preset in found.items() if preset is not None]
    assert len(told) == MOST - 1
    assert "ok" not in found.values()


def test_a_right_preset_is_right_whatever_else_is_wrong(
    config: Config, queue: Queue, gatherer: ServiceGatherer
) -> None:
    good, wrong, text = config.paths.inbox / "good", config.paths.inbox / "wrong", f"{PRESET_NAME}: width"
    live = Live(inbox_problems={good: "not a video: a.txt", wrong: text}, inboxes={good: "", wrong: text})
    with state_lock(config.paths.state):
        ServiceFile(config.paths.state).keep(gatherer.snapshot(live))
        assert presets(config, queue) == {"good": "ok", "new": "ok", "wrong": text}


def test_nor_is_that_of_an_inbox_that_cannot_be_read(config: Config, queue: Queue, gatherer: ServiceGatherer) -> None:
    away = config.paths.inbox / "good"
    with state_lock(config.paths.state):
        ServiceFile(config.paths.state).keep(gatherer.snapshot(Live(inbox_problems={away: "cannot be read"})))
        assert presets(config, queue) == {"good": None, "new": "ok", "wrong": "ok"}


def test_beside_a_service_the_inboxes_are_looked_at_if_asked_for(config: Config, queue: Queue) -> None:
    with state_lock(config.paths.state):
        taken = gather(config, queue, look=True)
    assert [bool(inbox.problem) for inbox in taken.inboxes] == [False, False, True]
    assert taken.problems == (), "what the service knows is all there is, it will find it"


def test_a_service_whose_file_cannot_be_read_is_a_problem(config: Config, queue: Queue) -> None:
    file = StateDirectory(config.paths.state).service
    file.symlink_to(file.name)
    with state_lock(config.paths.state):
        (problem,) = gather(config, queue).problems
    assert str(problem).startswith(f"cannot look at {file}: ")


def test_as_many_jobs_as_were_asked_for(config: Config, queue: Queue, tmp_path: Path) -> None:
    for index in range(13):
        number = add(queue, tmp_path, f"{index}.mp4")
        if index:
            fail(queue, number)
    kinds: tuple[Jobs, ...] = ("none", "open", "all")
    taken = [gather(config, queue, jobs=wanted) for wanted in kinds]
    assert [len(one.jobs) for one in taken] == [0, 11, 13]
    assert {one.queue.counts["failed"] for one in taken if one.queue} == {12}
    assert {one.queue.failed_today for one in taken if one.queue} == {12}


def claim(queue: Queue, number: int) -> str:
    job = queue.claims.claim(number, "{}", current_owner(), "cpu", 3)
    assert job is not None
    return str(job.lease)


FORECAST = {"source": [64, 36], "result": [128, 72], "model": [128, 128], "frames": 100}


def fill(queue: Queue, tmp_path: Path) -> None:
    """Jobs 1 to 8 in all states. Job 5 is to come before the others that wait, job 7 ended after 8."""
    for name in "abcdefgh":
        queue.forecasts.note(add(queue, tmp_path, f"{name}.mp4"), json.dumps(FORECAST))
    claim(queue, 2)
    claim(queue, 1)
    with queue.store.writing():
        queue.jobs.change(5, turn=1)
        queue.jobs.change(6, state="held", error="widht")
    fail(queue, 8, days_ago=0.001)
    fail(queue, 7)
    queue.rates.note("CPU", "nano", (128, 128), 1000, 100.0)
    queue.workers.set("cpu", 1, "CPU", "busy", 1)


ORDER = [2, 1, 5, 3, 4, 6, 7, 8]


def test_jobs_come_in_the_order_in_which_people_read_them(config: Config, queue: Queue, tmp_path: Path) -> None:
    fill(queue, tmp_path)
    taken = gather(config, queue)
    assert [job.id for job in taken.jobs] == ORDER
    assert {job.source_size for job in taken.jobs} == {(64, 36)}
    assert [job.done_in for job in taken.jobs] == [None] * 8, "no service is there to do them"
    left = {job.id for job in taken.jobs if job.seconds_left is not None}
    assert left == {5, 3, 4}, "those that ran were cut off"
    assert taken.queue is not None
    assert (taken.queue.ahead, taken.queue.ends) == (5, None)


def test_command_and_service_know_the_same_of_the_queue(
    config: Config, queue: Queue, gatherer: ServiceGatherer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(queue, tmp_path)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    gatherer.refresh()
    inside = gatherer.snapshot(Live())
    with state_lock(config.paths.state):
        beside = gather(config, queue)
        page = gather_job(config, queue, 3)
        assert gather_job(config, queue, 99) is None
        assert gather_job(config, queue, 1 << 70) is None
    assert inside.jobs == beside.jobs
    assert inside.queue == beside.queue
    assert inside.queue is not None
    assert inside.queue.ends is not None
    assert (inside.queue.ends.basis, inside.queue.unknown) == ("measured", 0)
    assert page is not None
    assert page.job == inside.jobs[3]
    assert page.job.done_in is not None
    assert page.job.done_in.most == pytest.approx(1.05 * 30)  # behind one that runs, and job 5


@pytest.mark.parametrize(
    ("live", "delay"),
    [
        (Live(mode=SERVING), 0.0),
        (Live(mode=RESTING, doing="paused until 07:00 by flashvsr pause", until=9000.0), 9000.0),
        (Live(mode=RESTING, doing="paused by flashvsr pause until flashvsr resume"), None),
        (Live(mode=STOPPING, doing="stopping: at once"), None),
    ],
    ids=["serving", "a rest", "a rest without an end", "stopping"],
)
def test_times_know_that_a_service_rests_or_stops(
    live: Live, delay: float | None,
    config: Config, queue: Queue, gatherer: ServiceGatherer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    fill(queue, tmp_path)
    monkeypatch.setattr(time, "time", lambda: 1000.0 * round(NOW / 1000))
    now = time.time()
    live = replace(live, until=live.until and now + live.until)
    gatherer.refresh()
    inside = gatherer.snapshot(live)
    with state_lock(config.paths.state):
        ServiceFile(config.paths.state).keep(inside)
        beside = gather(config, queue)
        page = gather_job(config, queue, 3)
    assert inside.queue is not None
    assert inside.service.mode == live.mode
    assert (beside.service, beside.queue, beside.jobs) == (inside.service, inside.queue, inside.jobs)
    assert page is not None
    assert page.job == inside.jobs[3]
    if delay is None:
        assert (inside.queue.ends, page.job.done_in) == (None, None)
    else:
        assert page.job.done_in is not None
        assert page.job.done_in.most == pytest.approx(delay + 1.05 * 30)


def test_times_know_the_hours_in_which_there_is_work(
    config: Config, queue: Queue, gatherer: ServiceGatherer, tmp_path: Path
) -> None:
    fill(queue, tmp_path)
    hour = time.localtime(time.time() + 3 * 3600).tm_hour
    run = f"{hour:02}:00-{hour:02}:30"
    gatherer.refresh()
    inside = gatherer.snapshot(Live(run=run))
    with state_lock(config.paths.state):
        beside = gather(replace(config, schedule=Schedule(run)), queue)
    for taken in (inside, beside):
        assert taken.queue is not None
        assert taken.queue.ends is not None
        assert 2 * 3600 < taken.queue.ends.least < 3 * 3600 + 60


def test_the_service_looks_at_few_jobs_of_a_flood_and_counts_the_others(
    gatherer: ServiceGatherer, queue: Queue, tmp_path: Path
) -> None:
    for index in range(MOST_WAITING + 3):
        queue.forecasts.note(add(queue, tmp_path, f"{index}.mp4"), json.dumps(FORECAST))
    queue.workers.set("cpu", 1, "CPU", "idle")
    gatherer.refresh()
    taken = gatherer.snapshot(Live())
    assert [job.id for job in taken.jobs] == list(range(1, MOST_WAITING + 1))
    assert taken.queue is not None
    assert (taken.queue.ahead, taken.queue.unknown) == (MOST_WAITING + 3, 3)


def test_while_a_job_runs_the_service_reads_the_others_now_and_then(
    gatherer: ServiceGatherer, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add(queue, tmp_path, "a.mp4"), add(queue, tmp_path, "b.mp4")
    lease = claim(queue, first)
    gatherer.refresh()
    queue.forecasts.note(second, json.dumps(FORECAST))
    queue.claims.heartbeat(first, lease, 7, 10, 1.0)
    gatherer.refresh()
    running, waiting = gatherer.snapshot(Live()).jobs
    assert (running.frames_done, waiting.source_size) == (7, None)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + REREAD_SECONDS)
    queue.claims.heartbeat(first, lease, 8, 10, 1.0)
    gatherer.refresh()
    running, waiting = gatherer.snapshot(Live()).jobs
    assert (running.frames_done, waiting.source_size) == (8, (64, 36))


def test_a_worker_that_loads_the_model_for_a_job(config: Config, queue: Queue, tmp_path: Path) -> None:
    queue.workers.set("cpu", 1, "CPU", "busy", add(queue, tmp_path, "a.mp4"))
    assert [job.phase for job in gather(config, queue).jobs] == [TURN], "what a worker of an earlier service left"
    with state_lock(config.paths.state):
        assert [job.phase for job in gather(config, queue).jobs] == [LOADING]


@pytest.mark.parametrize(
    "kept",
    ["{", "[1]", '{"source": [1], "result": "x", "model": [0, 1], "frames": "9", "remarks": 7, "skipped": null}'],
)
def test_a_forecast_of_any_content_is_no_harm(config: Config, queue: Queue, tmp_path: Path, kept: str) -> None:
    number = add(queue, tmp_path, "a.mp4")
    with queue.store.writing():
        queue.store.database.execute_sql("UPDATE job SET forecast = ?", (kept,))
    (job,) = gather(config, queue).jobs
    assert job.id == number
    assert (job.source_size, job.result_size, job.model_size, job.frames, job.remarks) == (None, None, None, None, ())
    assert (job.will_skip, job.refused) == ("", "")
