"""What is left to do after a job, also when the worker died before it could."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.commands import status
from flashvsr.errors import BadInput, Transient
from flashvsr.jobs.owner import current_owner
from flashvsr.worker import marker, settling, sweep
from flashvsr.worker.places import ending_marker
from kits.played import FRAMES, Bench, crash, replace_source


def test_a_retry_that_succeeds_takes_the_error_text_back(bench: Bench) -> None:
    number = bench.add()
    bench.fail_at("start", BadInput("not a video"))
    bench.loop.step()
    assert bench.outputs() == ["clip.mov.error.txt"]
    bench.upscaling.at.clear()
    bench.queue.requests.retry(number)
    bench.loop.step()
    assert bench.outputs() == ["clip.mp4"]


def test_a_lease_lost_before_a_failure_is_recorded_leaves_no_partial(bench: Bench) -> None:
    number = bench.add()

    def lost_and_broken() -> None:
        bench.queue.claims.recover(lambda owner: True)
        raise BadInput("too late")

    bench.upscaling.at[5] = lost_and_broken
    bench.loop.step()
    assert bench.job(number).state == "queued"
    assert bench.outputs() == []


def test_attempts_used_up_by_crashes_end_with_a_partial(bench: Bench) -> None:
    number = bench.add()
    crash(bench, number, attempts=2)
    assert bench.loop.step() is True
    job = bench.job(number)
    assert (job.state, job.attempts) == ("failed", 2)
    assert "2 attempts" in job.error
    assert bench.upscaling.tasks == []
    assert job.result == str(bench.outbox / "clip_partial.mp4")
    assert bench.outputs() == ["clip.mov.error.txt", "clip_partial.mp4"]
    assert not bench.workdir(number).exists()


def test_a_partial_that_kills_its_maker_is_given_up(bench: Bench) -> None:
    number = bench.add()
    crash(bench, number, attempts=2)

    class Killed(BaseException):
        pass

    def killed() -> None:
        raise Killed

    bench.upscaling.at["salvage"] = killed
    for _ in range(marker.MOST_TRIES):
        with pytest.raises(Killed):
            bench.new_loop().step()
        assert bench.job(number).state == "failed"
    assert bench.new_loop().step() is False
    assert len(bench.upscaling.salvaged) == marker.MOST_TRIES
    assert bench.outputs() == ["clip.mov.error.txt"]
    assert not bench.workdir(number).exists()


def test_a_partial_waits_for_space(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)
    number = bench.add()
    bench.fail_at(5, BadInput("broken"))
    bench.fail_at("salvage", Transient("no space"))
    bench.loop.step()
    assert bench.job(number).state == "failed"
    assert bench.workdir(number).exists()
    del bench.upscaling.at["salvage"]
    bench.new_loop().step()
    assert bench.job(number).result == str(bench.outbox / "clip_partial.mp4")
    assert bench.outputs() == ["clip.mov.error.txt", "clip_partial.mp4"]
    assert not bench.workdir(number).exists()


def test_cancelled_while_waiting_with_finished_chunks(bench: Bench) -> None:
    number = bench.add()
    crash(bench, number, attempts=1)
    assert bench.queue.requests.cancel(number) == "cancelled"
    bench.loop.step()
    assert bench.job(number).result == str(bench.outbox / "clip_partial.mp4")
    assert bench.outputs() == ["clip_partial.mp4"]
    assert not bench.workdir(number).exists()


def die_after_the_rename(bench: Bench) -> None:
    class Killed(BaseException):
        pass

    def killed() -> None:
        raise Killed

    bench.upscaling.at["published"] = killed
    with pytest.raises(Killed):
        bench.new_loop().step()


@pytest.mark.parametrize("action", ["archive", "delete", "keep"])
def test_a_crash_after_the_rename_does_not_do_the_work_again(bench: Bench, action: str) -> None:
    bench.config = replace(bench.config, watch=replace(bench.config.watch, on_success=action))
    bench.outbox.mkdir(parents=True)
    (bench.outbox / "clip.mp4").write_bytes(b"mine")  # so the result is numbered, and the report must say so
    number = bench.add()
    die_after_the_rename(bench)
    with bench.queue.store.writing():
        bench.queue.jobs.change(number, attempts=2)  # it was the last attempt, too
    bench.queue.claims.recover(lambda owner: True)
    bench.new_loop().step()
    job = bench.job(number)
    assert (job.state, job.result) == ("done", str(bench.outbox / "clip (2).mp4"))
    assert (job.model, json.loads(job.report)["frames"], job.warnings) == ("played", FRAMES, ["a warning"])
    assert (job.frames_done, job.frames_total, job.fps) == (FRAMES, FRAMES, 2.5)
    assert len(bench.upscaling.tasks) == 1
    assert bench.outputs() == ["clip (2).mp4", "clip.mp4"]
    archived = bench.root / "state" / "archive" / "clips" / "clip.mov"
    assert (bench.inbox / "clip.mov").exists() == (action == "keep")
    assert archived.exists() == (action == "archive")
    assert job.settled is not None
    assert not bench.workdir(number).exists()
    assert bench.new_loop().step() is False


def test_a_crash_after_the_rename_does_not_cost_the_report(bench: Bench) -> None:
    (bench.inbox / "preset.toml").write_text("report = true\n")
    number = bench.add()
    die_after_the_rename(bench)
    bench.queue.claims.recover(lambda owner: True)
    bench.new_loop().step()
    assert bench.job(number).state == "done"
    assert bench.outputs() == ["clip.mp4", "clip.mp4.report.toml"]
    assert f"frames = {FRAMES}" in (bench.outbox / "clip.mp4.report.toml").read_text()


def test_a_crash_before_the_source_was_archived_is_made_up_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SETTLE_AFTER", 0.0)
    number = bench.add()
    job = bench.queue.claims.claim(number, "{}", current_owner(), "cpu", 3)
    assert job is not None
    bench.queue.claims.finish(number, str(job.lease), bench.outbox / "clip.mp4", "m", "{}", [])
    bench.loop.step()
    assert not (bench.inbox / "clip.mov").exists()
    assert bench.job(number).archived.endswith("archive/clips/clip.mov")


def test_a_changed_source_is_not_archived(bench: Bench) -> None:
    number = bench.add()
    bench.upscaling.at["published"] = lambda: replace_source(bench)
    bench.loop.step()
    assert (bench.inbox / "clip.mov").read_bytes() == b"a longer new version"
    assert (bench.job(number).settled is not None, bench.job(number).departed) == (True, False)
    assert bench.outputs() == ["clip.mp4"]


@pytest.mark.parametrize("action", ["archive", "delete", "keep"])
def test_the_same_file_dropped_again_is_done_again_once_the_first_is_gone(bench: Bench, action: str) -> None:
    bench.config = replace(bench.config, watch=replace(bench.config.watch, on_success=action))
    source = bench.inbox / "clip.mov"
    number = bench.add()
    kept = bench.root / "original.mov"
    shutil.copy2(source, kept)
    bench.new_loop().step()
    assert bench.job(number).departed == (action != "keep")
    shutil.copy2(kept, source)
    again = bench.queue.intake.add(bench.inbox, source, "clip.mov", source.lstat())
    if action == "keep":
        assert again is None
        return
    assert again is not None
    bench.new_loop().step()
    assert bench.job(again).state == "done"
    assert bench.outputs() == ["clip (2).mp4", "clip.mp4"]
    archive = bench.root / "state" / "archive" / "clips"
    assert len(list(archive.glob("*"))) == (2 if action == "archive" else 0)
    assert not source.exists()


def test_a_source_that_cannot_be_taken_away_is_told_with_its_folder_until_it_can(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    number = bench.add()
    folder = Path(bench.job(number).source).parent

    def refuse(*_: object, **__: object) -> None:
        raise Transient("Cannot archive") from PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(settling, "settle_source", refuse)
        patch.setattr(os, "access", lambda *_: False)  # root may write everywhere
        bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.settled, job.error_kind) == ("done", None, "source")
    assert f"its folder {folder} does not let flashvsr take files away" in job.error
    assert bench.queue.history.staying_sources()[0] == 1
    assert bench.queue.history.source_stays(number, job.error) is False, "it is known, and not logged again"
    status.run(bench.config, argparse.Namespace(job=None, json=False, all=False, watch=False))
    assert "does not let flashvsr take files away" in " ".join(capsys.readouterr().out.split())

    bench.loop._sweep.settle_or_postpone(number)
    assert (bench.job(number).error, bench.job(number).error_kind) == (None, None)
    assert bench.queue.history.staying_sources() == (0, None)


def refusing() -> tuple[list[object], Callable[..., None]]:
    """A settling that never succeeds, and what it was asked each time."""
    tries: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        tries.append(arguments)
        raise Transient("Cannot archive")

    return tries, refuse


def test_a_source_that_stays_is_tried_again_after_a_while_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)
    monkeypatch.setattr(sweep, "SETTLE_AFTER", 0.0)
    tries, refuse = refusing()
    monkeypatch.setattr(settling, "settle_source", refuse)
    bench.add()
    for _ in range(4):
        bench.loop.step()
    assert len(tries) == 1


def test_peoples_files_by_the_names_of_ours_stay(bench: Bench) -> None:
    (bench.inbox / "preset.toml").write_text("report = true\n")
    bench.outbox.mkdir(parents=True)
    theirs = [bench.outbox / name for name in ("clip.mov.error.txt", "clip.mp4.report.toml")]
    for path in theirs:
        path.write_text("mine")
    number = bench.add()
    bench.fail_at("start", BadInput("no picture"))
    bench.loop.step()
    assert bench.job(number).state == "failed"
    assert "no picture" in (bench.outbox / "clip.mov.error (2).txt").read_text()
    bench.upscaling.at.clear()
    bench.queue.requests.retry(number)
    die_after_the_rename(bench)  # who comes after that writes the report
    bench.queue.claims.recover(lambda owner: True)
    bench.new_loop().step()
    assert bench.job(number).state == "done"
    assert bench.outputs() == sorted(["clip.mp4", "clip.mp4.report (2).toml", *(path.name for path in theirs)])
    assert {path.read_text() for path in theirs} == {"mine"}


def test_another_worker_at_the_source_ends_no_delay(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether that one will succeed is not known: the source would be tried again at once, and for ever."""
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)
    monkeypatch.setattr(sweep, "SETTLE_AFTER", 0.0)
    tries, refuse = refusing()
    number = bench.add()
    with monkeypatch.context() as patch:
        patch.setattr(settling, "settle_source", refuse)
        bench.loop.step()
        with ending_marker(bench.config, number).alone() as alone:
            assert alone
            bench.loop._sweep.settle_or_postpone(number)
        bench.loop.step()
    assert len(tries) == 1
    bench.loop._sweep.settle_or_postpone(number)  # when its time has come
    assert bench.job(number).settled is not None
