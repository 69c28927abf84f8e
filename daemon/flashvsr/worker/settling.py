"""After a job is done: its source is archived, deleted or kept, if it is still the file that was processed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flashvsr.errors import FlashVSRError
from flashvsr.files import at
from flashvsr.files.trees import Trees
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import DONE, Job
from flashvsr.outbox.disposal import settle_source
from flashvsr.settings.config import Config
from flashvsr.system.text import printable
from flashvsr.worker.access import Access
from flashvsr.worker.places import archive_of, ending_marker
from flashvsr.worker.source import SourceChanged, SourceGone, check_source
from flashvsr.worker.whereabouts import Whereabouts

log = logging.getLogger(__name__)


class Settling:
    """Settles sources. `config`: the settings as they are now."""

    def __init__(self, queue: Queue, config: Callable[[], Config], access: Access, whereabouts: Whereabouts) -> None:
        self._queue = queue
        self._config = config
        self._access = access
        self._whereabouts = whereabouts

    def settle(self, job_id: int) -> bool | None:
        """Do what `watch.on_success` says; False if it has to be tried again later, None if another worker is at it.

        Copying a source to an archive on another file system takes as long as it takes; nobody else begins meanwhile.
        """
        marker = ending_marker(self._config(), job_id)
        with marker.alone() as alone:
            if not alone:
                return None
            job = self._queue.jobs.get(job_id)
            settled = job is None or job.state != DONE or job.settled is not None or self._settle(job)
            marker.remove()
            return settled

    def _settle(self, job: Job) -> bool:
        config = self._config()
        trees, action = config.trees(), config.watch.on_success
        identity = job.device, job.inode, job.size, job.mtime_ns
        try:
            self._access.check_inbox(job)
            job = self._whereabouts.present(job)
            # Device and inode as they are now: a share that was mounted again has others. If the source is gone or
            # another one, the recorded ones let a removal that a crash cut short be completed.
            with suppress(SourceGone, SourceChanged):
                identity = at.identity(check_source(trees, job))
            archive = archive_of(config, job)
            archived = settle_source(trees, Path(job.source), identity, action, archive, job.relative)
        except FlashVSRError as error:
            why = _why_it_stays(Path(job.source).parent, error)
            if self._queue.history.source_stays(job.id, why):
                log.warning("%s", why)
            return False
        departed = action != "keep" and _is_gone(trees, Path(job.source))
        self._queue.history.settled(job.id, archived, departed)
        return True


def _why_it_stays(folder: Path, error: FlashVSRError) -> str:
    """What a person reads whose film is done and still lies in the inbox."""
    if isinstance(error.__cause__, PermissionError) and not os.access(folder, os.W_OK | os.X_OK):
        return (
            f"the source stays in the inbox: its folder {printable(folder)} does not let flashvsr take files away. "
            f"Make that folder writable for flashvsr, for example: chmod g+w FOLDER"
        )
    return f"the source stays in the inbox for now: {error}"


def _is_gone(trees: Trees, source: Path) -> bool:
    """Whether it is surely not there; a share that fails to answer is no answer."""
    try:
        return not trees.exists(source)
    except OSError:
        return False
