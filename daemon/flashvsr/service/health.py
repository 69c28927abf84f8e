"""Whether the service is well: what decides about READY and WATCHDOG, and what only its process knows."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import peewee

from flashvsr.errors import Damaged, FlashVSRError, NoSpace
from flashvsr.jobs.queue import Queue
from flashvsr.service.pool import WorkerPool
from flashvsr.service.watch_thread import WatchThread
from flashvsr.status.gather import Live, ServiceGatherer
from flashvsr.status.snapshot import SERVING, Snapshot

log = logging.getLogger(__name__)

WORKING = ("idle", "busy", "resting")


class Health:
    """Looks at the queue, the workers and the watcher; `refresh` once a turn.

    `silence`: seconds without a sign of the watcher after which it hangs. `config_problem` is set by who reads the
    settings again: what a person must do about them, or an empty text. `told_aside` is what is wrong with the messages
    and the metrics, as (what has it, text).
    """

    def __init__(self, queue: Queue, pool: WorkerPool, watch: WatchThread, silence: float, inbox_root: Path) -> None:
        self._gatherer = ServiceGatherer(queue, inbox_root)
        self._pool = pool
        self._watch = watch
        self._silence = silence
        self._queue_problem = ""
        self._disk_problem = ""
        self.config_problem = ""
        self.told_aside: Sequence[tuple[str, str]] = ()

    @contextmanager
    def queue_guard(self) -> Iterator[None]:
        """Carry on without the queue when it does not answer; the watchdog is not fed meanwhile."""
        try:
            yield
        except Damaged:
            raise  # waiting does not help
        except NoSpace as error:
            # Restarting would make no room: the watchdog is fed, the status line says what to do.
            if str(error) != self._disk_problem:
                log.error("%s", error)
            self._disk_problem = str(error)
        except Exception as error:  # also of one row that nobody expected: the service goes on, and says so
            if not self._queue_problem:
                expected = isinstance(error, (FlashVSRError, peewee.PeeweeException, sqlite3.Error, OSError))
                log.error("the queue does not answer: %s; trying again", error, exc_info=None if expected else error)
            self._queue_problem = str(error) or type(error).__name__
        else:
            if self._queue_problem:
                log.info("the queue answers again")
            self._queue_problem = self._disk_problem = ""

    def refresh(self) -> None:
        """Read the queue, if there is anything new in it."""
        self._gatherer.refresh()

    def is_working(self) -> bool:
        """Whether some job is running."""
        return bool(self._gatherer.running)

    def worker_is_up(self) -> bool:
        """Whether a worker of ours has reported that it can work: then the service is ready."""
        pids = self._pool.pids()
        return any(row.state in WORKING and pids.get(row.slot) == row.pid for row in self._gatherer.workers)

    def healthy(self) -> bool:
        """Whether the queue answers and the watcher moves: only then the watchdog is fed."""
        return not self._queue_problem and self._watch.silent_seconds() < self._silence

    def snapshot(self, doing: str = "", until: float | None = None, mode: str = SERVING, run: str = "") -> Snapshot:
        """Return all facts at the moment; `doing`, `until` and `mode`: see `ServiceState`; `run`: [schedule] run."""
        silent = self._watch.silent_seconds()
        return self._gatherer.snapshot(
            Live(
                doing=doing,
                until=until,
                mode=mode,
                run=run,
                settings_problem=self.config_problem,
                disk_problem=self._disk_problem,
                queue_problem=self._queue_problem,
                silent_seconds=silent if silent >= self._silence / 2 else 0.0,
                inbox_problems=self._watch.problems(),
                inboxes=self._watch.inboxes(),
                aside=self.told_aside,
            )
        )
