"""The real service with the real worker and the nano model, on directories of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from flashvsr.settings.service_tables import QueueSettings
from flashvsr.worker.job_control import HEARTBEAT_SECONDS
from kits.waiting import wait_while_it_gets_on

# The model works on squares of 128 pixels, and the time goes by their number.
PRESET = "width = 128\nscale = 1.0\nfit = 'pad'\nencoder = 'software'\n"  # one of them
LONGER = "width = 128\nscale = 2.0\nfit = 'crop'\nencoder = 'software'\n"  # two: the middle of a job can be met
NORMALISED = '[preprocess]\nmode = "file"\npreset = "ultrafast"\n'

_SETTINGS = """\
[paths]
inbox = "inbox"
outbox = "outbox"
state = "state"
models = "models"
[watch]
settle_seconds = {settle}
poll_seconds = 1
on_success = "{on_success}"
[gpu]
devices = "cpu"
[queue]
min_free = 0
max_attempts = {attempts}
[chunks]
size = {chunk}
[model]
weights = "nano"
"""


def settings_text(
    *, chunk: int, settle: float = 1, on_success: str = "archive", attempts: int = QueueSettings.max_attempts
) -> str:
    """Settings of a service on the processor, with its directories beside them. `chunk`: frames of one."""
    return _SETTINGS.format(chunk=chunk, settle=settle, on_success=on_success, attempts=attempts)


class RealService:
    """`flashvsr run` as a process. Directories and queue stay when it is stopped and started again."""

    def __init__(
        self,
        root: Path,
        *,
        chunk: int = 240,
        settle: float = 1,
        on_success: str = "archive",
        attempts: int = QueueSettings.max_attempts,
        preset: str = PRESET,
        more: str = "",
    ) -> None:
        """`more`: settings of tables that are not there yet."""
        self.root = root
        self.config = root / "flashvsr.toml"
        self.inbox = root / "inbox" / "clips"
        self.outbox = root / "outbox" / "clips"
        self.state = root / "state"
        self.log = root / "service.log"
        self.inbox.mkdir(parents=True)
        (root / "outbox").mkdir()
        settings = settings_text(chunk=chunk, settle=settle, on_success=on_success, attempts=attempts)
        self.config.write_text(settings + more)
        (self.inbox / "preset.toml").write_text(preset)
        self.process: subprocess.Popen[bytes] | None = None

    def add_inbox(self, name: str, preset: str = PRESET) -> Path:
        """One more, which is there with its preset at once: its directory."""
        hidden = self.root / "inbox" / f".{name}"
        hidden.mkdir()
        (hidden / "preset.toml").write_text(preset)
        return hidden.rename(hidden.with_name(name))

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flashvsr", "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.until(lambda: (self.state / "queue.db").exists(), "the queue exists")

    def ask_to_stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for the end that was asked for; the exit code."""
        assert self.process is not None
        code = self.process.wait(120)
        self.process = None
        return code

    def stop(self) -> int:
        """Stop in good order and return the exit code."""
        self.ask_to_stop()
        return self.ended()

    def stop_in_mid_job(self, worker: int) -> None:
        """Ask the service to stop, until its worker, which is held, has been told."""
        self.ask_to_stop()
        self.until(lambda: has_waiting(worker, signal.SIGTERM), "the worker is told to stop", pause=0.01)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def jobs(self) -> list[Job]:
        with closing(Queue(self.state)) as queue:
            return queue.jobs.select()

    def job(self, name: str) -> Job | None:
        return next((job for job in self.jobs() if job.relative == name), None)

    def until(self, condition: Callable[[], Any], what: str, pause: float = 0.1) -> Any:
        """Wait until the condition holds, as long as the service gets on; its value."""

        def holds() -> Any:
            value = condition()
            assert value or self.process is None or self.process.poll() is None, f"the service ended before {what}"
            return value

        try:
            return wait_while_it_gets_on(holds, self._progress, what, pause)
        except AssertionError as error:
            log = self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""
            raise AssertionError(f"{error}\n{log}") from None

    def _progress(self) -> Any:
        if not (self.state / "queue.db").exists():
            return None
        with closing(Queue(self.state)) as queue:
            workers = [(worker.pid, worker.state, worker.error) for worker in queue.workers.all()]
            return workers, [(job.state, job.attempts, job.frames_done, job.progress_at) for job in queue.jobs.select()]

    def until_state(self, name: str, *states: str) -> Job:
        def reached() -> Job | None:
            job = self.job(name)
            return job if job is not None and job.state in states else None

        found: Job = self.until(reached, f"{name} is {' or '.join(states)}")
        return found

    @contextmanager
    def held(self, pattern: str) -> Iterator[int]:
        """Hold the worker as soon as job 1 has a file of this name, until the block ends; yields its process id.

        So a command comes there in time, however little work is left.
        """
        pid: int = self.until(self.worker_pid, "a worker is there")
        folder = self.state / "jobs" / "1"
        self.until(lambda: list(folder.glob(pattern)), pattern, pause=0.01)
        os.kill(pid, signal.SIGSTOP)
        # It may wait for the disk. What is sent to it then comes to its ears before it stands still.
        self.until(lambda: _stands_still(pid), "the worker stands still", pause=0.01)
        stopped = time.monotonic()
        try:
            yield pid
            time.sleep(max(0.0, stopped + HEARTBEAT_SECONDS - time.monotonic()))  # then it asks what is wanted of it
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def worker_pid(self) -> int:
        with closing(Queue(self.state)) as queue:
            return next((worker.pid for worker in queue.workers.all() if worker.state != "starting"), 0)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return flashvsr(*arguments, "--config", str(self.config))


def _stands_still(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(line.startswith("State:\tT") for line in lines)


def has_waiting(pid: int, number: signal.Signals) -> bool:
    """Whether a signal has come to the process, which has not looked at it yet."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (waiting,) = (line.split()[1] for line in lines if line.startswith("ShdPnd:"))
    return bool(int(waiting, 16) >> number - 1 & 1)


def flashvsr(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a `flashvsr` command."""
    return subprocess.run(
        [sys.executable, "-m", "flashvsr", *arguments], capture_output=True, text=True, timeout=170, **options
    )


def status(service: RealService) -> dict[str, Any]:
    found = service.command("status", "--json")
    assert found.returncode == 0, found.stderr
    facts: dict[str, Any] = json.loads(found.stdout)
    return facts
