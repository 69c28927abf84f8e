"""What touches the shares, in a thread of its own, so that one that hangs never freezes the service.

That is the inbox watcher and, now and then, the removal of what is kept long enough.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flashvsr.errors import Damaged
from flashvsr.inbox.contained import unforeseen
from flashvsr.inbox.watch import InboxWatcher
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.retention import prune
from flashvsr.jobs.schema import RUNNING
from flashvsr.outbox.leftovers import remove_all, remove_texts
from flashvsr.settings.config import Config

log = logging.getLogger(__name__)

STEP_SECONDS = 0.5
RETRY_SECONDS = 5.0  # pause after an unexpected error
PRUNE_SECONDS = 3600.0  # also before the first time: a machine may learn the right time only after its start
LEFT_SECONDS = 86_400.0  # what nobody wrote to for so long is not being written, however slow the share
CLOCK_SLACK = 300.0  # seconds an hour that the wall clock may be off the monotonic one

NO_BEGIN = "watching the inboxes cannot begin"
NO_STEP = "watching the inboxes failed"
NO_PRUNE = "removing what is old failed"

MakeWatcher = Callable[[Config, Queue, Callable[[], float]], InboxWatcher]


class WatchThread:
    """Runs an `InboxWatcher`, replaces it on a reload, and knows how long it has been silent."""

    def __init__(self, config: Config, make_watcher: MakeWatcher, clock: Callable[[], float]) -> None:
        self._config = config
        self._make_watcher = make_watcher
        self._clock = clock
        self._watcher: InboxWatcher | None = None
        self._progress_at = clock()
        self._failures: dict[str, str] = {}  # what was attempted: how it failed
        self._next_prune = clock() + PRUNE_SECONDS
        self._wall_offset = time.time() - clock()
        self.damage = ""  # what was found damaged about the queue database; the thread has ended then
        self._ending = threading.Event()
        self._renew = threading.Event()
        # A daemon: a thread stuck in a dead share cannot be joined and must not keep the process.
        self._thread = threading.Thread(target=self._run, name="inbox-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def reload(self, config: Config) -> None:
        """Watch by this configuration from the next step on; all presets are checked again."""
        self._config = config
        self._renew.set()

    def end(self) -> None:
        """Ask the thread to end; returns at once."""
        self._ending.set()

    def join(self, timeout: float) -> None:
        """Wait for the thread, but not for ever: it may hang in a dead share."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("the inbox watcher hangs in the file system and is left behind")

    def silent_seconds(self) -> float:
        """Seconds since the watcher last got something done; 0 once it was asked to end.

        That it was started again, here or by a reload, is no progress, and neither is an attempt that failed.
        """
        if self._ending.is_set():
            return 0.0
        watcher = self._watcher
        last = self._progress_at if watcher is None else max(self._progress_at, watcher.last_progress)
        return max(0.0, self._clock() - last)

    def problems(self) -> dict[Path, str]:
        """What a person should know about the inboxes, by directory."""
        watcher = self._watcher
        found = {} if watcher is None else dict(watcher.problems)
        if failures := list(self._failures.values()):
            state = self._config.paths.state
            found[state] = "; ".join([found[state], *failures] if state in found else failures)
        return found

    def inboxes(self) -> Mapping[Path, str]:
        """The inboxes of the last scan, each with what is wrong with its preset; another object if they changed."""
        watcher = self._watcher
        return {} if watcher is None else watcher.inboxes

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._watch()
            except Damaged as error:
                self.damage = str(error)
                return
            except Exception as error:
                self._fail(NO_BEGIN, error)

    def _watch(self) -> None:
        """Watch until the thread ends or the configuration changes."""
        self._renew.clear()
        queue = Queue(self._config.paths.state)
        try:
            watcher = self._make_watcher(self._config, queue, self._clock)
            if self._watcher is not None:
                self._progress_at = max(self._progress_at, self._watcher.last_progress)
            self._watcher = watcher
            self._failures.pop(NO_BEGIN, None)
            try:
                while not (self._ending.is_set() or self._renew.is_set()):
                    self._step(watcher, queue)
                    self._ending.wait(STEP_SECONDS)
            finally:
                watcher.stop()
        finally:
            queue.close()

    def _step(self, watcher: InboxWatcher, queue: Queue) -> None:
        """Do one step of each kind. What fails unexpectedly is tried again, with all that the watcher knows."""
        with self._attempt(NO_STEP):
            before = watcher.last_progress
            watcher.step(self._clock())
            if watcher.last_progress > before:  # not while it only waits to try again
                self._failures.pop(NO_STEP, None)
        if self._clock() >= self._next_prune:
            self._next_prune = self._clock() + PRUNE_SECONDS
            with self._attempt(NO_PRUNE):
                self._prune(queue)
                self._failures.pop(NO_PRUNE, None)

    @contextmanager
    def _attempt(self, failed: str) -> Iterator[None]:
        try:
            yield
        except Damaged:
            raise
        except Exception as error:
            self._fail(failed, error)

    def _fail(self, failed: str, error: Exception) -> None:
        """Say it, in the log once until it changes; and pause, for the cause may be with us for a while."""
        text = f"{failed} ({unforeseen(error)}); it is tried again"
        if self._failures.get(failed) != text:
            log.error("%s", text, exc_info=error)
        self._failures[failed] = text
        self._ending.wait(RETRY_SECONDS)

    def _prune(self, queue: Queue) -> None:
        if self._wall_clock_was_set():
            log.warning("the clock was set; nothing is removed for its age before it has run steadily for an hour")
            return
        days = self._config.retention.days
        removed = prune(self._config.trees(), queue, days, time.time(), self._config.paths.archive)
        if any(removed.values()):
            text = ", ".join(f"{count} {what}" for what, count in removed.items())
            log.info("older than %d days and removed: %s", days, text)
        if left := self._remove_temporaries(queue, time.time() - LEFT_SECONDS):
            log.info("%d half-written hidden files of crashed processes removed", left)

    def _remove_temporaries(self, queue: Queue, limit: float) -> int:
        config, trees, running = self._config, self._config.trees(), {job.id for job in queue.jobs.select([RUNNING])}
        state, inboxes = queue.state, (inbox.path for inbox in config.inboxes())
        outboxes = {config.paths.outbox, *(extra.outbox for extra in config.extra_inboxes)}
        removed = sum(remove_texts(trees, place, limit) for place in (state.path, state.records, *inboxes))
        return removed + sum(remove_all(trees, outbox, limit, running) for outbox in outboxes)

    def _wall_clock_was_set(self) -> bool:
        """Whether the wall clock jumped since the last look: by a wrong one everything may seem old enough to go."""
        before, self._wall_offset = self._wall_offset, time.time() - self._clock()
        return abs(self._wall_offset - before) > CLOCK_SLACK
