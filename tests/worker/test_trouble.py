"""What goes wrong in a step, and what is recorded, waited for and put in order then; and new settings."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from flashvsr.errors import BadConfig, BadInput, Cancelled, NoSpace, Transient
from flashvsr.files.mounts import ShareAway
from flashvsr.settings.service_tables import ExtraInbox
from flashvsr.system import logs
from flashvsr.worker import loop as module
from flashvsr.worker.marker import Marker
from flashvsr.worker.sweep import Sweep
from kits.played import Bench, crash


def refuse(error: BaseException) -> Callable[..., NoReturn]:
    def refused(*_: object, **__: object) -> NoReturn:
        raise error

    return refused


@pytest.mark.parametrize("place", ["clips/film.mov", "films/clip.mov"])
def test_a_file_that_moved_while_it_was_opened_is_not_to_blame(bench: Bench, place: str) -> None:
    number = bench.add()
    new = bench.root / "inbox" / place
    new.parent.mkdir(exist_ok=True)

    def moved() -> None:
        (bench.inbox / "clip.mov").rename(new)
        raise BadInput("no such file")

    bench.upscaling.at["start"] = moved
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts, job.source) == ("queued", 0, str(new))
    assert bench.delay(number) <= 0


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


def test_memory_is_given_back_and_mistakes_are_logged_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    freed: list[str] = []
    number = bench.add()
    for error, expected in (
        (OutOfMemoryError("CUDA out of memory"), (1, False)),
        (Transient("no answer"), (0, False)),
        (ValueError("a mistake"), (0, True)),
    ):
        freed.clear()
        caplog.clear()
        monkeypatch.setattr(module, "free_gpu_memory", lambda: freed.append("freed"))
        bench.fail_at("start", error)
        bench.make_due(number)
        bench.loop.step()
        assert (len(freed), "Traceback" in caplog.text) == expected


def test_what_costs_nothing_to_ask_again_does_not_change_how_long_others_wait(bench: Bench) -> None:
    number = bench.add()
    delays = []
    for error in (Transient("a"), Transient("b"), ShareAway("c"), ShareAway("d"), Transient("e")):
        bench.fail_at("start", error)
        bench.make_due(number)
        bench.loop.step()
        delays.append(round(bench.delay(number), -1))
    assert delays == [10, 20, 10, 10, 40]


@pytest.mark.parametrize("end", [BadInput("no picture"), Cancelled("cancelled")], ids=["failed", "cancelled"])
def test_what_a_person_tries_again_waits_as_if_for_the_first_time(bench: Bench, end: Exception) -> None:
    number = bench.add()
    delays = []
    for error in (Transient("a"), Transient("b"), end, Transient("c")):
        bench.fail_at("start", error)
        bench.make_due(number)
        bench.loop.step()
        if error is end:
            bench.queue.requests.retry(number)
        else:
            delays.append(round(bench.delay(number), -1))
    assert delays == [10, 20, 10]


@pytest.mark.parametrize("order", [None, signal.SIGTERM, signal.SIGUSR1])
def test_an_end_that_cannot_be_recorded_is_tried_until_the_worker_has_to_leave(
    bench: Bench, clock: SimpleNamespace, order: signal.Signals | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.add()
    requeue, tries = bench.queue.claims.requeue, []

    def full(*arguments: Any, **more: Any) -> None:
        tries.append(number)
        if order is not None:
            bench.arrivals.queued.append(order)
        if len(tries) < 4:
            raise NoSpace("the disk is full")
        requeue(*arguments, **more)

    monkeypatch.setattr(bench.queue.claims, "requeue", full)
    bench.fail_at("start", Transient("no answer"))
    if order is None:
        bench.loop.step()
        assert clock.slept == [module.FULL_SECONDS] * 3
        assert bench.job(number).state == "queued"
    else:
        with pytest.raises(NoSpace):
            bench.loop.step()
        assert (len(tries), clock.slept, bench.job(number).state) == (1, [], "running")


@pytest.mark.parametrize("cancelled", [True, False])
def test_an_end_is_one_workers_and_is_not_taken_for_a_stall(
    bench: Bench, cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashvsr.worker.job_control.HEARTBEAT_SECONDS", 0.0)
    number = bench.add()
    seen: list[object] = []

    def salvage(task: Any, config: Any, reason: str, working: Callable[[], None]) -> None:
        with Marker(bench.workdir(number).with_name(f"{number}.ending")).alone() as alone:
            seen.append(alone)
        before = bench.job(number).progress_ticks
        working()
        seen.append(bench.job(number).progress_ticks > before)

    monkeypatch.setattr(bench.upscaling, "salvage", salvage)
    bench.upscaling.at[5] = (lambda: bench.queue.requests.cancel(number)) if cancelled else refuse(BadInput("broken"))
    bench.loop.step()
    assert seen == [False, True]
    assert bench.job(number).state == ("cancelled" if cancelled else "failed")


def test_new_settings_hold_for_all_parts(bench: Bench) -> None:
    films = bench.root / "films"
    films.mkdir()
    bench.config = replace(bench.config, extra_inboxes=(ExtraInbox(films, bench.root / "done"),))
    bench.config = replace(bench.config, service=replace(bench.config.service, log_level="error"))
    bench.arrivals.queued.append(signal.SIGHUP)
    (films / "a.mov").write_bytes(b"video")
    number = bench.queue.intake.add(films, films / "a.mov", "a.mov", (films / "a.mov").lstat())
    assert number is not None
    level = logging.getLogger(logs.ROOT).level
    try:
        bench.loop.step()
        assert logging.getLogger(logs.ROOT).level == logging.ERROR
    finally:
        logging.getLogger(logs.ROOT).setLevel(level)
    assert bench.job(number).result == str(bench.root / "done" / "a.mp4")
    assert (bench.job(number).settled is not None, bench.workdir(number).exists()) == (True, False)


def test_wrong_settings_are_not_taken_over(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    loop = bench.new_loop()
    loop._read_config = refuse(BadConfig("queue.min_free = -1\nis too small"))
    bench.arrivals.queued.append(signal.SIGHUP)
    number = bench.add()
    assert loop.step() is True
    assert bench.job(number).state == "done"
    assert "queue.min_free = -1" in caplog.text


def test_a_job_given_up_is_put_in_order_by_whoever_gave_it_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    number = bench.add()
    crash(bench, number, attempts=2)
    monkeypatch.setattr(Sweep, "step", lambda _: None)
    assert bench.loop.step() is True
    assert bench.outputs() == ["clip.mov.error.txt", "clip_partial.mp4"]
    assert not bench.workdir(number).exists()
