"""For tests of the service process: starts a real one with a worker of the test's choice, listens to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from flashvsr.files.state import StateDirectory
from flashvsr.jobs.queue import Queue
from kits.forked_service import ForkedService
from kits.paths import PROGRAMS, python_environment
from kits.waiting import last_lines

PATIENCE_SECONDS = 15.0
_running: list[Service] = []  # what a test waits for in vain may be told in their logs


def eventually(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until the condition holds and return its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    logs = "".join(f"\n{service.last_lines()}" for service in _running)
    raise AssertionError(f"not within {seconds} s: {what}{logs}")


def running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends between opening and reading
        return False
    return state not in "ZX"


class Service:
    """One service process on directories below `root`; `prefix` is a program that starts it."""

    def __init__(self, root: Path, worker: str, prefix: tuple[str, ...] = (), **options: Any) -> None:
        self.root = root
        self.state = root / "state"
        self.config = root / "flashvsr.toml"
        self.inbox = root / "inbox" / "clips"
        self.inbox.mkdir(parents=True, exist_ok=True)
        if not self.config.exists():
            self.configure()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Read all the time, as systemd does: a full socket would hold the service up.
        self._listener = threading.Thread(target=self._listen, daemon=True)
        address = root / f"notify-{os.urandom(4).hex()}"
        self._socket.bind(str(address))
        self.said: list[str] = []  # one assignment a line
        self._listener.start()
        self._log = root / f"log-{os.urandom(4).hex()}"
        environment = python_environment() | {
            "NOTIFY_SOCKET": str(address),
            "WATCHDOG_USEC": "400000",
            "FAKE_WORKER": worker,
            "FAKE_NOTES": str(root / "notes"),
        }
        environment.pop("WATCHDOG_PID", None)
        self.process: subprocess.Popen[bytes] | ForkedService
        with self._log.open("wb") as log:
            if prefix:
                self.process = subprocess.Popen(
                    [*prefix, sys.executable, PROGRAMS / "run_service.py", self.config, json.dumps(options)],
                    env=environment,
                    stderr=log,
                    stdout=log,
                )
            else:
                self.process = ForkedService(self.config, json.dumps(options), environment, self._log)
        _running.append(self)

    def configure(self, extra: str = "", **paths: str) -> None:
        """Write the settings file."""
        names = ("inbox", "outbox", "state", "models")
        lines = ["[paths]", *(f'{name} = "{self.root / name}"' for name in names)]
        lines += ["[watch]", "poll_seconds = 0.2", "settle_seconds = 0.1"]
        lines += [extra] if "on_success" in extra else ['on_success = "archive"', extra]
        self.config.write_text("\n".join(lines) + "\n")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def _listen(self) -> None:
        while message := self._socket.recv(65536):
            self.said += message.decode().split("\n")

    def wait_for(self, words: str) -> str:
        """Wait for a notification with these words."""
        try:
            return str(eventually(lambda: next((line for line in list(self.said) if words in line), None), words))
        except AssertionError as error:
            raise AssertionError(f"{error}; said: {self.said[-8:]}; log: {self.log()}") from None

    def wait_for_log(self, words: str) -> None:
        eventually(lambda: words in self.log(), f"{words!r} in {self.log()}")

    def log(self) -> str:
        return self._log.read_text(errors="backslashreplace")

    def last_lines(self) -> str:
        """Of its log and its workers', which is the same."""
        return last_lines(self._log)

    def notes(self) -> list[dict[str, Any]]:
        """What the fake workers wrote down: one entry a line, with event, pid and time."""
        path = self.root / "notes"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def noted(self, event: str) -> list[dict[str, Any]]:
        return [note for note in self.notes() if note["event"] == event]

    def ask(self, question: Callable[[Queue], Any]) -> Any:
        """Look into the queue, once the service has made it: it would take one that is half made for damaged."""
        eventually(StateDirectory(self.state).database.exists, "a queue")
        with closing(Queue(self.state)) as queue:
            return question(queue)

    def add_job(self, name: str = "clip.mp4") -> int:
        """Put a file into the inbox and wait for its job."""
        source = self.inbox / name
        source.write_bytes(b"not a real video " + os.urandom(8))
        jobs = eventually(
            lambda: [job.id for job in self.ask(lambda queue: queue.jobs.select()) if job.source == str(source)],
            "a job for the file",
        )
        return int(jobs[0])

    def job(self, number: int) -> Any:
        return self.ask(lambda queue: queue.jobs.get(number))

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """End everything, however the test went."""
        _running.remove(self)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for note in self.notes():
            if running(note["pid"]):
                os.kill(note["pid"], signal.SIGKILL)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._listener.join(5)
        self._socket.close()


def services(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Body of a fixture that makes services and ends them."""
    made: list[Service] = []

    def make(worker: str = "idle", **options: Any) -> Service:
        made.append(Service(tmp_path, worker, **options))
        return made[-1]

    yield make
    for service in made:
        service.close()
