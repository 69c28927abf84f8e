"""What each kind of error does to the job: played on a real queue and real directories."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import BadInput, Crashed, Transient
from flashvsr.worker import sweep
from flashvsr.worker.faults import judge, out_of_gpu_memory
from kits.played import Bench, replace_source


def test_bad_input_fails_at_once_with_a_partial_and_a_text(bench: Bench) -> None:
    number = bench.add()
    bench.fail_at(5, BadInput("the picture data ends"))
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.error_kind, job.error) == ("failed", "bad_input", "the picture data ends")
    assert job.result == str(bench.outbox / "clip_partial.mp4")
    assert bench.outputs() == ["clip.mov.error.txt", "clip_partial.mp4"]
    text = (bench.outbox / "clip.mov.error.txt").read_text()
    assert "the picture data ends" in text
    assert "clip_partial.mp4" in text
    assert f"flashvsr retry {number}" in text
    assert (bench.inbox / "clip.mov").exists()
    assert list((bench.root / "state" / "jobs").iterdir()) == []


@pytest.mark.parametrize("age", [0.0, -30.0])
def test_a_young_file_may_still_be_arriving(bench: Bench, age: float) -> None:
    number = bench.add(age=age)
    bench.fail_at("start", BadInput("no video stream"))
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts) == ("queued", 0)
    assert 0 < bench.delay(number) <= 1.0
    assert "still being copied" in job.error


def test_a_file_from_the_far_future_does_not_stay_young_for_ever(bench: Bench) -> None:
    number = bench.add(age=-100_000)
    bench.fail_at("start", BadInput("no video stream"))
    bench.loop.step()
    assert bench.job(number).state == "failed"


def test_a_source_that_ends_who_looks_at_it_costs_attempts_and_no_worker(bench: Bench) -> None:
    number, later = bench.add("a.mov"), bench.add("b.mov")
    bench.upscaling.at["start"] = lambda: _crash_of("a.mov", bench)
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.error_kind, job.attempts) == ("queued", "crash", 1)
    assert bench.delay(number) > 1
    bench.loop.step()
    assert bench.job(later).state == "done"
    bench.make_due(number)
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.error_kind, job.attempts, job.error) == ("failed", "crash", 2, "ended by SIGSEGV")
    assert not bench.loop.broken


def _crash_of(name: str, bench: Bench) -> None:
    if bench.upscaling.tasks[-1].source.name == name:
        raise Crashed("ended by SIGSEGV")


def test_the_delay_after_a_crash_grows_with_the_attempts(bench: Bench) -> None:
    job = bench.job(bench.add())
    delays = []
    for job.attempts in (1, 2, 3):
        verdict = judge(Crashed("ended by SIGSEGV"), job, settle_seconds=1.0, max_attempts=9, failures=5)
        delays.append(verdict.delay)
    assert delays == [10, 20, 40]


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


def test_out_of_memory_is_known_in_what_it_was_turned_into() -> None:
    refusal = BadInput("too large")
    refusal.__context__ = OutOfMemoryError("CUDA out of memory")
    assert out_of_gpu_memory(refusal)
    assert not out_of_gpu_memory(BadInput("no video"))


@pytest.mark.parametrize(
    "error",
    [
        Transient("no space"),
        OutOfMemoryError("CUDA out of memory"),
        OSError(5, "Input/output error"),
        MemoryError(),
    ],
)
def test_transient_errors_back_off_and_cost_no_attempt(bench: Bench, error: Exception) -> None:
    number, later = bench.add("a.mov"), bench.add("b.mov")
    bench.fail_at(3, error)
    delays = []
    for _ in range(8):
        bench.make_due(number)
        bench.loop.step()
        delays.append(round(bench.delay(number), -1))
    assert delays == [10, 20, 40, 80, 160, 320, 600, 600]
    job = bench.job(number)
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "transient")
    assert bench.workdir(number).exists()  # its chunks are for the next try
    bench.make_due(number)
    candidate = bench.queue.claims.next_candidate(time.time())
    assert candidate is not None
    assert candidate.id == number < later  # it kept its place
    assert not bench.loop.broken


def test_a_full_disk_is_asked_again_every_minute(bench: Bench) -> None:
    number = bench.add()
    bench.fail_at(3, OSError(28, "No space left on device", "/share/x.part"))
    delays = []
    for _ in range(5):
        bench.make_due(number)
        bench.loop.step()
        delays.append(round(bench.delay(number), -1))
    assert delays == [10, 20, 40, 60, 60]
    job = bench.job(number)
    assert (job.state, job.attempts) == ("queued", 0)
    assert job.error == "cannot use /share/x.part: No space left on device; free some space there"


def test_unexpected_errors_count_and_fail_in_the_end(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    number = bench.add()
    bench.fail_at(4, ValueError("shapes differ\nsecond line"))
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts, job.error_kind) == ("queued", 1, "internal")
    assert "ValueError: shapes differ" in job.error
    assert bench.delay(number) > 5
    bench.make_due(number)
    bench.loop.step()
    assert (bench.job(number).state, bench.job(number).attempts) == ("failed", 2)
    assert bench.outputs() == ["clip.mov.error.txt", "clip_partial.mp4"]


@pytest.mark.parametrize(
    ("text", "attempts"),
    [("CUDA error: an illegal memory access was encountered", 1), ("No CUDA-capable device", 0)],
)
def test_after_a_cuda_error_the_process_is_done(bench: Bench, text: str, attempts: int) -> None:
    """It takes no other job, although two are due; a new process takes them."""
    number, later = bench.add("a.mov"), bench.add("b.mov")
    bench.fail_at(4, RuntimeError(text))
    assert not bench.loop.broken
    bench.loop.step()
    assert bench.loop.broken
    bench.upscaling.at.clear()
    bench.make_due(number)
    assert bench.loop.step() is False
    assert (bench.job(number).state, bench.job(number).attempts) == ("queued", attempts)
    assert (bench.job(later).state, bench.job(later).attempts) == ("queued", 0)
    assert [task.job_id for task in bench.upscaling.tasks] == [number]
    new = bench.new_loop()
    assert new.step() is True
    assert new.step() is True
    assert [bench.job(one).state for one in (number, later)] == ["done", "done"]
    assert bench.upscaling.engines == 2, "the new process has its own model"


def test_after_any_other_error_the_process_goes_on(bench: Bench) -> None:
    number, later = bench.add("a.mov"), bench.add("b.mov")
    bench.fail_at(4, RuntimeError("shapes differ"))
    bench.loop.step()
    assert not bench.loop.broken
    bench.upscaling.at.clear()
    assert bench.loop.step() is True
    assert (bench.job(number).state, bench.job(later).state) == ("queued", "done")
    assert bench.upscaling.engines == 1


def test_cancel_leaves_a_partial(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashvsr.worker.job_control.HEARTBEAT_SECONDS", 0.0)
    number = bench.add()
    bench.upscaling.at[5] = lambda: bench.queue.requests.cancel(number)
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.result) == ("cancelled", str(bench.outbox / "clip_partial.mp4"))
    assert bench.outputs() == ["clip_partial.mp4"]
    assert not bench.workdir(number).exists()


def test_a_deleted_source_fails(bench: Bench) -> None:
    number = bench.add(age=0)
    (bench.inbox / "clip.mov").unlink()
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.error_kind) == ("failed", "bad_input.gone")
    assert "the file is gone" in job.error
    assert bench.upscaling.engines == 0


def test_a_share_that_is_away_is_no_deletion(bench: Bench) -> None:
    number = bench.add()
    bench.inbox.rename(bench.root / "unmounted")
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "transient")
    assert "is its share mounted?" in job.error
    bench.inbox.mkdir()
    with bench.queue.store.writing():
        bench.queue.jobs.change(number, device=job.device + 1, not_before=0.0)  # an empty mount point is another device
    bench.loop.step()
    assert bench.job(number).state == "queued"
    assert list(bench.inbox.iterdir()) == []  # and nothing is written there


@pytest.mark.parametrize("moment", ["before", 5, "publish"])
def test_a_file_that_changes_is_done_in_its_new_version_only(
    bench: Bench, moment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)
    number = bench.add()
    if moment == "before":
        replace_source(bench)
    else:
        bench.upscaling.at[moment] = lambda: replace_source(bench)
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts) == ("queued", 0)
    assert "the file changed" in job.error
    bench.upscaling.at.clear()
    source = bench.inbox / "clip.mov"
    newer = bench.queue.intake.add(bench.inbox, source, "clip.mov", source.lstat())  # as the watcher does
    assert newer is not None
    assert bench.job(number).state == "cancelled"
    bench.loop.step()
    assert bench.job(newer).state == "done"
    assert bench.outputs() == ["clip.mp4"]
    assert (bench.outbox / "clip.mp4").read_bytes() == b"upscaled a longer new version"


def test_an_inbox_that_left_the_settings_is_said(bench: Bench) -> None:
    bench.add()
    bench.loop.step()
    elsewhere = bench.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.mov").write_bytes(b"x")
    added = bench.queue.intake.add(elsewhere, elsewhere / "x.mov", "x.mov", (elsewhere / "x.mov").lstat())
    assert added is not None
    bench.loop.step()
    job = bench.job(added)
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "config")
    assert "no longer an inbox" in job.error


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_something_else_under_the_name_of_a_waiting_file_ends_its_job(bench: Bench, kind: str) -> None:
    """Nothing of that name would ever be queued, so nothing would ever replace the job."""
    number = bench.add()
    source = Path(bench.job(number).source)
    source.unlink()
    put: dict[str, Callable[[], object]] = {
        "link": lambda: source.symlink_to("/etc/passwd"),
        "pipe": lambda: os.mkfifo(source),
        "folder": source.mkdir,
    }
    put[kind]()
    bench.loop.step()
    job = bench.job(number)
    assert job.state == "failed"
    assert "something else has its name" in job.error


def test_a_new_version_that_never_comes_is_looked_for_less_and_less_often(bench: Bench) -> None:
    number = bench.add()
    Path(bench.job(number).source).write_bytes(b"")
    delays = []
    for _ in range(3):
        bench.loop.step()
        job = bench.job(number)
        delays.append(job.not_before - time.time())
        with bench.queue.store.writing():
            bench.queue.jobs.change(number, not_before=0.0)
    assert delays[0] < delays[1] < delays[2]
    assert bench.job(number).attempts == 0
