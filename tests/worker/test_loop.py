"""From a queued file to its result: claims, presets, signals, the model."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flashvsr.errors import BadConfig, Cancelled, Damaged, Interrupted, LeaseLost, Skipped
from flashvsr.files.mounts import ShareAway
from flashvsr.jobs.owner import Owner, current_owner
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.config import Config
from flashvsr.settings.service_tables import ExtraInbox, QueueSettings, Watch
from flashvsr.worker.job_control import JobControl
from flashvsr.worker.orders import Orders
from flashvsr.worker.sweep import SETTLE_AFTER, Sweep
from kits.played import FRAMES, Bench, Engine, crash, report
from kits.reports import SIZE


def test_nothing_to_do(bench: Bench) -> None:
    assert bench.loop.step() is False
    (worker,) = bench.queue.workers.all()
    assert (worker.slot, worker.pid, worker.state, worker.job) == ("cpu", os.getpid(), "idle", None)
    assert bench.upscaling.engines == 0  # loaded at the first job


def test_a_job_is_done(bench: Bench) -> None:
    (bench.inbox / "preset.toml").write_text("seed = 7\n")
    number = bench.add("trip/day 1.mov")
    assert bench.loop.step() is True
    job = bench.job(number)
    assert (job.state, job.attempts, job.frames_done, job.model) == ("done", 1, FRAMES, "played")
    assert job.result == str(bench.outbox / "trip" / "day 1.mp4")
    assert job.warnings == ["a warning"]
    assert json.loads(job.report)["frames"] == FRAMES
    assert json.loads(job.preset)["seed"] == bench.upscaling.tasks[0].preset.seed == 7
    assert bench.outputs() == ["trip/day 1.mp4"]
    assert not (bench.inbox / "trip" / "day 1.mov").exists()
    archived = bench.root / "state" / "archive" / "clips" / "trip" / "day 1.mov"
    assert archived.read_bytes().startswith(b"source ")
    assert job.archived == str(archived)
    assert list((bench.root / "state" / "jobs").iterdir()) == []
    assert bench.loop.step() is False


def test_the_model_is_loaded_once_and_presets_at_each_claim(bench: Bench) -> None:
    first, second = bench.add("a.mov"), bench.add("b.mov")
    bench.upscaling.at[5] = lambda: (bench.inbox / "preset.toml").write_text("seed = 2\n")
    bench.loop.step()
    bench.loop.step()
    assert bench.upscaling.engines == 1
    assert [json.loads(bench.job(number).preset)["seed"] for number in (first, second)] == [0, 2]


def test_a_wrong_preset_holds_its_inbox_and_others_go_on(bench: Bench) -> None:
    held = bench.add("a.mov")
    (bench.inbox / "preset.toml").write_text("widht = 3\n")
    other = bench.root / "inbox" / "other"
    other.mkdir()
    (other / "b.mov").write_bytes(b"b")
    done = bench.queue.intake.add(other, other / "b.mov", "b.mov", (other / "b.mov").lstat())
    assert done is not None
    while bench.loop.step():
        pass
    assert (bench.job(held).state, bench.job(held).attempts) == ("held", 0)
    assert "width" in bench.job(held).error
    assert bench.job(done).state == "done"


@pytest.mark.parametrize("action", ["keep", "delete"])
def test_the_source_is_treated_as_configured(bench: Bench, action: str) -> None:
    bench.config = Config(paths=bench.config.paths, watch=Watch(on_success=action))
    number = bench.add()
    bench.new_loop().step()
    assert (bench.inbox / "clip.mov").exists() == (action == "keep")
    assert bench.job(number).settled is not None


def test_results_never_replace_what_is_there(bench: Bench) -> None:
    bench.outbox.mkdir(parents=True)
    (bench.outbox / "clip.mp4").write_bytes(b"mine")
    number = bench.add()
    bench.loop.step()
    assert (bench.outbox / "clip.mp4").read_bytes() == b"mine"
    assert bench.job(number).result == str(bench.outbox / "clip (2).mp4")


def test_a_worker_of_the_queue_sees_progress(bench: Bench) -> None:
    number = bench.add()
    seen: list[Any] = []
    bench.upscaling.at[FRAMES] = lambda: seen.append((bench.job(number), bench.queue.workers.all()[0]))
    bench.loop.step()
    job, worker = seen[0]
    assert (job.state, job.frames_total, job.fps) == ("running", FRAMES, 2.5)
    assert 0 < job.frames_done < FRAMES
    assert (worker.state, worker.job) == ("busy", number)


def test_a_damaged_queue_ends_the_worker_and_the_job_is_left_as_it_is(bench: Bench) -> None:
    """It would be put back or ended in a database of which nobody knows what it still keeps."""
    number = bench.add()
    bench.fail_at(5, Damaged("the queue database is damaged"))
    with pytest.raises(Damaged):
        bench.loop.step()
    assert (bench.job(number).state, bench.job(number).attempts, bench.job(number).error) == ("running", 1, None)
    assert bench.outputs() == []


def test_sigterm_gives_the_job_back_with_its_chunks(bench: Bench) -> None:
    number = bench.add()
    bench.upscaling.at[5] = lambda: bench.arrivals.queued.append(signal.SIGTERM)
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts) == ("queued", 0)
    assert bench.delay(number) <= 0
    assert (bench.workdir(number) / "chunk").exists()
    assert bench.loop.step() is False
    assert len(bench.upscaling.tasks) == 1


def test_sigusr1_finishes_the_job_and_starts_no_other(bench: Bench) -> None:
    first, second = bench.add("a.mov"), bench.add("b.mov")
    bench.upscaling.at[5] = lambda: bench.arrivals.queued.append(signal.SIGUSR1)
    bench.loop.step()
    assert bench.loop.step() is False
    assert (bench.job(first).state, bench.job(second).state) == ("done", "queued")


def test_a_lost_lease_publishes_nothing_and_touches_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashvsr.worker.job_control.HEARTBEAT_SECONDS", 0.0)
    number = bench.add()

    def taken() -> None:
        bench.queue.claims.recover(lambda owner: True)
        bench.queue.claims.claim(number, "{}", Owner("elsewhere", 1, "1"), "gpu9", 5)

    bench.upscaling.at[5] = taken
    bench.loop.step()
    assert (bench.job(number).state, bench.job(number).slot) == ("running", "gpu9")
    assert (bench.workdir(number) / "chunk").exists()
    assert bench.outputs() == []


def test_a_model_that_cannot_be_loaded_costs_no_attempt_and_pauses_the_worker(bench: Bench) -> None:
    first, second = bench.add("a.mov"), bench.add("b.mov")
    bench.fail_at("load", BadConfig("the weights folder has no TCDecoder.ckpt"))
    bench.loop.step()
    job = bench.job(first)
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "config")
    assert "TCDecoder.ckpt" in job.error
    assert 50 < bench.delay(first) <= 60
    assert bench.loop.step() is False  # the next job would meet the same
    assert bench.job(second).attempts == 0
    assert "TCDecoder.ckpt" in bench.queue.workers.all()[0].error
    assert not bench.loop.broken


def test_an_unexpected_error_while_loading_ends_the_worker_not_the_job(bench: Bench) -> None:
    number = bench.add()
    bench.fail_at("load", RuntimeError("driver too old"))
    bench.loop.step()
    assert bench.loop.broken
    assert (bench.job(number).state, bench.job(number).attempts) == ("queued", 0)
    assert "driver too old" in bench.job(number).error


def test_loading_can_be_interrupted(bench: Bench) -> None:
    number = bench.add()
    load = bench.upscaling.load_engine

    def slow_load(config: Config, on_message: Callable[[str], None]) -> Engine:
        bench.arrivals.queued.append(signal.SIGTERM)
        return load(config, on_message)

    bench.upscaling.load_engine = slow_load  # type: ignore[method-assign]
    assert bench.loop.step() is False
    assert bench.job(number).claimed is None
    assert bench.upscaling.engines == 0


def test_reload_takes_a_new_model_and_keeps_the_old_one_otherwise(bench: Bench) -> None:
    bench.add("a.mov")
    bench.loop.step()
    bench.config = replace(bench.config, queue=QueueSettings(max_attempts=5))
    bench.arrivals.queued.append(signal.SIGHUP)
    bench.add("b.mov")
    bench.loop.step()
    assert bench.upscaling.engines == 1
    bench.config = replace(bench.config, model=replace(bench.config.model, weights="nano"))
    bench.arrivals.queued.append(signal.SIGHUP)
    bench.add("c.mov")
    bench.loop.step()
    assert bench.upscaling.engines == 2


def test_links_are_followed_in_no_tree_that_a_reload_brings(bench: Bench) -> None:
    new = ExtraInbox(bench.root / "new inbox", bench.root / "new outbox")
    bench.config = replace(bench.config, extra_inboxes=(new,))
    bench.arrivals.queued.append(signal.SIGHUP)
    bench.add("a.mov")
    bench.loop.step()
    assert {new.path, new.outbox} <= set(bench.upscaling.tasks[-1].trees.roots or ())


def test_control_asks_the_queue_at_most_twice_a_second(bench: Bench) -> None:
    job = bench.queue.claims.claim(bench.add(), "{}", current_owner(), "cpu", 3)
    assert job is not None
    now = [0.0]
    control = JobControl(bench.queue, job, Orders(bench.arrivals), clock=lambda: now[0])
    control.progress(1, 100, 1.0)
    control.progress(2, 100, 1.0)
    assert bench.job(job.id).frames_done == 1
    now[0] = 0.6
    control.progress(3, 100, 1.0)
    assert bench.job(job.id).frames_done == 3
    control.progress(100, 100, 1.0)  # the last one always
    assert bench.job(job.id).frames_done == 100
    bench.queue.claims.recover(lambda owner: True)
    now[0] = 2.0
    with pytest.raises(LeaseLost):
        control.progress(4, 100, 1.0)


def test_work_beside_new_frames_is_progress_and_a_repeated_number_is_none(bench: Bench) -> None:
    job = bench.queue.claims.claim(bench.add(), "{}", current_owner(), "cpu", 3)
    assert job is not None
    now = [0.0]
    control = JobControl(bench.queue, job, Orders(bench.arrivals), clock=lambda: now[0])
    control.progress(100, 100, 1.0)
    before = bench.job(job.id).progress_ticks
    now[0] = 1.0
    control.progress(100, 100, 1.0)
    assert bench.job(job.id).progress_ticks == before
    now[0] = 2.0
    control.working()
    assert bench.job(job.id).progress_ticks > before
    assert (bench.job(job.id).frames_done, bench.job(job.id).frames_total) == (100, 100)
    bench.queue.requests.cancel(job.id)
    now[0] = 3.0
    control.ending()  # a partial video is still made
    now[0] = 4.0
    with pytest.raises(Cancelled):
        control.working()
    bench.arrivals.queued.append(signal.SIGTERM)
    with pytest.raises(Interrupted):
        control.working()


def test_nothing_is_recorded_of_a_result_whose_share_went_away(bench: Bench) -> None:
    job = bench.queue.claims.claim(bench.add(), "{}", current_owner(), "cpu", 3)
    assert job is not None

    def away(_: object) -> None:
        raise ShareAway("nothing is mounted there")

    control = JobControl(bench.queue, job, Orders(bench.arrivals), check_shares=away)
    with pytest.raises(ShareAway):
        control.publishing(report(bench.outbox / "clip.mp4"), 1234, 99)
    assert bench.job(job.id).result is None


def test_a_limit_of_auto_is_fixed_at_the_claim(bench: Bench) -> None:
    number = bench.add()
    bench.loop.step()
    assert json.loads(bench.job(number).preset)["limit"] == bench.upscaling.tasks[0].preset.limit == "3840x2160"


def test_how_fast_it_was_is_remembered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashvsr.jobs.rates.LEAST_FRAMES", FRAMES)
    bench.add()
    bench.loop.step()
    (rate,) = bench.queue.rates.all()
    assert (rate.model, rate.width, rate.height, rate.frames, rate.seconds) == ("played", *SIZE, FRAMES, 1.0)


def test_a_job_with_nothing_to_do_is_skipped_and_its_source_stays(bench: Bench) -> None:
    number = bench.add()
    Outbox(bench.config.trees()).write_error_text(bench.outbox, "clip.mov", "of an attempt before")
    assert bench.outputs() == ["clip.mov.error.txt"]
    bench.fail_at("start", Skipped("it is large enough"))
    assert bench.loop.step() is True
    job = bench.job(number)
    assert (job.state, job.error, job.result, job.lease) == ("skipped", "it is large enough", None, None)
    assert (bench.inbox / "clip.mov").exists()
    assert bench.outputs() == []
    assert not bench.workdir(number).exists()
    stat = (bench.inbox / "clip.mov").lstat()
    assert bench.queue.intake.add(bench.inbox, bench.inbox / "clip.mov", "clip.mov", stat) is None, (
        "known as it lies there"
    )
    assert bench.loop.step() is False


def test_a_forced_job_is_not_skipped(bench: Bench) -> None:
    number = bench.add()
    bench.fail_at("start", Skipped("it is large enough"))
    bench.loop.step()
    bench.queue.requests.retry(number, force=True)
    bench.upscaling.at.clear()
    bench.loop.step()
    assert [task.force for task in bench.upscaling.tasks] == [False, True]
    assert bench.job(number).state == "done"


def test_a_skipped_job_that_died_before_it_was_cleared_leaves_nothing(bench: Bench) -> None:
    number = bench.add()
    bench.fail_at("start", Skipped("it is large enough"))
    bench.loop.step()
    bench.workdir(number).mkdir()
    bench.new_loop().step()
    assert not bench.workdir(number).exists()
    assert bench.outputs() == []


def test_a_resting_worker_does_no_job_and_ends_what_is_left_of_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled, waiting = bench.add("a.mov"), bench.add("b.mov")
    crash(bench, cancelled, 1)
    bench.queue.requests.cancel(cancelled)
    done = bench.add("c.mov")
    monkeypatch.setattr(Sweep, "settle_or_postpone", lambda *_: None)  # it dies before that
    bench.queue.requests.first(done)
    assert bench.loop.step()
    monkeypatch.undo()
    with bench.queue.store.writing():
        bench.queue.jobs.change(done, finished=time.time() - 2 * SETTLE_AFTER)
    loop = bench.new_loop(rests=True)
    assert not loop.step()
    assert (bench.job(waiting).state, bench.job(waiting).attempts) == ("queued", 0)
    assert bench.job(cancelled).result.endswith("a_partial.mp4")
    assert bench.job(done).settled is not None
    assert bench.upscaling.engines == 1  # that of the first worker
    assert [(worker.state, worker.job) for worker in bench.queue.workers.all()] == [("resting", None)]
