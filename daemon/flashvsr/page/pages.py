"""Keeps the pages of all outboxes up to date, and never lets the service wait for a share.

Each page is written by a thread of its own, which lives as long as that takes. One that hangs holds up that page alone:
nobody waits for it, and no second one begins meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from flashvsr.errors import Damaged, FlashVSRError
from flashvsr.files import marked
from flashvsr.files.mounts import Mounts
from flashvsr.files.state import StateDirectory
from flashvsr.files.texts import read_up_to
from flashvsr.files.trees import OWN, Trees
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import DONE
from flashvsr.page.content import STOPPED, Content, content_of
from flashvsr.page.render import Signs, html_page, text_page
from flashvsr.page.roots import Root, roots_of
from flashvsr.settings.config import Config
from flashvsr.status.snapshot import Snapshot
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

HTML, TEXT = "STATUS.html", "STATUS.txt"
ABOUT = "status of flashvsr"  # by which pages are told from our other texts
LARGEST_PICTURE = 1 << 16  # bytes


@dataclass(frozen=True)
class Pace:
    """How often pages are written, in seconds.

    `least`: between two times. `sign`: at least so often, although nothing has changed. `quiet`: after so long without
    a change ever more rarely, so that a disk can sleep, but after `rarest` in any case. `retry`: after one that could
    not be written. `stop`: for which a service that stops waits for its last pages.
    """

    least: float = 5.0
    sign: float = 20.0
    quiet: float = 600.0
    rarest: float = 6 * 3600.0
    retry: float = 60.0
    stop: float = 5.0


class Pages:
    """The pages of all outboxes. Every method returns at once, but for `stop`."""

    def __init__(self, queue: Queue, pace: Pace | None = None) -> None:
        self._queue = queue
        self._pace = pace or Pace()
        self._config: Config | None = None
        self._pages: dict[Root, _Page] = {}
        self._failure = ""

    def show(self, snapshot: Snapshot, config: Config) -> None:
        """Bring to the pages what is known now, where they would say something else, or give no other sign of life.

        Whatever goes wrong with that is said in the log, and is no reason for the service to do anything else. Raises
        Damaged alone.
        """
        try:
            self._take(config)
            # Far cheaper than the content itself: a service at rest does little.
            seen = self._queue.store.version(), snapshot.problems, snapshot.service, snapshot.jobs, snapshot.inboxes
            for page in self._pages.values():
                if page.may_write(seen):
                    page.keep(self._content(snapshot, page.root), seen)
        except Damaged:
            raise
        except Exception as error:
            self._fail(error)
        else:
            self._failure = ""

    def stop(self, snapshot: Snapshot) -> None:
        """Say that the service has stopped in good order, and wait for that, but not for long."""
        deadline = time.monotonic() + self._pace.stop
        try:
            for page in self._pages.values():
                page.end(replace(self._content(snapshot, page.root), condition=STOPPED), deadline)
            for page in self._pages.values():
                page.wait(deadline)
        except Exception as error:  # also Damaged: the next start says so
            self._fail(error)

    def _content(self, snapshot: Snapshot, root: Root) -> Content:
        return content_of(snapshot, self._queue, root, tuple(one for one in self._pages if one != root))

    def _take(self, config: Config) -> None:
        """Keep the pages of the outboxes that the settings name now; take away those of others."""
        if config is self._config:
            return
        named = roots_of(config)
        trees = config.trees()
        for root in named:
            self._pages.setdefault(root, _Page(root, trees, self._queue.state, self._pace)).trees = trees
        wanted = named if config.status.page else ()
        paths = {root.path for root in wanted}
        for root in [root for root in self._pages if root not in wanted]:
            page = self._pages.pop(root)
            if root.path not in paths:  # else only its inboxes are others
                page.remove()
        self._config = config

    def _fail(self, error: Exception) -> None:
        if self._failure != str(error):
            expected = isinstance(error, FlashVSRError | OSError)
            log.warning("the status page cannot be made: %s", error, exc_info=None if expected else error)
        self._failure = str(error)


class _Page:
    """The page of one outbox."""

    def __init__(self, root: Root, trees: Trees, state: StateDirectory, pace: Pace) -> None:
        self.root = root
        self.trees = trees  # the way to it, by the newest settings that name it
        self._state = state
        self._pace = pace
        self._thread: threading.Thread | None = None
        self._seen: object = None
        self._told: tuple[object, ...] | None = None
        self._next_write = 0.0
        self._next_sign = 0.0
        self._changed = time.monotonic()
        self._failure = ""

    def may_write(self, seen: object) -> bool:
        """Whether it is time, the last time is over, and there may be anything to say. `seen`: what was looked at."""
        now = time.monotonic()
        if now < self._next_write or self._is_writing():
            return False
        return seen != self._seen or self._told is None or now >= self._next_sign

    def keep(self, content: Content, seen: object) -> None:
        """Write, if there is anything to say. `seen`: what the content was made of."""
        self._seen = seen
        now, tells = time.monotonic(), content.tells()
        if tells != self._told:
            self._changed = now
        elif now < self._next_sign:
            return
        self._told = tells
        quiet = now - self._changed
        pause = self._pace.sign if quiet < self._pace.quiet else min(quiet, self._pace.rarest)
        self._next_write, self._next_sign = now + self._pace.least, now + pause
        written = time.time()
        self._start(lambda: self._write(content, Signs(written, written + pause)))

    def end(self, content: Content, deadline: float) -> None:
        """Write for the last time, once the time before is over."""
        self.wait(deadline)
        if not self._is_writing():
            written = time.time()
            self._start(lambda: self._write(content, Signs(written, None)))

    def remove(self) -> None:
        """Take both texts away, once those that are being written are."""
        writing = self._thread

        def work() -> None:
            if writing is not None:
                writing.join()
            self._remove()

        self._start(work)

    def wait(self, deadline: float) -> None:
        """Wait until it is written, but not beyond a moment of the monotonic clock."""
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _is_writing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self, work: Callable[[], None]) -> None:
        # A daemon: a thread stuck in a dead share cannot be joined and must not keep the process.
        self._thread = threading.Thread(target=self._contained, args=(work,), name="status-page", daemon=True)
        self._thread.start()

    def _contained(self, work: Callable[[], None]) -> None:
        try:
            work()
        except FileNotFoundError:
            self._told = None  # no outbox yet: results make it
        except Exception as error:
            if self._failure != str(error):
                expected = isinstance(error, FlashVSRError | OSError)
                where = printable(self.root.path)
                log.warning("no status page in %s: %s", where, error, exc_info=None if expected else error)
            self._failure = str(error)
            self._told, self._next_write = None, time.monotonic() + self._pace.retry
        else:
            self._failure = ""

    def _write(self, content: Content, signs: Signs) -> None:
        root = self.root.path
        Mounts(self._state.path, self.trees).check(root)
        pictures = {job.id: self._picture(job.id) for job in content.ended if job.state == DONE}
        marked.renew(self.trees, root / HTML, html_page(content, signs, root, pictures), ABOUT, html=True)
        marked.renew(self.trees, root / TEXT, text_page(content, signs, root), ABOUT)

    def _remove(self) -> None:
        root = self.root.path
        Mounts(self._state.path, self.trees).check(root)
        for name in (HTML, TEXT):
            marked.withdraw(self.trees, root / name, ABOUT)

    def _picture(self, job: int) -> bytes:
        """The small picture of a job; nothing where there is none."""
        try:
            with open(self._state.thumbnail(job), "rb", opener=OWN.open_file) as file:
                return read_up_to(file.fileno(), LARGEST_PICTURE)
        except OSError:
            return b""
