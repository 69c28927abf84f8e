"""The life of jobs in the real service: crashes, restarts, commands."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kits.media_facts import facts
from kits.real_service import LONGER, NORMALISED, PRESET, RealService, has_waiting, status

pytestmark = pytest.mark.timeout(600)
CLIP = "movie-hello.mp4"


def _frames(path: Path) -> int:
    return len(facts(path).video_times)


def _normalised(service: RealService) -> Iterator[Path]:
    return service.root.rglob("normalised-*.mp4")


@contextmanager
def _in_mid_job(service: RealService, clips: Path) -> Iterator[int]:
    """Hold the worker in the middle of a job: some frames durable, some to come. Yields its process id."""
    service.start()
    shutil.copyfile(clips / CLIP, service.inbox / CLIP)
    with service.held("chunk-*.nut") as worker:
        yield worker


def test_a_killed_worker_is_replaced_and_the_job_goes_on(make_service: Callable[..., RealService], clips: Path) -> None:
    service = make_service(chunk=8, preset=LONGER)
    with _in_mid_job(service, clips) as worker:
        os.kill(worker, signal.SIGKILL)

    job = service.until_state(CLIP, "done", "failed")
    assert (job.state, job.attempts) == ("done", 2), job.error
    assert _frames(service.outbox / CLIP) == _frames(clips / CLIP)
    assert "going on at frame" in service.log.read_text()
    assert service.stop() == 0


def test_stopping_in_mid_job_keeps_the_frames_and_the_attempt(
    make_service: Callable[..., RealService], clips: Path
) -> None:
    service = make_service(chunk=8, preset=LONGER)
    with _in_mid_job(service, clips) as worker:
        service.stop_in_mid_job(worker)
    assert service.ended() == 0
    job = service.job(CLIP)
    assert job is not None
    assert (job.state, job.attempts) == ("queued", 0)
    assert not (service.outbox / CLIP).exists()
    assert (service.inbox / CLIP).exists()

    service.start()
    job = service.until_state(CLIP, "done", "failed")
    assert (job.state, job.attempts) == ("done", 1), job.error
    assert _frames(service.outbox / CLIP) == _frames(clips / CLIP)
    assert service.stop() == 0


def test_a_killed_service_takes_its_worker_along_and_loses_nothing(
    make_service: Callable[..., RealService], clips: Path
) -> None:
    service = make_service(chunk=8, preset=LONGER, more=NORMALISED)
    with _in_mid_job(service, clips) as worker:
        assert service.process is not None
        service.process.kill()
        service.process.wait()
        service.process = None
    service.until(lambda: not Path(f"/proc/{worker}/exe").exists(), "the worker is gone")
    assert list(_normalised(service)), "it is there when nobody is left to take it away"

    service.start()
    assert service.until_state(CLIP, "done", "failed").state == "done"
    assert "going on at frame" in service.log.read_text()
    service.until(lambda: not list(_normalised(service)), "the normalised file is gone")
    assert [path.name for path in service.outbox.iterdir()] == [CLIP]
    assert service.stop() == 0


def test_a_pause_closes_the_chunk_and_the_job_goes_on_behind_it(
    make_service: Callable[..., RealService], clips: Path
) -> None:
    service = make_service(chunk=8, preset=LONGER)
    with _in_mid_job(service, clips) as worker:
        assert service.command("pause").returncode == 0
        service.until(lambda: has_waiting(worker, signal.SIGTERM), "the worker is told", pause=0.01)
    service.until(lambda: not Path(f"/proc/{worker}/exe").exists(), "the worker is gone")
    service.until(lambda: status(service)["service"]["doing"].startswith("paused by flashvsr pause"), "it is told")
    service.until(lambda: [worker["state"] for worker in status(service)["workers"]] == ["resting"], "it rests")
    job = service.until_state(CLIP, "queued", "done")
    assert (job.state, job.attempts) == ("queued", 0)
    assert service.command("resume").returncode == 0
    done = service.until_state(CLIP, "done", "failed")
    assert (done.state, done.attempts) == ("done", 1)
    assert "going on at frame" in service.log.read_text()
    assert _frames(service.outbox / CLIP) == _frames(clips / CLIP)
    assert service.stop() == 0


def test_cancel_leaves_a_partial_video_with_sound_and_retry_makes_it_whole(
    make_service: Callable[..., RealService], clips: Path
) -> None:
    service = make_service(chunk=8, preset=LONGER, more=NORMALISED)
    with _in_mid_job(service, clips):
        assert list(_normalised(service))
        assert service.command("cancel", "1").returncode == 0
    job = service.until_state(CLIP, "cancelled")
    partial = service.outbox / "movie-hello_partial.mp4"
    assert job.result == str(partial)
    cut, whole = facts(partial), facts(clips / CLIP)
    assert 8 <= len(cut.video_times) < len(whole.video_times)
    assert len(cut.audio) == 1
    assert cut.audio[0][2] <= float(cut.video_times[-1]) + 0.1
    service.until(lambda: not list(_normalised(service)), "the normalised file is gone")
    assert (service.inbox / CLIP).exists()

    (service.inbox / "preset.toml").write_text(PRESET)
    assert service.command("retry", "1").returncode == 0
    assert service.until_state(CLIP, "done", "failed").state == "done"
    assert _frames(service.outbox / CLIP) == len(whole.video_times)
    assert service.command("retry", "77").returncode == 1
    assert service.command("cancel", "77").returncode == 1
    assert service.stop() == 0
