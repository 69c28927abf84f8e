"""What the service knows of itself at the moment: the status line, and whether it is healthy."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import peewee

from flashvsr.errors import Damaged, FlashVSRError, NoSpace
from flashvsr.jobs.damage import notices
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import RUNNING, Job, Worker
from flashvsr.service.pool import WorkerPool
from flashvsr.service.watch_thread import WatchThread
from flashvsr.status.line import summarize
from flashvsr.status.problems import ProblemList
from flashvsr.system.text import printable, visible

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0  # how often everything is read although nothing seems to have changed
WORKING = ("idle", "busy")
NAMED_TROUBLES, TROUBLE_LENGTH = 2, 400


class Overview:
    """A picture of the queue, the workers and the watcher, taken by `refresh` once a turn."""

    def __init__(self, queue: Queue, pool: WorkerPool, watch: WatchThread, silence: float) -> None:
        self._queue = queue
        self._pool = pool
        self._watch = watch
        self._silence = silence
        self._running: Sequence[Job] = ()
        self._workers: Sequence[Worker] = ()
        self._counts: Mapping[str, int] = {}
        self._failed_today = 0
        self._found: object = None  # which version of the queue, on which day
        self._next_look = 0.0
        self._notices: Sequence[str] = ()
        self._staying = 0
        self._stays: Job | None = None  # sources that could not be taken away, and the last of their jobs
        self._queue_trouble = ""
        self._full = ""
        self._list = ProblemList(queue.path.parent)
        self.config_trouble = ""

    @contextmanager
    def queue_guard(self) -> Iterator[None]:
        """Carry on without the queue when it does not answer; the watchdog is not fed meanwhile."""
        try:
            yield
        except Damaged:
            raise  # waiting does not help
        except NoSpace as error:
            # Restarting would make no room: the watchdog is fed, the status line says what to do.
            if str(error) != self._full:
                log.error("%s", error)
            self._full = str(error)
        except Exception as error:  # also of one row that nobody expected: the service goes on, and says so
            if not self._queue_trouble:
                expected = isinstance(error, (FlashVSRError, peewee.PeeweeException, sqlite3.Error, OSError))
                log.error("the queue does not answer: %s; trying again", error, exc_info=None if expected else error)
            self._queue_trouble = str(error) or type(error).__name__
        else:
            if self._queue_trouble:
                log.info("the queue answers again")
            self._queue_trouble = self._full = ""

    def refresh(self) -> None:
        """Read the queue, if anything in it has changed; and now and then anyway, as files can be damaged unnoticed."""
        midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        found = self._queue.store.version(), midnight
        changed, due = found != self._found, time.monotonic() >= self._next_look
        if changed or due:
            self._running = self._queue.jobs.select(states=[RUNNING])
            self._workers = self._queue.workers.all()
            self._counts = self._queue.jobs.counts()
        if changed:
            self._failed_today = self._queue.jobs.failed_since(midnight)
            self._found = found
        if due:
            self._notices = notices(self._queue.path.parent)
            self._staying, self._stays = self._queue.history.staying_sources()
            self._next_look = time.monotonic() + LOOK_SECONDS

    def is_working(self) -> bool:
        """Whether some job is running."""
        return bool(self._running)

    def worker_is_up(self) -> bool:
        """Whether a worker of ours has reported that it can work."""
        pids = self._pool.pids()
        return any(row.state in WORKING and pids.get(row.slot) == row.pid for row in self._workers)

    def healthy(self) -> bool:
        """Whether the queue answers and the watcher moves: only then the watchdog is fed."""
        return not self._queue_trouble and self._watch.silent_seconds() < self._silence

    def status(self) -> str:
        """One line for `systemctl status`: the newest problems with it, all of them in `flashvsr status`."""
        problems = self._list.update(self._problems())
        texts = [str(problem) for problem in problems]
        shown = [visible(" ".join(text.split()), TROUBLE_LENGTH) for text in texts[:NAMED_TROUBLES]]
        if len(texts) > len(shown):
            shown.append(f"and {len(texts) - len(shown)} more: flashvsr status")
        return summarize(self._running, self._counts, self._failed_today, shown)

    def _problems(self) -> Iterator[tuple[str, str]]:
        """Everything that a person must mend, as (what has it, text)."""
        if self.config_trouble:
            yield "settings", self.config_trouble
        if self._full:
            yield "disk", self._full
        if self._queue_trouble:
            yield "queue", f"the queue does not answer: {printable(self._queue_trouble)}"
        yield from (("queue", notice) for notice in self._notices)
        silent = self._watch.silent_seconds()
        if silent >= self._silence / 2:
            yield "inboxes", f"no inbox could be read for {silent:.0f} s: does a share hang?"
        yield from ((printable(path), text) for path, text in self._watch.problems().items())
        if self._stays is not None:
            more = f" (and {self._staying - 1} more like it)" if self._staying > 1 else ""
            yield f"job {self._stays.id}", f"{self._stays.error}{more}"
        yield from ((row.slot, row.error) for row in self._workers if row.error)
