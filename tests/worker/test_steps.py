"""What each step of a worker asks, hands on and shows, in detail."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from flashvsr.errors import BadConfig, Damaged, NoSpace, Transient
from flashvsr.jobs.schema import Job
from flashvsr.outbox.publish import Outbox
from flashvsr.outbox.writable import OutboxClosed
from flashvsr.settings.service_tables import QueueSettings
from flashvsr.system import logs
from flashvsr.worker import loop as module
from flashvsr.worker.job_control import JobControl
from flashvsr.worker.places import is_published
from kits.played import Bench, Engine, crash


class Killed(BaseException):
    pass


def refuse(error: BaseException) -> Callable[..., NoReturn]:
    def refused(*_: object, **__: object) -> NoReturn:
        raise error

    return refused


def killed_after_publishing(bench: Bench, name: str = "clip.mov") -> int:
    number = bench.add(name)
    bench.upscaling.at["published"] = refuse(Killed())
    with pytest.raises(Killed):
        bench.new_loop().step()
    bench.upscaling.at.clear()
    bench.queue.claims.recover(lambda owner: True)
    return number


def shown(bench: Bench) -> tuple[str, int | None, str | None]:
    (worker,) = bench.queue.workers.all()
    return worker.state, worker.job, worker.error


@pytest.fixture
def shows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was written to the table of workers, each time."""
    seen: list[tuple[Any, ...]] = []
    write = bench.queue.workers.set

    def noted(slot: str, pid: int, label: str, *more: Any) -> None:
        seen.append(more)
        write(slot, pid, label, *more)

    monkeypatch.setattr(bench.queue.workers, "set", noted)
    return seen


def test_a_full_disk_is_tidied_though_no_job_starts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the folders of jobs that are over may be what fills it."""
    number = bench.add()
    crash(bench, number, attempts=1)
    bench.queue.requests.cancel(number)
    bench.add("later.mov")
    monkeypatch.setattr(module, "check_low_water", refuse(NoSpace("only 1 MiB free")))
    assert bench.loop.step() is False
    assert not bench.workdir(number).exists()
    assert shown(bench) == ("idle", None, "no job starts: only 1 MiB free")
    assert bench.upscaling.tasks == []


def test_what_is_logged_over_a_job_bears_its_number(bench: Bench) -> None:
    number = bench.add()
    seen: list[int | None] = []
    for moment in ("load", "start", "published"):
        bench.upscaling.at[moment] = lambda: seen.append(logs._current_job)
    bench.loop.step()
    assert (seen, logs._current_job) == ([number] * 3, None)


def test_a_queue_that_is_damaged_before_the_claim_ends_the_worker(bench: Bench) -> None:
    number = bench.add()
    bench.fail_at("load", Damaged("the queue database is damaged"))
    with pytest.raises(Damaged):
        bench.loop.step()
    assert (bench.job(number).state, bench.job(number).error) == ("queued", None)


def test_after_a_job_that_cannot_be_done_the_next_is_looked_for_at_once(bench: Bench) -> None:
    number, later = bench.add("a.mov"), bench.add("b.mov")
    (bench.inbox / "a.mov").unlink()
    assert bench.loop.step() is True
    assert bench.loop.step() is True
    assert [bench.job(one).state for one in (number, later)] == ["failed", "done"]


def test_a_result_that_is_out_needs_neither_its_source_nor_a_preset_nor_the_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = killed_after_publishing(bench)
    (bench.inbox / "clip.mov").unlink()
    (bench.inbox / "preset.toml").write_text("widht = 3\n")
    bench.fail_at("load", BadConfig("no weights"))
    loop = bench.new_loop()
    monkeypatch.setattr(loop._access, "check_writable", refuse(OutboxClosed("closed")))
    assert loop.step() is True
    assert (bench.job(number).state, bench.outputs()) == ("done", ["clip.mp4"])


@pytest.mark.parametrize("with_report", [True, False])
def test_a_row_of_an_earlier_version_is_recorded_as_far_as_it_goes(bench: Bench, with_report: bool) -> None:
    if with_report:
        (bench.inbox / "preset.toml").write_text("report = true\n")
    number = killed_after_publishing(bench)
    with bench.queue.store.writing():
        bench.queue.jobs.change(number, model=None, report=None, warnings=["so"])
    bench.new_loop().step()
    job = bench.job(number)
    assert (job.state, job.model, job.report, job.warnings) == ("done", "unknown", "{}", ["so"])
    assert bench.outputs() == ["clip.mp4"]


def test_a_report_that_cannot_be_written_keeps_no_result_from_being_recorded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.inbox / "preset.toml").write_text("report = true\n")
    number = killed_after_publishing(bench)
    monkeypatch.setattr(Outbox, "write_report", refuse(Transient("the share does not answer")))
    bench.new_loop().step()
    assert bench.job(number).state == "done"


@pytest.mark.parametrize("lacking", ["result", "result_size", "result_mtime_ns"])
def test_what_is_not_wholly_known_is_not_taken_for_published(bench: Bench, lacking: str) -> None:
    number = killed_after_publishing(bench)
    assert is_published(bench.config, bench.job(number))
    with bench.queue.store.writing():
        bench.queue.jobs.change(number, **{lacking: None})
    assert not is_published(bench.config, bench.job(number))


def test_the_model_of_a_result_is_what_its_report_says(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "name", "another")
    number = bench.add()
    bench.loop.step()
    assert bench.job(number).model == "played"


def test_each_closed_outbox_is_told_of_while_a_job_waits_for_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [bench.add(f"{name}.mov") for name in "abc"]
    closed = set(numbers)

    def check(job: Job) -> None:
        if job.id in closed:
            raise OutboxClosed(f"job {job.id} cannot be written")

    monkeypatch.setattr(bench.loop._access, "check_writable", check)

    def rest(work: int = 0) -> str | None:
        assert [bench.loop.step() for _ in range(work + 1)] == [True] * work + [False]
        return shown(bench)[2]

    assert rest(work=3) == f"job {numbers[0]} cannot be written"
    closed.remove(numbers[0])
    bench.make_due(numbers[0])
    assert rest(work=1) == f"job {numbers[1]} cannot be written", "the first one is done"
    bench.queue.requests.cancel(numbers[1])
    assert rest() == f"job {numbers[2]} cannot be written", "nobody waits for the second one"
    bench.add("d.mov")
    assert rest(work=1) == f"job {numbers[2]} cannot be written", "another outbox is open"
    closed.clear()
    bench.make_due(numbers[2])
    bench.fail_at("start", Transient("no answer"))
    assert rest(work=1) is None, "it waits for something else now"


@pytest.mark.parametrize("held", [0, 1])
def test_a_wrong_preset_that_holds_nothing_is_no_work(bench: Bench, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (bench.inbox / "preset.toml").write_text("widht = 3\n")
    bench.add("trip/a.mov")
    asked: list[Path] = []

    def hold(inbox: Path, why: str) -> int:
        asked.append(inbox)
        return held

    monkeypatch.setattr(bench.queue.intake, "hold", hold)
    assert bench.loop.step() is bool(held)
    assert asked == [bench.inbox], "the preset is that of the inbox, not of the folder"


def test_loading_says_from_time_to_time_what_it_does(
    bench: Bench, shows: list[tuple[Any, ...]], clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.add()

    def load(config: Any, tell: Callable[[str], None]) -> Engine:
        for message in ("one", "two", "three"):
            tell(message)
            clock.ticks += module.MESSAGE_SECONDS / 2 + 0.1
        return Engine()

    monkeypatch.setattr(bench.upscaling, "load_engine", load)
    bench.loop.step()
    assert [what for what in shows if what[2]] == [("busy", number, "one"), ("busy", number, "three")]
    assert shows[-1] == ("busy", number, None)


def test_who_only_waits_writes_nothing(bench: Bench, shows: list[tuple[Any, ...]]) -> None:
    for _ in range(5):
        bench.loop.step()
    assert shows == [("idle", None, None)]


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGUSR1])
def test_a_worker_that_is_to_leave_loads_no_model(
    bench: Bench, order: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.add()

    def load(config: Any, tell: Callable[[str], None]) -> Engine:
        bench.arrivals.queued.append(order)
        tell("fetching")
        raise AssertionError("it goes on")

    monkeypatch.setattr(bench.upscaling, "load_engine", load)
    assert bench.loop.step() is False
    assert (bench.job(number).state, bench.job(number).attempts, bench.job(number).claimed) == ("queued", 0, None)


def test_what_the_work_on_a_job_is_given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    class Noted(JobControl):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            given.append(more)
            super().__init__(*arguments, **more)

    monkeypatch.setattr(module, "JobControl", Noted)
    (bench.inbox / "preset.toml").write_text('container = "mkv"\nseed = 7\n')
    bench.config = replace(bench.config, queue=QueueSettings(min_free=5))
    loop = bench.new_loop()
    number = bench.add()
    loop.step()
    assert bench.job(number).state == "done"
    (more,) = given
    assert (more["min_free"], more["trees"]) == (5, bench.config.trees())
    assert (more["check_shares"], more["follow"]) == (loop._access.check_shares, loop._whereabouts.follow)
    films = bench.root / "inbox" / "films"
    task = more["task"](Job(id=number, inbox=str(films), source=str(films / "a.mov"), relative="a.mov"))
    assert (task.target, task.preset.seed) == (bench.root / "outbox" / "films" / "a.mkv", 7)
