"""Where the file of a job is, when its name no longer leads to it: people rename, and programs that unpack do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from flashvsr.errors import Damaged, FlashVSRError
from flashvsr.files.at import identity
from flashvsr.files.trees import Trees
from flashvsr.inbox.rules import is_video_name
from flashvsr.inbox.walk import folders
from flashvsr.jobs.intake import Source
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from flashvsr.settings.config import Config
from flashvsr.system.text import printable
from flashvsr.worker.source import InboxGone, SourceChanged, SourceGone, check_source

log = logging.getLogger(__name__)

# Of the time, at most a sixth is spent on looking through inboxes, however many files are gone at once.
_PAUSE = 5.0

_Inode = tuple[int, int]  # device and inode


class Whereabouts:
    """Follows files to their new names, in any inbox, and tells the queue."""

    def __init__(self, queue: Queue, config: Callable[[], Config], clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._config = config
        self._clock = clock
        self._found: dict[_Inode, Source] = {}
        self._next_look = 0.0

    def follow(self, job: Job) -> Job:
        """Return the job under the name that its file has now.

        Raises SourceGone, SourceChanged, InboxGone or another Transient where no inbox has it any more.
        """
        job = self._queue.jobs.get(job.id) or job  # the watcher may have noticed first
        try:
            check_source(self._config().trees(), job)
        except (SourceGone, SourceChanged, InboxGone):
            found = self._find(job)
            renamed = None if found is None else self._queue.intake.renamed(job.id, found)
            if found is None or renamed is None:
                raise
            log.info("its file is called %s now", printable(found.source))
            return renamed
        return job

    def present(self, job: Job) -> Job:
        """Return the same, or the job as it is where that cannot be told."""
        try:
            return self.follow(job)
        except Damaged:
            raise
        except FlashVSRError:
            return job

    def _find(self, job: Job) -> Source | None:
        inode = job.device, job.inode
        for _ in range(2):
            source = self._found.get(inode)
            same = source is not None and (source.size, source.mtime_ns) == (job.size, job.mtime_ns)
            if source is not None and same and _is_there(self._config().trees(), source):
                return source
            if self._clock() < self._next_look:
                return None
            self._look()
        return None

    def _look(self) -> None:
        began = self._clock()
        self._found = {(source.device, source.inode): source for source in self._videos()}
        now = self._clock()
        self._next_look = now + _PAUSE * (now - began)

    def _videos(self) -> Iterator[Source]:
        config = self._config()
        inboxes = {inbox.path: inbox.outbox for inbox in config.inboxes()}
        others = config.not_looked_into() | {*inboxes, *inboxes.values()}
        for inbox in inboxes:
            try:
                for folder in folders(config.trees(), inbox, _leave_out, others):
                    for entry in folder.files():
                        if is_video_name(entry.name) and (stat := folder.stat(entry)) is not None:
                            yield Source.of(inbox, folder.path / entry.name, folder.prefix + entry.name, stat)
            except OSError as error:
                log.debug("%s cannot be looked through: %s", printable(inbox), error)


def _leave_out(path: Path, reason: str) -> None:
    """The watcher tells people what cannot be read."""
    log.debug("%s %s", printable(path), reason)


def _is_there(trees: Trees, source: Source) -> bool:
    try:
        status = trees.lstat(Path(source.source))
    except OSError:
        return False
    return identity(status) == (source.device, source.inode, source.size, source.mtime_ns)
