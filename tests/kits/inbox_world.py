"""A share with an inbox for the watcher's tests."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flashvsr.inbox.watch import InboxWatcher
from flashvsr.jobs.queue import Queue
from flashvsr.settings.config import Config

SETTLE = 5.0
POLL = 10.0


@dataclass
class World:
    """A share with an inbox, its watcher, and a clock that only the test moves."""

    root: Path
    queue: Queue
    config: Config
    watcher: InboxWatcher = field(init=False)
    now: float = 1000.0
    moments: Iterator[int] = field(default_factory=lambda: itertools.count(1_700_000_000))

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start a new watcher, as a new service would."""
        self.watcher = InboxWatcher(self.config, self.queue, clock=lambda: self.now)

    @property
    def inbox(self) -> Path:
        return self.root / "default"

    def drop(self, name: str, content: bytes = b"video", inbox: Path | None = None) -> Path:
        path = (inbox or self.inbox) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        moment = next(self.moments)
        os.utime(path, (moment, moment))
        return path

    def step(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.watcher.step(self.now)

    def scan(self, seconds: float = 0.0) -> None:
        self.watcher._next_scan = self.now  # whatever the time of the next one was
        self.step(seconds)

    def settle(self) -> None:
        """Let everything that stands still become a job."""
        self.scan()
        self.step(SETTLE)

    def names(self, state: str = "queued") -> list[str]:
        return sorted(job.relative for job in self.queue.jobs.select([state]))
