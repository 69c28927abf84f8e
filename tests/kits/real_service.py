"""The real service with the real worker and the nano model, on directories of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from flashvsr.settings.service_tables import QueueSettings
from kits.waiting import wait_while_it_gets_on

# The model works on squares of 128 pixels, and the time goes by their number.
PRESET = "width = 128\nscale = 1.0\nfit = 'pad'\nencoder = 'software'\n"  # one of them
LONGER = "width = 256\nscale = 2.0\nfit = 'crop'\nencoder = 'software'\n"  # eight: the middle of a job can be met
LONG = "width = 512\nscale = 2.0\nfit = 'crop'\nencoder = 'software'\n"  # a second more: a command comes there in time

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

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flashvsr", "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.until(lambda: (self.state / "queue.db").exists(), "the queue exists")

    def stop(self) -> int:
        """Stop in good order and return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def jobs(self) -> list[Job]:
        with closing(Queue(self.state)) as queue:
            return queue.jobs.select()

    def job(self, name: str) -> Job | None:
        return next((job for job in self.jobs() if job.relative == name), None)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until the condition holds, as long as the service gets on; its value."""

        def holds() -> Any:
            value = condition()
            assert value or self.process is None or self.process.poll() is None, f"the service ended before {what}"
            return value

        try:
            return wait_while_it_gets_on(holds, self._progress, what)
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

    def worker_pid(self) -> int:
        with closing(Queue(self.state)) as queue:
            return next((worker.pid for worker in queue.workers.all() if worker.state != "starting"), 0)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return flashvsr(*arguments, "--config", str(self.config))


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
