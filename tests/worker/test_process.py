"""The worker as a process, with the real main function and an upscaling that only copies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flashvsr.jobs.owner import owner_alive
from flashvsr.jobs.queue import Queue
from kits.paths import python_environment
from kits.waiting import last_lines

# Stands in for the real upscaling and for torch, which takes seconds to load and is not needed here.
PROGRAM = """
import os, signal, sys, time, types
from pathlib import Path
from flashvsr.outbox.publish import Outbox
from flashvsr.upscaling import entry
from kits.reports import foreseen, report_of

def upscale_file(task, engine, config, control):
    if task.source.with_name("cuda").exists():
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    for frame in range(1, 1000):
        control.progress(frame, 1000, 1.0)
        time.sleep(0.02)
        if task.source.with_name("go").exists():
            break
    def report(path):
        return report_of(path, "copy", 1000, ["so"])
    told = lambda path, size, mtime_ns: control.publishing(report(path), size, mtime_ns)
    outbox = Outbox(task.trees)
    with outbox.new_result(outbox.temporary_for(task.target, task.job_id)) as made:
        made.write(task.source.read_bytes())
        result = outbox.publish(made, task.target, told)
    if task.source.with_name("die").exists():
        task.source.with_name("die").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return report(result)

copying = entry.Upscaling(
    load_engine=lambda config, on_message: types.SimpleNamespace(name="copy", largest=(3840, 2160)),
    upscale_file=upscale_file,
    salvage=lambda task, config, reason, working: None,
    forecast=foreseen,
)
entry.load = lambda: copying
from flashvsr.worker.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


WATCH = '\n[watch]\non_success = "archive"\n'


class Process:
    """A worker on directories below `root`, started by this process."""

    def __init__(self, root: Path) -> None:
        self.inbox = root / "inbox" / "clips"
        self.inbox.mkdir(parents=True)
        (root / "state" / "jobs").mkdir(parents=True)
        config = root / "flashvsr.toml"
        names = ("inbox", "outbox", "state", "models")
        config.write_text("\n".join(["[paths]", *(f'{name} = "{root / name}"' for name in names)]) + WATCH)
        self.queue = Queue(root / "state")
        self.command = [
            sys.executable,
            "-c",
            PROGRAM,
            "--config",
            str(config),
            "--slot",
            "cpu",
            "--label",
            "CPU",
        ]
        self._log = root / "worker.log"
        self.environment = python_environment()
        self.start()

    def start(self) -> None:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stderr=log)

    def add(self) -> int:
        source = self.inbox / "clip.mp4"
        source.write_bytes(b"a video")
        number = self.queue.intake.add(self.inbox, source, "clip.mp4", source.lstat())
        assert number is not None
        return number

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 15
        while not condition():
            assert self.process.poll() is None, f"the worker ended: {self.process.returncode}\n{self.last_lines()}"
            assert time.monotonic() < deadline, f"not in time\n{self.last_lines()}"
            time.sleep(0.02)

    def worker_state(self) -> str:
        return next((worker.state for worker in self.queue.workers.all()), "")

    def end(self, expected: int = 0) -> str:
        """Wait until it ends with this exit code; its log."""
        code = self.process.wait(timeout=15)
        assert code == expected, f"the worker ended: {code}\n{self.last_lines()}"
        return self._log.read_text()

    def last_lines(self) -> str:
        return last_lines(self._log)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path)
    with closing(made.queue):
        yield made
        if made.process.poll() is None:
            made.process.kill()
            made.process.wait()


@pytest.mark.slow
def test_it_waits_works_and_leaves_when_asked(worker: Process) -> None:
    worker.until(lambda: worker.worker_state() == "idle")
    (worker.inbox / "go").touch()
    number = worker.add()
    worker.until(lambda: worker.queue.jobs.get(number).state == "done")
    worker.process.send_signal(signal.SIGTERM)
    log = worker.end()
    assert f"job {number}: done: " in log


def test_sigterm_in_mid_job_gives_it_back(worker: Process) -> None:
    number = worker.add()
    worker.until(lambda: worker.queue.jobs.get(number).frames_done > 0)
    worker.process.send_signal(signal.SIGTERM)
    worker.end()
    job = worker.queue.jobs.get(number)
    assert (job.state, job.attempts) == ("queued", 0)


def test_sigusr1_in_mid_job_lets_it_finish(worker: Process) -> None:
    number = worker.add()
    worker.until(lambda: worker.queue.jobs.get(number).frames_done > 0)
    worker.process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    assert worker.process.poll() is None
    (worker.inbox / "go").touch()
    worker.end()
    assert worker.queue.jobs.get(number).state == "done"


def test_killed_between_the_rename_and_its_record(worker: Process, tmp_path: Path) -> None:
    (worker.inbox / "go").touch()
    (worker.inbox / "die").touch()
    number = worker.add()
    worker.end(-signal.SIGKILL)
    assert worker.queue.jobs.get(number).state == "running"
    assert worker.queue.claims.recover(lambda owner: not owner_alive(owner)) == [number]
    worker.start()
    worker.until(lambda: (job := worker.queue.jobs.get(number)).state == "done" and job.settled)
    job = worker.queue.jobs.get(number)
    assert (job.model, json.loads(job.report or "{}")["frames"], job.warnings) == ("copy", 1000, ["so"])
    assert [path.name for path in (tmp_path / "outbox" / "clips").iterdir()] == ["clip.mp4"]
    assert Path(job.archived or "").read_bytes() == b"a video"
    assert not (worker.inbox / "clip.mp4").exists()


def test_it_refuses_to_outlive_its_service(worker: Process) -> None:
    orphan = subprocess.run(
        [*worker.command, "--parent", "999999999"], env=worker.environment, capture_output=True, timeout=15
    )
    assert orphan.returncode == 1


def test_a_wrong_settings_file_is_a_clear_error(tmp_path: Path, worker: Process) -> None:
    (tmp_path / "flashvsr.toml").write_text("[queue]\nmax_attempts = 0\n")
    failed = subprocess.run(worker.command, env=worker.environment, capture_output=True, text=True, timeout=15)
    assert failed.returncode == 1
    assert "queue.max_attempts = 0" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_cuda_error_ends_it_and_the_next_one_does_the_job(worker: Process) -> None:
    """Every further call of CUDA in the process would fail."""
    (worker.inbox / "cuda").touch()
    number = worker.add()
    log = worker.end(1)
    assert "CUDA error: an illegal memory access was encountered" in log
    job = worker.queue.jobs.get(number)
    assert (job.state, job.attempts, job.error_kind) == ("queued", 1, "internal")
    (worker.inbox / "cuda").unlink()
    (worker.inbox / "go").touch()
    with worker.queue.store.writing():
        worker.queue.jobs.change(number, not_before=0.0)
    worker.start()
    worker.until(lambda: worker.queue.jobs.get(number).state == "done")


def test_a_worker_that_ends_shows_its_last_lines(worker: Process) -> None:
    (worker.inbox / "cuda").touch()
    worker.add()
    with pytest.raises(AssertionError, match=r"(?s)the worker ended: 1\n.*CUDA error: an illegal memory"):
        worker.until(lambda: False)
    with pytest.raises(AssertionError, match=r"(?s)the worker ended: 1\n.*CUDA error: an illegal memory"):
        worker.end()
