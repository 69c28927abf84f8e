"""`preprocess.mode = "file"` in the real service: right results, and no such file is left by any ending."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kits.media_facts import facts
from kits.real_service import LONGER, RealService

pytestmark = pytest.mark.timeout(300)
CLIP = "bigbuckbunny.mp4"  # large pictures: reading them takes the time in which the file can be seen being written
FILE = '[preprocess]\nmode = "file"\npreset = "ultrafast"\n'  # which holds no frames back before it writes


def _normalised(service: RealService) -> list[str]:
    return sorted(str(path.relative_to(service.root)) for path in service.root.rglob("normalised-*"))


@contextmanager
def _dropped_and_held(service: RealService, clips: Path, pattern: str) -> Iterator[int]:
    """Hold the worker as soon as the job of a dropped clip has a file of this name. Yields its process id."""
    service.start()
    shutil.copyfile(clips / CLIP, service.inbox / CLIP)
    with service.held(pattern) as worker:
        yield worker


def _kill(service: RealService, victim: str, worker: int) -> None:
    if victim == "worker":
        os.kill(worker, signal.SIGKILL)
        return
    assert service.process is not None
    service.process.kill()
    service.process.wait()
    service.process = None
    service.until(lambda: not Path(f"/proc/{worker}/exe").exists(), "the worker is gone")


@pytest.mark.parametrize("victim", ["worker", "service"])
def test_kill_9_while_it_is_written(victim: str, make_service: Callable[..., RealService], clips: Path) -> None:
    service = make_service(chunk=8, more=FILE)
    with _dropped_and_held(service, clips, "normalised-*.tmp") as worker:
        _kill(service, victim, worker)
    assert _normalised(service) or victim == "worker", "it is there when nobody is left to take it away"
    if victim == "service":
        service.start()

    job = service.until_state(CLIP, "done", "failed")
    assert (job.state, job.attempts) == ("done", 2), job.error
    before, after = facts(clips / CLIP), facts(service.outbox / CLIP)
    assert len(after.video_times) == len(before.video_times)
    assert max(abs(a - b) for a, b in zip(before.video_times, after.video_times, strict=True)) < 0.0015
    (codec, *heard), (kept, *heard_before) = after.audio[0], before.audio[0]
    assert (len(after.audio), codec) == (1, kept)
    assert heard == pytest.approx(heard_before, abs=0.001)
    assert [path.name for path in service.outbox.iterdir()] == [CLIP]
    service.until(lambda: not _normalised(service), "the normalised file is gone")
    assert service.stop() == 0
    assert not list((service.state / "jobs").iterdir())


@pytest.mark.parametrize("ending", ["cancelled", "failed"])
def test_a_job_that_goes_no_further(ending: str, make_service: Callable[..., RealService], clips: Path) -> None:
    """The frames that are done come back as a partial video with their sound; the normalised file does not stay."""
    service = make_service(chunk=8, attempts=1, more=FILE, preset=LONGER)
    with _dropped_and_held(service, clips, "chunk-*.nut") as worker:
        assert list((service.state / "jobs" / "1").glob("normalised-*.mp4"))
        if ending == "cancelled":
            assert service.command("cancel", "1").returncode == 0
        else:
            _kill(service, "worker", worker)

    service.until_state(CLIP, ending)
    job = service.until(lambda: (job := service.job(CLIP)) and job.result and job, "the partial video is there")
    partial = facts(Path(job.result))
    assert 8 <= len(partial.video_times) < len(facts(clips / CLIP).video_times)
    assert len(partial.audio) == 1
    service.until(lambda: not _normalised(service), "the normalised file is gone")
    assert (service.inbox / CLIP).exists()
    assert service.stop() == 0


def test_stopping_in_good_order_and_another_mode_after_it(
    make_service: Callable[..., RealService], clips: Path
) -> None:
    """Kept for the attempt that goes on, and gone when that one has no use for it."""
    service = make_service(chunk=8, more=FILE, preset=LONGER)
    with _dropped_and_held(service, clips, "chunk-*.nut") as worker:
        service.stop_in_mid_job(worker)
    assert service.ended() == 0
    assert [name.rpartition(".")[2] for name in _normalised(service)] == ["digest", "mp4"]
    service.config.write_text(service.config.read_text().replace(FILE, ""))
    service.start()
    assert service.until_state(CLIP, "done", "failed").state == "done"
    assert len(facts(service.outbox / CLIP).video_times) == len(facts(clips / CLIP).video_times)
    service.until(lambda: not _normalised(service), "the normalised file is gone")
    assert service.stop() == 0
