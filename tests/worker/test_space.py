"""Full disks, with real small file systems: the job waits, says why, loses nothing and goes on."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadInput, NoSpace
from flashvsr.settings.service_tables import QueueSettings
from flashvsr.worker import job_control, loop, marker, sweep
from kits.mounts import MakeMount, Mounted, fill
from kits.played import FRAMES, Bench, crash

MIB = 1 << 20
NO_INODES = "there is space, but no more files can be made there; remove some"


@pytest.fixture
def disk(tmp_path: Path, mount: MakeMount) -> Mounted:
    return mount(tmp_path / "state", "16m")


@pytest.fixture
def share(tmp_path: Path, mount: MakeMount) -> Mounted:
    return mount(tmp_path / "outbox", "16m")


@pytest.fixture
def bench(tmp_path: Path, disk: Mounted, share: Mounted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(job_control, "HEARTBEAT_SECONDS", 0.0)
    made = Bench(tmp_path)
    yield made
    made.queue.close()


def test_a_state_directory_that_runs_low_pauses_jobs_before_the_queue_cannot_be_written(bench: Bench) -> None:
    bench.config = replace(bench.config, queue=QueueSettings(max_attempts=1, min_free=4 * MIB))
    bench.loop = bench.new_loop()
    number = bench.add()
    bench.upscaling.at[5] = lambda: fill(bench.root / "state", 2 * MIB)
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "space")
    assert "2.0 MiB free" in job.error
    assert "queue.min_free" in job.error
    assert 0 < bench.delay(number) <= 10
    bench.upscaling.at.clear()
    bench.make_due(number)
    assert bench.loop.step() is False  # no job starts meanwhile
    assert bench.queue.workers.all()[0].error.startswith("no job starts: only 2.0 MiB free")
    assert (bench.workdir(number) / "chunk").exists()
    (bench.root / "state" / "ballast").unlink()
    bench.loop.step()
    assert bench.job(number).state == "done"
    assert bench.loop.step() is False
    assert bench.queue.workers.all()[0].error is None


def test_a_state_directory_without_a_single_byte_costs_the_job_no_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "FULL_SECONDS", 0.05)
    number = bench.add()
    ballast: list[Path] = []

    def full() -> None:
        # The journal is written in place until it is worked in; after that it needs room.
        bench.queue.store.database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        ballast.append(fill(bench.root / "state", 0))
        threading.Timer(1.0, ballast[0].unlink).start()

    bench.upscaling.at[5] = full
    bench.loop.step()
    assert "database or disk is full" in caplog.text
    job = bench.job(number)
    assert (job.state, job.attempts) == ("queued", 0)
    bench.upscaling.at.clear()
    bench.make_due(number)
    bench.loop.step()
    assert (bench.job(number).state, bench.job(number).frames_done) == ("done", FRAMES)
    assert bench.outputs() == ["clip.mp4"]


@pytest.mark.parametrize("left", [0, 1], ids=["no marker", "no record"])
def test_an_end_that_cannot_be_left_to_the_sweep_waits_for_room(
    bench: Bench,
    disk: Mounted,
    share: Mounted,
    left: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the outbox away, only the job's marker tells a later sweep that the reason is still to be written there."""
    monkeypatch.setattr(loop, "FULL_SECONDS", 0.05)
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)
    number = bench.add()

    def broken() -> None:
        share.detach()
        disk.leave_files(left)
        threading.Timer(0.5, disk.leave_files, [None]).start()
        raise BadInput("not a video")

    bench.upscaling.at["start"] = broken
    bench.loop.step()
    record, lock = Path("records", f"{number}.json"), Path("jobs", f"{number}.ending")
    missing = bench.root / "state" / (record if left else lock)
    assert f"cannot write {missing}: No space left on device; {NO_INODES}" in caplog.text
    job = bench.job(number)
    assert (job.state, job.attempts, job.error) == ("failed", 1, "not a video")
    share.attach()
    bench.new_loop().step()
    assert bench.outputs() == ["clip.mov.error.txt"]
    assert not bench.workdir(number).exists()


def test_a_job_is_not_given_up_before_that_can_be_noted(
    bench: Bench, disk: Mounted, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.add()
    crash(bench, number, attempts=2)
    shutil.rmtree(bench.workdir(number))  # they died before their first chunk
    disk.leave_files(0)
    for _ in range(2):
        with pytest.raises(NoSpace, match=f"No space left on device; {NO_INODES}"):
            bench.loop.step()
        assert bench.job(number).state == "queued"
    disk.leave_files(None)
    assert bench.loop.step() is True
    job = bench.job(number)
    assert (job.state, job.attempts) == ("failed", 2)
    assert bench.outputs() == ["clip.mov.error.txt"]
    assert not bench.workdir(number).exists()


@pytest.mark.parametrize("place", ["state", "outbox"])
def test_a_job_does_not_begin_before_its_result_fits(bench: Bench, place: str) -> None:
    number = bench.add()
    ballast = fill(bench.root / place, 3 * MIB)
    bench.upscaling.size = 5 * MIB
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts) == ("queued", 0)
    assert f"/{place}" in job.error
    assert "3.0 MiB free, and about 5.0 MiB are needed" in job.error
    assert not bench.workdir(number).exists()
    ballast.unlink()
    bench.make_due(number)
    bench.loop.step()
    assert bench.job(number).state == "done"


def test_an_outbox_that_fills_up_at_the_end_keeps_what_was_made(bench: Bench) -> None:
    number = bench.add()
    ballast: list[Path] = []

    def full() -> None:
        ballast.append(fill(bench.root / "outbox", 0))

    bench.upscaling.at[FRAMES] = full
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts) == ("queued", 0)
    assert "No space left" in job.error
    assert (bench.workdir(number) / "chunk").read_text() == str(FRAMES)
    assert (bench.inbox / "clip.mov").exists()
    ballast[0].unlink()
    bench.upscaling.at.clear()
    bench.make_due(number)
    bench.loop.step()
    assert bench.job(number).state == "done"
    assert bench.outputs() == ["clip.mp4"]


def test_a_read_only_outbox_is_waited_for(bench: Bench, share: Mounted) -> None:
    number = bench.add()
    share.read_only(True)
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts) == ("queued", 0)
    assert "it is mounted read-only" in job.error
    share.read_only(False)
    bench.make_due(number)
    bench.loop.step()
    assert bench.job(number).state == "done"


def test_an_outbox_that_cannot_be_written_is_found_before_the_work(bench: Bench, share: Mounted) -> None:
    first, second = bench.add("a.mov"), bench.add("b.mov")
    share.read_only(True)
    bench.loop.step()
    bench.loop.step()
    assert [bench.job(number).state for number in (first, second)] == ["queued"] * 2
    assert [bench.job(number).attempts for number in (first, second)] == [0, 0]
    assert bench.upscaling.tasks == []
    assert bench.upscaling.engines == 0  # nor is the model loaded for it
    assert bench.loop.step() is False
    (worker,) = bench.queue.workers.all()
    assert worker.error == bench.job(first).error
    assert f"cannot write to {bench.root}/outbox: Read-only file system" in worker.error
    share.read_only(False)
    for number in (first, second):
        bench.make_due(number)
        assert bench.loop.step()
    assert bench.outputs() == ["a.mp4", "b.mp4"]
    assert bench.loop.step() is False
    assert bench.queue.workers.all()[0].error is None


def test_an_outbox_that_stays_closed_is_asked_again_every_minute(bench: Bench, share: Mounted) -> None:
    number = bench.add()
    share.read_only(True)
    delays = []
    for _ in range(5):
        bench.make_due(number)
        bench.loop.step()
        delays.append(round(bench.delay(number), -1))
    assert delays == [10, 20, 40, 60, 60]
    assert bench.queue.requests.cancel(number) == "cancelled"
    bench.loop.step()
    assert bench.queue.workers.all()[0].error is None  # nobody waits for it any more


@pytest.mark.parametrize("room", ["none", "for the partial video"])
@pytest.mark.parametrize("moment", ["start", 5], ids=["without chunks", "with chunks"])
def test_what_tells_of_a_failure_waits_for_room(
    bench: Bench, share: Mounted, room: str, moment: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)
    number = bench.add()
    bench.outbox.mkdir(parents=True)

    def broken() -> None:
        share.leave_files(0 if room == "none" or moment == "start" else 1)
        raise BadInput("the picture data ends")

    bench.upscaling.at[moment] = broken
    bench.loop.step()
    assert bench.job(number).state == "failed"
    for _ in range(marker.MOST_TRIES + 1):  # waiting is no failed try
        bench.new_loop().step()
        assert "clip.mov.error.txt" not in bench.outputs()
    share.leave_files(None)
    bench.new_loop().step()
    partial = ["clip_partial.mp4"] if moment == 5 else []
    assert bench.outputs() == ["clip.mov.error.txt", *partial]
    text = (bench.outbox / "clip.mov.error.txt").read_text()
    assert "\nthe picture data ends\n" in text
    assert ("clip_partial.mp4" in text) == (moment == 5)
    assert bench.job(number).result == (str(bench.outbox / "clip_partial.mp4") if partial else None)
    assert not bench.workdir(number).exists()
