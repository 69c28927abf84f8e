"""The inbox watcher: every video that stands still becomes a job, once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from flashvsr.errors import NoSpace, Transient
from flashvsr.files.filesystems import MOUNTINFO, fstype_of, is_network
from flashvsr.inbox.contained import Contained
from flashvsr.inbox.handover import Handover
from flashvsr.inbox.hints import Listener
from flashvsr.inbox.presets import PresetGuard
from flashvsr.inbox.rules import ignored, ignored_folder, is_video_name
from flashvsr.inbox.scan_problems import ScanProblems
from flashvsr.inbox.settle import Settler
from flashvsr.inbox.shares import Shares
from flashvsr.inbox.stock import Stock, obstacle
from flashvsr.inbox.unfinished import looks_like_part
from flashvsr.inbox.walk import lookup
from flashvsr.jobs.queue import Queue
from flashvsr.settings.config import Config, InboxDir
from flashvsr.settings.preset import PRESET_NAME
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

_HINT_PAUSE = 1.0  # seconds between scans that inotify hints ask for: a tree of directories arrives in pieces
_HINT_SHARE = 10.0  # and no more than one part in so many of the time is spent on them
_POLL_SHARE = 600.0  # nor of a core on periodic scans, where changes are announced anyway
_MOST_POLLS = 6.0  # but a scan comes after so many times `poll_seconds`: not every change is announced
_RETRY_SECONDS = 10.0  # at most, until what failed for want of the queue is tried again


class InboxWatcher:
    """Watches all inboxes of a configuration, one `step` at a time; the caller owns the loop.

    Times (`now`, `last_progress`) are seconds of the monotonic `clock`. `last_progress` is when something that was due
    was last done: an inbox looked through (or what is wrong with it contained), files queued, or nothing was due.
    After a failure that concerns more than one inbox it stands until all that is due has been done.
    `problems` says, by directory or file, what a person should know; it is replaced as a whole at each scan,
    so that another thread may read it. So is `inboxes`: those of the last scan, with what is wrong with their presets.
    """

    def __init__(
        self,
        config: Config,
        queue: Queue,
        clock: Callable[[], float] = time.monotonic,
        mountinfo: Path = MOUNTINFO,
    ) -> None:
        self._config = config
        self._trees = config.trees()
        self._queue = queue
        self._clock = clock
        self._mountinfo = mountinfo
        self._settler = Settler(config.watch.settle_seconds)
        self._stock = Stock(self._trees, self._settler, queue.intake.unknown)
        self._handover = Handover(self._trees, queue, self._stock, self._locate)
        self._notifier = Listener()
        self._shares = Shares(config, queue)
        self._presets = PresetGuard(self._trees, queue, config.export.quality)
        self._contained = Contained()
        self._inboxes: dict[Path, InboxDir] = {}
        self._skip: frozenset[Path] = frozenset()
        self._hinted = False
        self._scanned_whole = True
        self._failing = False
        self._queue_problem = ""
        self._next_scan = float("-inf")
        self._next_hinted = float("-inf")
        self._pause_until = float("-inf")
        self._retry_seconds = min(config.watch.poll_seconds, _RETRY_SECONDS)
        self.last_progress = float("-inf")
        self.problems: dict[Path, str] = {}
        self.inboxes: dict[Path, str] = {}

    def step(self, now: float) -> None:
        """Take hints, scan, make jobs of files that stand still: whatever is due. Cheap when nothing is.

        What is wrong with one inbox or file is contained; what else goes wrong is raised, but for a queue that cannot
        be used at the moment. Nothing is forgotten then, and the next steps try again.
        """
        try:
            self._do_what_is_due(now)
        except Transient as error:
            self._delay(now, error)
            # Restarting the service makes no room on a disk: a person is told, and that is all there is to do.
            if isinstance(error, NoSpace):
                self.last_progress = self._clock()
        except Exception:
            self._failing = True
            self._pause_until = now + self._retry_seconds
            raise
        else:
            if self._failing and self._scanned_whole and now >= self._pause_until:
                self._recover()
            self._get_on()

    def stop(self) -> None:
        """Stop to listen for changes."""
        self._notifier.stop()

    def _do_what_is_due(self, now: float) -> None:
        self._take_hints(now)
        if now >= self._next_scan or (self._hinted and now >= self._next_hinted):
            self._scan(now)
        if now >= self._pause_until:
            self._handover.step(self._presets.terms(), now)

    def _get_on(self) -> None:
        if not self._failing:
            self.last_progress = self._clock()

    def _recover(self) -> None:
        self._failing = False
        self._queue_problem = ""
        self.problems = {path: text for path, text in self.problems.items() if path != self._queue.path}

    def _delay(self, now: float, error: Transient) -> None:
        """The queue cannot be used now. The files are still waiting in the settler: nothing is lost, only late."""
        self._failing = True
        self._pause_until = now + self._retry_seconds
        if str(error) != self._queue_problem:
            log.warning("%s", error)
        self._queue_problem = str(error)
        self._tell(self.problems)

    def _tell(self, problems: dict[Path, str]) -> None:
        """Replace what is said as a whole: another thread reads it."""
        self.problems = problems | ({self._queue.path: self._queue_problem} if self._queue_problem else {})

    def _take_hints(self, now: float) -> None:
        hints = self._notifier.drain()
        self._hinted |= hints.scan
        for path in hints.paths:
            self._hinted |= path.name == PRESET_NAME
            place = self._locate(path)
            if place is not None:
                self._look(path, *place, now)

    def _locate(self, path: Path) -> tuple[Path, str] | None:
        """Return the inbox of a video and its path inside; None if it is none, or not to be looked at."""
        if not is_video_name(path.name) or looks_like_part(path.name):
            return None
        for parent in path.parents:
            if parent in self._inboxes:
                inner = path.relative_to(parent)
                left_alone = ignored(path.name) or any(map(ignored_folder, inner.parts[:-1]))
                return None if left_alone else (parent, str(inner))
            if parent in self._skip:
                return None
        return None

    def _look(self, path: Path, inbox: Path, relative: str, now: float) -> None:
        try:
            stat = lookup(self._trees, inbox, relative)
        except OSError as error:
            log.debug("%s cannot be looked at, the next scan will: %s", printable(path), error.strerror)
            return
        if stat is None or obstacle(path, stat):
            self._settler.forget(path)
        elif not self._stock.is_known(inbox, relative, stat):
            self._settler.observe(path, stat, now)

    def _scan(self, now: float) -> None:
        """Look through all inboxes; what is new begins to settle."""
        began, worked = self._clock(), time.thread_time()
        self._hinted = self._scanned_whole = False
        self._next_scan = now + self._retry_seconds  # should it come to no end
        problems = ScanProblems()
        found = {inbox.path: inbox for inbox in self._shares.inboxes(problems.add)}
        self._inboxes = found
        outboxes = {inbox.outbox for inbox in found.values()}
        # Our own directories, wherever a configuration may have put them, and inboxes inside an inbox.
        self._skip = self._config.not_looked_into() | outboxes | found.keys()
        self._shares.check_outboxes(found.values(), problems.add)
        self._shares.stray_files(problems.add)
        announcing = self._announcing()
        for part in (self._presets, self._stock, self._notifier):
            part.begin()
        if self._config.paths.inbox in announcing:
            self._listen_for_inboxes(self._config.paths.inbox)
        for inbox in found:
            with self._contained.at(inbox, problems):
                self._scan_inbox(inbox, problems, inbox in announcing or inbox.parent in announcing, now)
            self._get_on()
        self._presets.keep_only(found)
        self._stock.end(found.keys())
        self._notifier.end()
        self._tell(problems.texts())
        self.inboxes = {inbox: self._presets.broken.get(str(inbox), "") for inbox in found}
        all_announced = self._notifier.hears_all and all({path, path.parent} & announcing for path in found)
        self._next_scan = now + self._until_next(time.thread_time() - worked, all_announced)
        self._next_hinted = now + max(_HINT_PAUSE, _HINT_SHARE * (self._clock() - began))
        self._scanned_whole = True

    def _until_next(self, worked: float, all_announced: bool) -> float:
        """Return the seconds until the next periodic scan after one that took so much of a core's time."""
        poll = self._config.watch.poll_seconds
        return min(max(poll, _POLL_SHARE * worked), _MOST_POLLS * poll) if all_announced else poll

    def _scan_inbox(self, inbox: Path, problems: ScanProblems, announces: bool, now: float) -> None:
        if wrong := self._presets.check(inbox):
            problems.add(inbox, wrong)
        self._stock.take(inbox, problems, self._skip, self._notifier.listen if announces else None, now)

    def _announcing(self) -> frozenset[Path]:
        """Return the roots below which changes are announced: on local file systems, or all if the settings say so."""
        observer = self._config.watch.observer
        if observer == "poll":
            return frozenset()
        return frozenset(
            directory
            for directory in (self._config.paths.inbox, *(inbox.path for inbox in self._config.extra_inboxes))
            if observer == "inotify" or not is_network(fstype_of(directory, self._mountinfo))
        )

    def _listen_for_inboxes(self, root: Path) -> None:
        try:
            with self._trees.directory(root) as descriptor:
                self._notifier.listen(root, descriptor)
        except OSError as error:
            log.debug("%s cannot be opened, which the scan reports: %s", printable(root), error)
