"""The order of an ending: the partial video, the text that tells of it, the record, and the chunks go last.

A worker that is killed between two of them leaves enough for the next one; what only has to wait is no failed try.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from flashvsr.errors import BadInput, LeaseLost, NoSpace, Transient
from flashvsr.jobs.claims import Claims
from flashvsr.jobs.history import History
from flashvsr.jobs.owner import Owner
from flashvsr.jobs.schema import Job
from flashvsr.outbox.publish import Outbox
from flashvsr.worker import sweep
from flashvsr.worker.conclusion import Conclusion
from flashvsr.worker.marker import MOST_TRIES
from flashvsr.worker.whereabouts import Whereabouts
from kits.played import Bench, crash

ENDED_BADLY = ["clip.mov.error.txt", "clip_partial.mp4"]


class Killed(BaseException):
    """Ends a worker at once: nothing that handles errors handles it."""


def kill(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture(autouse=True)
def sweeps_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)


def fail_for_good(bench: Bench) -> int:
    number = bench.add()
    bench.fail_at(5, BadInput("broken"))
    return number


def cancel(bench: Bench) -> int:
    number = bench.add()
    bench.upscaling.at[5] = lambda: bench.queue.requests.cancel(number)
    return number


def use_up(bench: Bench) -> int:
    number = bench.add()
    crash(bench, number, attempts=2)
    return number


def cancel_in_waiting(bench: Bench) -> int:
    number = bench.add()
    crash(bench, number, attempts=1)
    assert bench.queue.requests.cancel(number) == "cancelled"
    return number


WAITING = [
    Transient("the share does not answer"),
    NoSpace("the disk is full"),
    OSError(errno.EIO, "Input/output error", "/out/clip_partial.mp4"),
    OSError(errno.ESTALE, "Stale file handle", "/out/clip_partial.mp4"),
]


@pytest.mark.slow
@pytest.mark.parametrize("error", WAITING, ids=["transient", "no space", "disk", "share"])
@pytest.mark.parametrize("begin", [fail_for_good, use_up, cancel_in_waiting])
def test_what_has_to_wait_is_no_try(begin: Callable[[Bench], int], error: Exception, bench: Bench) -> None:
    number = begin(bench)
    bench.fail_at("salvage", error)
    for _ in range(2 * MOST_TRIES + 1):
        bench.new_loop().step()
    assert len(bench.upscaling.salvaged) == 2 * MOST_TRIES + 1
    assert "clip_partial.mp4" not in bench.outputs()
    assert bench.workdir(number).exists()
    del bench.upscaling.at["salvage"]
    bench.new_loop().step()
    assert bench.job(number).result == str(bench.outbox / "clip_partial.mp4")
    assert bench.outputs() == ENDED_BADLY[begin is cancel_in_waiting :]
    assert not bench.workdir(number).exists()


@pytest.mark.parametrize("begin", [fail_for_good, use_up])
def test_a_text_that_has_to_wait_costs_the_partial_video_no_try(
    begin: Callable[[Bench], int], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = begin(bench)

    def refuse(*_: object) -> None:
        raise Transient("the share does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "write_error_text", refuse)
        for _ in range(2 * MOST_TRIES + 1):
            bench.new_loop().step()
    assert bench.job(number).state == "failed"
    bench.new_loop().step()
    assert bench.job(number).result == str(bench.outbox / "clip_partial.mp4")
    assert bench.outputs() == ENDED_BADLY


def test_a_try_that_failed_ends_without_a_partial_video(bench: Bench) -> None:
    number = fail_for_good(bench)
    bench.fail_at("salvage", ValueError("a mistake"))
    bench.loop.step()
    bench.new_loop().step()
    assert len(bench.upscaling.salvaged) == 1
    assert (bench.job(number).state, bench.job(number).result) == ("failed", None)
    assert bench.outputs() == ["clip.mov.error.txt"]
    assert not bench.workdir(number).exists()


def test_a_lease_lost_over_the_partial_video_ends_nothing(bench: Bench) -> None:
    number = fail_for_good(bench)
    bench.fail_at("salvage", LeaseLost(f"job {number} is no longer this worker's"))
    bench.loop.step()
    assert bench.job(number).state == "running"
    assert bench.outputs() == []
    assert bench.workdir(number).exists()


def test_a_job_taken_over_while_its_file_is_looked_for_is_not_ended_by_the_lease_of_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = fail_for_good(bench)
    present = Whereabouts.present

    def late(self: Whereabouts, job: Job) -> Job:
        if bench.job(number).slot == "cpu":
            assert bench.queue.claims.recover(lambda owner: True) == [number]
            assert bench.queue.claims.claim(number, "{}", Owner("elsewhere", 1, "1"), "gpu9", 5)
        return present(self, job)

    def taken_over() -> NoReturn:
        monkeypatch.setattr(Whereabouts, "present", late)
        raise ValueError("a mistake")  # no fault of the file, so nobody looks for it before it ends

    bench.config = replace(bench.config, queue=replace(bench.config.queue, max_attempts=1))
    bench.upscaling.at[5] = taken_over
    bench.new_loop().step()
    assert (bench.job(number).state, bench.job(number).slot) == ("running", "gpu9")


RECORDS = [
    (fail_for_good, Claims, "fail", ENDED_BADLY),
    (cancel, Claims, "cancelled", ["clip_partial.mp4"]),
    (use_up, History, "add_partial", ENDED_BADLY),
    (cancel_in_waiting, History, "add_partial", ["clip_partial.mp4"]),
]


@pytest.mark.parametrize(("begin", "part", "record", "outputs"), RECORDS)
def test_whoever_sees_the_record_finds_the_rest_in_place(
    begin: Callable[[Bench], int],
    part: type[Any],
    record: str,
    outputs: list[str],
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flashvsr.worker.job_control.HEARTBEAT_SECONDS", 0.0)
    number = begin(bench)
    found: list[tuple[list[str], bool]] = []
    original = getattr(part, record)

    def noted(*arguments: Any) -> None:
        found.append((bench.outputs(), bench.workdir(number).exists()))
        original(*arguments)

    monkeypatch.setattr(part, record, noted)
    bench.loop.step()
    assert found == [(outputs, True)], "the chunks are there until it is recorded"
    assert bench.outputs() == outputs
    assert not bench.workdir(number).exists()


def before(function: Callable[..., Any]) -> Callable[..., Any]:
    return kill


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    def killed(*arguments: Any, **options: Any) -> None:
        function(*arguments, **options)
        kill()

    return killed


STEPS = {
    "partial": (Conclusion, "_partial"),
    "text": (Conclusion, "_tell"),
    "fail": (Claims, "fail"),
    "cancelled": (Claims, "cancelled"),
    "add_partial": (History, "add_partial"),
    "clear": (Conclusion, "clear"),
    "claim": (Claims, "claim"),
}
MOMENTS = [
    (begin, step, when)
    for begin, steps in (
        (fail_for_good, ("partial", "text", "fail", "clear")),
        (cancel, ("partial", "cancelled", "clear")),
        (use_up, ("claim", "partial", "text", "add_partial", "clear")),
        (cancel_in_waiting, ("partial", "add_partial", "clear")),
    )
    for step in steps
    for when in (before, after)
]


@pytest.mark.slow
@pytest.mark.parametrize(("begin", "step", "when"), MOMENTS)
def test_a_worker_killed_between_two_steps_leaves_enough_for_the_next(
    begin: Callable[[Bench], int], step: str, when: Callable[..., Any], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashvsr.worker.job_control.HEARTBEAT_SECONDS", 0.0)
    number = begin(bench)
    owner, name = STEPS[step]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, when(getattr(owner, name)))
        with pytest.raises(Killed):
            bench.loop.step()
    ends_well(bench, number, cancelled=begin in (cancel, cancel_in_waiting))


def ends_well(bench: Bench, number: int, *, cancelled: bool = False) -> None:
    """Let new workers see to it, and look at what is there in the end."""
    bench.queue.claims.recover(lambda owner: True)
    for _ in range(4):
        if bench.job(number).state == "queued":
            bench.make_due(number)
        bench.new_loop().step()
    job = bench.job(number)
    assert job.state == ("cancelled" if cancelled else "failed")
    assert ("clip.mov.error.txt" in bench.outputs()) == (not cancelled)
    assert job.result in [str(bench.outbox / name) for name in bench.outputs()]
    assert list((bench.root / "state" / "jobs").iterdir()) == []


@pytest.mark.parametrize("when", [before, after])
def test_a_job_without_chunks_that_is_given_up_has_its_text(
    when: Callable[..., Any], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would lead the next worker to it."""
    number = use_up(bench)
    (bench.workdir(number) / "chunk").unlink()
    bench.workdir(number).rmdir()
    with monkeypatch.context() as patch:
        patch.setattr(bench.queue.claims, "claim", when(bench.queue.claims.claim))
        with pytest.raises(Killed):
            bench.loop.step()
    bench.new_loop().step()
    bench.new_loop().step()
    assert bench.job(number).state == "failed"
    assert bench.outputs() == ["clip.mov.error.txt"]
    assert list((bench.root / "state" / "jobs").iterdir()) == []


def test_a_text_that_waits_is_written_by_the_next_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    number = bench.add()
    bench.fail_at("start", BadInput("no video"))

    def refuse(*_: object) -> None:
        raise Transient("the share does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "write_error_text", refuse)
        patch.setattr(bench.queue.claims, "fail", after(bench.queue.claims.fail))
        with pytest.raises(Killed):
            bench.loop.step()
    assert bench.job(number).state == "failed"
    assert bench.outputs() == []
    bench.new_loop().step()
    assert bench.outputs() == ["clip.mov.error.txt"]
    assert list((bench.root / "state" / "jobs").iterdir()) == []
