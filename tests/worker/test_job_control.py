"""What the work on a job tells, hears and asks: each question by itself."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from flashvsr.errors import Interrupted, NoSpace, SourceRenamed, Transient
from flashvsr.files.mounts import ShareAway
from flashvsr.files.trees import Trees
from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.schema import Job
from flashvsr.worker import job_control as module
from flashvsr.worker.job_control import JobControl
from flashvsr.worker.orders import Orders
from flashvsr.worker.source import InboxGone, SourceChanged, SourceGone
from kits.played import Bench, report


@pytest.fixture
def job(bench: Bench) -> Job:
    job = bench.queue.claims.claim(bench.add("a/clip.mov"), "{}", current_owner(), "cpu", 3)
    assert job is not None
    return job


@pytest.fixture
def control(bench: Bench, job: Job) -> Callable[..., JobControl]:
    return lambda **more: JobControl(bench.queue, job, Orders(bench.arrivals), **more)


def renamed(job: Job, **names: str) -> Callable[[Job], Job]:
    """Follows to another name, as the watcher and the worker do."""

    def follow(asked: Job) -> Job:
        values = {name: getattr(asked, name) for name in ("inbox", "source", "relative")} | names
        return Job(id=job.id, lease="of another", **values)

    return follow


def refuse(error: Exception) -> Callable[..., NoReturn]:
    def refused(*_: object) -> NoReturn:
        raise error

    return refused


def publish(control: JobControl, result: Path) -> None:
    control.publishing(report(result), 1234, 99)


def test_what_is_known_of_an_earlier_attempt_stays_until_there_is_more(bench: Bench, job: Job) -> None:
    job.frames_done, job.frames_total = 40, 80
    JobControl(bench.queue, job, Orders(bench.arrivals)).working()
    assert (bench.job(job.id).frames_done, bench.job(job.id).frames_total) == (40, 80)


def test_the_first_word_is_heard_whatever_the_clock_says(
    bench: Bench, job: Job, control: Callable[..., JobControl]
) -> None:
    control(clock=lambda: 0.0).progress(1, 80, 2.5)
    assert (bench.job(job.id).frames_done, bench.job(job.id).frames_total, bench.job(job.id).fps) == (1, 80, 2.5)


def test_telling_twice_a_second_is_enough(bench: Bench, job: Job, control: Callable[..., JobControl]) -> None:
    now = [7.0]
    asked = control(clock=lambda: now[0])
    seen = []
    for frame in range(1, 21):
        asked.progress(frame, 100, 1.0)
        seen.append(bench.job(job.id).frames_done)
        now[0] += 0.1
    assert len(set(seen)) in (4, 5)
    assert 0.2 <= module.HEARTBEAT_SECONDS <= 2, "a person who cancels waits for it, and each one waits for the disk"


def test_putting_in_order_is_ended_by_nobody_who_only_wants_the_work_to_stop(
    bench: Bench, job: Job, control: Callable[..., JobControl]
) -> None:
    before = bench.job(job.id).progress_ticks
    bench.queue.requests.cancel(job.id)
    bench.arrivals.queued.append(signal.SIGTERM)
    asked = control()
    asked.ending()
    assert bench.job(job.id).progress_ticks > before
    with pytest.raises(Interrupted):
        asked.progress(1, 80, 1.0)


def test_a_request_to_finish_first_stops_nothing(bench: Bench, control: Callable[..., JobControl]) -> None:
    bench.arrivals.queued.append(signal.SIGUSR1)
    control().progress(1, 80, 1.0)


def test_a_disk_that_runs_low_is_found_before_anything_is_written_to_it(
    bench: Bench, job: Job, control: Callable[..., JobControl], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def low(place: Path, min_free: int) -> None:
        asked.append((place, min_free))
        raise NoSpace("low")

    monkeypatch.setattr(module, "check_low_water", low)
    with pytest.raises(NoSpace):
        control(min_free=77).progress(80, 80, 1.0)
    assert asked == [(bench.root / "state", 77)]
    assert bench.job(job.id).frames_done == 0


def test_the_room_that_is_asked_for_leaves_what_must_stay_free(
    control: Callable[..., JobControl], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(module, "check_room", lambda trees, needs, free: asked.append((trees, list(needs), free)))
    trees = Trees((Path("/out"),))
    control(min_free=77, trees=trees).check_room([(Path("/out"), 5)])
    assert asked == [(trees, [(Path("/out"), 5)], 77)]


def test_the_shares_are_those_of_the_job_as_it_is_called_now(control: Callable[..., JobControl], job: Job) -> None:
    asked: list[str] = []
    moved = control(follow=renamed(job, inbox="/in/films"), check_shares=lambda job: asked.append(job.inbox))
    task: Any = object()
    moved.check_outbox()
    assert moved.present(task) is task
    moved.check_outbox()
    assert asked == [job.inbox, "/in/films"]
    with pytest.raises(ShareAway):
        control(check_shares=refuse(ShareAway("away"))).check_outbox()


@pytest.mark.parametrize("error", [SourceGone("gone"), InboxGone("gone")])
def test_a_file_that_was_taken_away_has_its_result_under_its_last_name(
    bench: Bench, job: Job, control: Callable[..., JobControl], error: Exception
) -> None:
    asked = control(follow=refuse(error), task=lambda job: job.source)
    task: Any = object()
    named: Any = asked.present(task)
    assert named == job.source
    publish(asked, bench.outbox / "clip.mp4")
    row = bench.job(job.id)
    assert (row.result, row.result_size, row.result_mtime_ns) == (str(bench.outbox / "clip.mp4"), 1234, 99)
    assert (row.model, json.loads(row.report)["frames"], row.warnings) == ("played", 10, ["a warning"])


@pytest.mark.parametrize("error", [SourceChanged("changed"), Transient("no answer")])
def test_a_file_that_changed_has_none(
    bench: Bench, job: Job, control: Callable[..., JobControl], error: Exception
) -> None:
    task: Any = object()
    with pytest.raises(type(error)):
        control(follow=refuse(error)).present(task)
    with pytest.raises(type(error)):
        publish(control(follow=refuse(error)), bench.outbox / "clip.mp4")
    assert bench.job(job.id).result is None


@pytest.mark.parametrize("names", [{"inbox": "/in/films"}, {"relative": "b/clip.mov"}], ids=["inbox", "name"])
def test_a_result_gets_no_name_that_its_source_has_no_longer(
    bench: Bench, job: Job, control: Callable[..., JobControl], names: dict[str, str]
) -> None:
    asked = control(follow=renamed(job, **names, source="/in/where it is"), task=lambda job: (job.inbox, job.relative))
    with pytest.raises(SourceRenamed, match="the file is called /in/where it is now"):
        publish(asked, bench.outbox / "clip.mp4")
    assert bench.job(job.id).result is None
    task: Any = object()
    named: Any = asked.present(task)
    assert named == (names.get("inbox", job.inbox), names.get("relative", job.relative))
    publish(asked, bench.outbox / "clip.mp4")
    assert bench.job(job.id).result == str(bench.outbox / "clip.mp4"), "it is told by the lease that it began with"
