"""The life of jobs in the real service: crashes, restarts, bad files, slow copies, commands."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kits.media_facts import facts
from kits.mounts import MakeMount
from kits.real_service import LONGER, PRESET, RealService, has_waiting, status

pytestmark = pytest.mark.timeout(600)
CLIP = "movie-hello.mp4"


def _frames(path: Path) -> int:
    return len(facts(path).video_times)


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
    service = make_service(chunk=8, preset=LONGER)
    with _in_mid_job(service, clips) as worker:
        assert service.process is not None
        service.process.kill()
        service.process.wait()
        service.process = None
    service.until(lambda: not Path(f"/proc/{worker}/exe").exists(), "the worker is gone")

    service.start()
    assert service.until_state(CLIP, "done", "failed").state == "done"
    assert "going on at frame" in service.log.read_text()
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


def test_bad_files_fail_with_a_reason_and_others_go_on(make_service: Callable[..., RealService], clips: Path) -> None:
    service = make_service(preset=PRESET.replace("scale = 1.0", "scale = 2.0"))
    service.start()
    old = time.time() - 3600  # complete for long: a young file might still be on its way
    (service.inbox / "letter.mp4").write_text("Dear reader, this is no video.\n")
    with (clips / CLIP).open("rb") as clip:
        (service.inbox / "half.mp4").write_bytes(clip.read(100_000))
    for name in ("letter.mp4", "half.mp4"):
        os.utime(service.inbox / name, (old, old))
    shutil.copyfile(clips / "carphone_pristine.mp4", service.inbox / "good.mp4")

    for name in ("letter.mp4", "half.mp4"):
        job = service.until_state(name, "done", "failed")
        assert job.state == "failed"
        assert str(job.error_kind).startswith("bad_input")
        assert name in str(job.error)
        assert (service.inbox / name).exists(), "a source is never lost"
        text = (service.outbox / f"{name}.error.txt").read_text()
        assert f"flashvsr retry {job.id}" in text
    assert service.until_state("good.mp4", "done", "failed").state == "done"
    assert facts(service.outbox / "good.mp4").size == (256, 208)  # 176x144, first made 128 wide
    assert service.stop() == 0


def test_a_file_dropped_slowly_starts_only_when_complete(make_service: Callable[..., RealService], clips: Path) -> None:
    service = make_service()
    service.start()
    content = (clips / "ocean.webm").read_bytes()
    with (service.inbox / "slow.webm").open("wb") as file:
        for part in range(4):
            file.write(content[part * len(content) // 4 : (part + 1) * len(content) // 4])
            file.flush()
            time.sleep(1.6)  # longer than the settle time: the open file tells that it goes on
            assert service.job("slow.webm") is None
    assert service.until_state("slow.webm", "done", "failed").state == "done"
    assert _frames(service.outbox / "slow.mp4") == _frames(clips / "ocean.webm")
    assert service.stop() == 0


def test_the_same_file_is_done_once_and_new_content_again(
    make_service: Callable[..., RealService], clips: Path
) -> None:
    service = make_service(on_success="keep")
    service.start()
    shutil.copyfile(clips / "carphone_pristine.mp4", service.inbox / "clip.mp4")
    service.until_state("clip.mp4", "done")
    time.sleep(3)  # a few scans
    assert len(service.jobs()) == 1
    shutil.copyfile(clips / "ocean.webm", service.inbox / "clip.mp4")
    service.until(lambda: [job.state for job in service.jobs()] == ["done", "done"], "both are done")
    assert sorted(path.name for path in service.outbox.iterdir()) == ["clip (2).mp4", "clip.mp4"]
    assert _frames(service.outbox / "clip (2).mp4") == _frames(clips / "ocean.webm")
    assert service.stop() == 0


def test_a_broken_preset_holds_its_jobs_until_it_is_mended(
    make_service: Callable[..., RealService], clips: Path
) -> None:
    service = make_service()
    good = (service.inbox / "preset.toml").read_text()
    (service.inbox / "preset.toml").write_text("widht = 128\n")
    service.start()
    shutil.copyfile(clips / "carphone_pristine.mp4", service.inbox / "clip.mp4")
    job = service.until_state("clip.mp4", "held")
    assert "width" in str(job.error)
    assert "width" in (service.inbox / "preset.error.txt").read_text()
    assert status(service)["counts"]["held"] == 1
    service.until(lambda: any("widht" in (inbox["preset"] or "") for inbox in status(service)["inboxes"]), "it is told")
    (service.inbox / "preset.toml").write_text(good)
    assert service.until_state("clip.mp4", "done", "failed").state == "done"
    assert not (service.inbox / "preset.error.txt").exists()
    assert service.stop() == 0


def test_cancel_leaves_a_partial_video_with_sound_and_retry_makes_it_whole(
    make_service: Callable[..., RealService], clips: Path
) -> None:
    service = make_service(chunk=8, preset=LONGER)
    with _in_mid_job(service, clips):
        assert service.command("cancel", "1").returncode == 0
    job = service.until_state(CLIP, "cancelled")
    partial = service.outbox / "movie-hello_partial.mp4"
    assert job.result == str(partial)
    cut, whole = facts(partial), facts(clips / CLIP)
    assert 8 <= len(cut.video_times) < len(whole.video_times)
    assert len(cut.audio) == 1
    assert cut.audio[0][2] <= float(cut.video_times[-1]) + 0.1
    assert (service.inbox / CLIP).exists()

    (service.inbox / "preset.toml").write_text(PRESET)
    assert service.command("retry", "1").returncode == 0
    assert service.until_state(CLIP, "done", "failed").state == "done"
    assert _frames(service.outbox / CLIP) == len(whole.video_times)
    assert service.command("retry", "77").returncode == 1
    assert service.command("cancel", "77").returncode == 1
    assert service.stop() == 0


def test_a_full_outbox_is_waited_for_with_a_clear_word_and_nothing_is_lost(
    make_service: Callable[..., RealService], mount: MakeMount, clips: Path
) -> None:
    service = make_service(chunk=8, preset=LONGER)
    share = mount(service.root / "outbox", "8k")  # less than the result will take
    service.start()
    shutil.copyfile(clips / CLIP, service.inbox / CLIP)
    job = service.until(lambda: (job := service.job(CLIP)) and job.error and job, "a reason to wait")
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "space")
    assert f"{service.root / 'outbox'}" in job.error
    assert "make room" in job.error
    (shown,) = status(service)["jobs"]
    assert "make room" in shown["error"]
    share.resize("16m")
    assert service.until_state(CLIP, "done", "failed").state == "done"
    assert _frames(service.outbox / CLIP) == _frames(clips / CLIP)
    assert [path.name for path in service.outbox.iterdir()] == [CLIP]
    assert service.stop() == 0
