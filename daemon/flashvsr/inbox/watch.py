"""The inbox watcher: every video that stands still becomes a job, once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from flashvsr.config import Config, InboxDir
from flashvsr.errors import Transient
from flashvsr.fstype import MOUNTINFO, fstype_of, is_network
from flashvsr.inbox.notifier import Notifier
from flashvsr.inbox.presets import PresetGuard
from flashvsr.inbox.problems import Problems
from flashvsr.inbox.rules import ignored, is_video_name
from flashvsr.inbox.scan import lookup, scan
from flashvsr.inbox.settle import Settler, has_writer
from flashvsr.inbox.shares import Shares
from flashvsr.jobs.intake import Source
from flashvsr.jobs.queue import Queue
from flashvsr.preset import PRESET_NAME
from flashvsr.text import printable

log = logging.getLogger(__name__)

_HINT_PAUSE = 1.0  # seconds between scans that inotify hints ask for: a tree of directories arrives in pieces
_BATCH = 500  # files made jobs in one step, so that a flood never keeps a step busy for long

_Content = tuple[int, int, int, int]  # device, inode, size, mtime_ns


class InboxWatcher:
    """Watches all inboxes of a configuration, one `step` at a time; the caller owns the loop.

    Times (`now`, `last_progress`) are seconds of the monotonic `clock`.
    `problems` says, by directory or file, what a person should know; it is replaced as a whole at each scan,
    so that another thread may read it.
    """

    def __init__(
        self,
        config: Config,
        queue: Queue,
        clock: Callable[[], float] = time.monotonic,
        mountinfo: Path = MOUNTINFO,
    ) -> None:
        self._config = config
        self._queue = queue
        self._clock = clock
        self._mountinfo = mountinfo
        self._settler = Settler(config.watch.settle_seconds)
        self._notifier = Notifier()
        self._shares = Shares(config, queue)
        self._presets = PresetGuard(queue, config.export.quality)
        self._inboxes: dict[Path, InboxDir] = {}
        self._skip: frozenset[Path] = frozenset()
        self._known: dict[Path, dict[Path, _Content]] = {}  # by inbox: files that have their job
        self._written: set[Path] = set()  # waiting files that some process has open for writing
        self._asked = threading.Event()
        self._hinted = False
        self._last_scan = float("-inf")
        self._next_scan = float("-inf")
        self._pause_until = float("-inf")
        self.last_progress = clock()
        self.problems: dict[Path, str] = {}

    def start(self) -> None:
        """Begin to listen for changes; the first `step` scans everything."""
        self._watch_directories()

    def step(self, now: float) -> None:
        """Take hints, scan, make jobs of files that stand still: whatever is due. Cheap when nothing is."""
        self._take_hints(now)
        hint_due = self._hinted and now >= self._last_scan + _HINT_PAUSE
        try:
            if now >= self._next_scan or hint_due or self._asked.is_set():
                self._scan(now)
            if now >= self._pause_until:
                self._make_jobs(now)
        except Transient as error:
            # The files are still waiting in the settler: nothing is lost, only late.
            self._pause_until = now + self._config.watch.poll_seconds
            if str(error) not in self.problems.values():
                log.warning("%s", error)
            self.problems = {**self.problems, self._queue.path: str(error)}
        self.last_progress = self._clock()

    def request_scan(self) -> None:
        """Scan at the next step; may be called from any thread."""
        self._asked.set()

    def stop(self) -> None:
        """End the threads that listen for changes."""
        self._notifier.stop()

    def _take_hints(self, now: float) -> None:
        hints = self._notifier.drain()
        self._hinted |= hints.scan
        for path in map(Path, hints.paths):
            self._hinted |= path.name == PRESET_NAME
            place = self._locate(path)
            if place is not None:
                self._look(path, *place, now)

    def _locate(self, path: Path) -> tuple[Path, str] | None:
        """Return the inbox of a video and its path inside; None if it is none, or not to be looked at."""
        if not is_video_name(path.name):
            return None
        for parent in path.parents:
            if parent in self._inboxes:
                inner = path.relative_to(parent)
                return None if any(map(ignored, inner.parts)) else (parent, str(inner))
            if parent in self._skip:
                return None
        return None

    def _look(self, path: Path, inbox: Path, relative: str, now: float) -> None:
        try:
            stat = lookup(inbox, relative)
        except OSError as error:
            log.debug("%s cannot be looked at, the next scan will: %s", printable(path), error.strerror)
            return
        if stat is None:
            self._settler.forget(path)
        elif self._known.get(inbox, {}).get(path) != _content(Source.of(inbox, path, relative, stat)):
            self._settler.observe(path, stat, now)

    def _scan(self, now: float) -> None:
        """Look through all inboxes; what is new begins to settle."""
        self._asked.clear()
        self._hinted = False
        self._last_scan = now
        self._next_scan = now + self._config.watch.poll_seconds
        problems = Problems()
        found = {inbox.path: inbox for inbox in self._shares.inboxes(problems.add)}
        self._inboxes = found
        paths = self._config.paths
        outboxes = {inbox.outbox for inbox in found.values()}
        # Our own directories, wherever a configuration may have put them, and inboxes inside an inbox.
        self._skip = frozenset({paths.outbox, paths.state, paths.models} | outboxes | found.keys())
        self._watch_directories()
        self._shares.check_outboxes(found.values(), problems.add)
        self._shares.stray_files(problems.add)
        for inbox in found:
            if wrong := self._presets.check(inbox):
                problems.add(inbox, wrong)
            try:
                self._scan_inbox(inbox, problems, now)
            except OSError as error:
                problems.add(inbox, f"cannot be read: {error.strerror}; is the share still mounted?")
            self.last_progress = self._clock()
        self._presets.keep_only(found)
        self._written = {path for path in self._written if path in self._settler}
        self._known = {inbox: files for inbox, files in self._known.items() if inbox in found}
        self.problems = problems.texts()

    def _scan_inbox(self, inbox: Path, problems: Problems, now: float) -> None:
        known = self._known.get(inbox, {})
        still_known: dict[Path, _Content] = {}
        new: list[Source] = []
        seen: set[Path] = set()
        for file in scan(inbox, problems.add, self._skip):
            if not is_video_name(file.path.name):
                problems.count(inbox, "not videos by name and left alone", file.relative)
                continue
            seen.add(file.path)
            source = Source.of(inbox, file.path, file.relative, file.stat)
            if known.get(file.path) == _content(source):
                still_known[file.path] = _content(source)
            elif file.path in self._settler:
                self._settler.observe(file.path, file.stat, now)
            else:
                new.append(source)
            if not file.stat.st_size:
                problems.count(inbox, "empty and wait for their content", file.relative)
            elif file.path in self._written:
                problems.count(inbox, "still open for writing in some program", file.relative)
        unknown = {source.source for source in self._queue.unknown(new)}
        for source in new:
            if source.source in unknown:
                self._settler.observe_content(Path(source.source), source.size, source.mtime_ns, now)
            else:
                still_known[Path(source.source)] = _content(source)
        self._known[inbox] = still_known
        gone = (path for path in self._settler.waiting() if path not in seen and path.is_relative_to(inbox))
        self._settler.forget_all(gone)

    def _make_jobs(self, now: float) -> None:
        """Make jobs of the files that have stood still long enough and that nobody writes to."""
        due = self._settler.due(now)[:_BATCH]
        ready = [source for path in due if (source := self._settled(path, now)) is not None]
        if not ready:
            return
        numbers = self._queue.add_many(ready, self._presets.broken)
        for source, number in zip(ready, numbers, strict=True):
            path = Path(source.source)
            self._settler.forget(path)
            self._known.setdefault(Path(source.inbox), {})[path] = _content(source)
            if number is None:
                log.info("%s has its job already", printable(path))
            else:
                log.info("job %d: %s", number, printable(path))

    def _settled(self, path: Path, now: float) -> Source | None:
        """Look at a waiting file once more; None if it has to wait on, or need not wait any more."""
        place = self._locate(path)
        try:
            stat = None if place is None else lookup(*place)
        except OSError as error:
            log.debug("%s cannot be looked at, it waits on: %s", printable(path), error.strerror)
            self._settler.restart(path, now)
            return None
        if place is None or stat is None:
            self._settler.forget(path)
            return None
        if not self._settler.observe(path, stat, now):
            return None
        if stat.st_size == 0 or self._is_written(path):
            self._settler.restart(path, now)
            return None
        return Source.of(place[0], path, place[1], stat)

    def _is_written(self, path: Path) -> bool:
        if not has_writer(path):
            self._written.discard(path)
            return False
        if path not in self._written:
            log.info("%s is still open for writing in some program", printable(path))
            self._written.add(path)
        return True

    def _watch_directories(self) -> None:
        """Listen where changes are announced: on local file systems, or everywhere if the settings say so."""
        observer = self._config.watch.observer
        if observer == "poll":
            return
        root = self._config.paths.inbox
        extra = (inbox.path for inbox in self._config.extra_inboxes)
        self._notifier.watch(
            directory
            for directory in (root, *extra)
            if observer == "inotify" or not is_network(fstype_of(directory, self._mountinfo))
        )


def _content(source: Source) -> _Content:
    return source.device, source.inode, source.size, source.mtime_ns
