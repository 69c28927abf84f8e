"""After a job is done: what lies beside its source is copied, and the source moved, deleted or kept.

Only if it is still the file that was processed. What lies beside it goes with it where it is moved. It stays where
the source is deleted: nobody asked for these files to go.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flashvsr.errors import BadConfig, FlashVSRError
from flashvsr.files import at
from flashvsr.files.trees import Trees
from flashvsr.inbox.rules import is_video_name
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import DONE, Job
from flashvsr.outbox.companions import copy_companions, move_companions
from flashvsr.outbox.disposal import remove_emptied, settle_source
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.config import Config
from flashvsr.settings.preset import preset_of_job
from flashvsr.system.text import printable
from flashvsr.worker.access import Access
from flashvsr.worker.places import ending_marker, moved_to
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
        try:
            self._access.check_inbox(job)
            if action == "archive":
                self._access.check_archive()
            job = self._whereabouts.present(job)
            companions = preset_of_job(job.preset).companions
            if companions:
                self._copy_companions(trees, job)
            moved = self._take_away(config, job, companions)
        except FlashVSRError as error:
            why = _why_it_stays(Path(job.source).parent, error, action)
            if self._queue.history.source_stays(job.id, why):
                log.warning("%s", why)
            return False
        departed = action != "keep" and _is_gone(trees, Path(job.source))
        self._queue.history.settled(job.id, moved, departed)
        return True

    def _copy_companions(self, trees: Trees, job: Job) -> None:
        """Copy what lies beside the source beside its result, if that is still where it was published."""
        try:
            self._access.check_outbox(job)
        except BadConfig as error:  # the inbox left the settings, and nobody waits for this any more
            log.warning("what lies beside the source is not copied: %s", error)
            return
        result = Path(str(job.result))
        if job.result_size is None or job.result_mtime_ns is None:
            return  # of a version that did not record them
        if Outbox(trees).already_published(result, job.result_size, job.result_mtime_ns):
            copy_companions(trees, Path(job.source), result, job.id, is_video_name)

    def _take_away(self, config: Config, job: Job, companions: bool) -> Path | None:
        """Do with the source what the settings say; where it was moved, if it was."""
        trees, action, source = config.trees(), config.watch.on_success, Path(job.source)
        identity = job.device, job.inode, job.size, job.mtime_ns
        # Device and inode as they are now: a share that was mounted again has others. If the source is gone or
        # another one, the recorded ones let a removal that a crash cut short be completed.
        with suppress(SourceGone, SourceChanged):
            identity = at.identity(check_source(trees, job))
        private = action == "archive" and config.paths.archive is None  # who names an archive says who may enter it
        moved = settle_source(trees, source, identity, action, moved_to(config, job), job.relative, private=private)
        if moved is None:
            return None
        if companions:
            move_companions(trees, source, moved, is_video_name, private=private)
        remove_emptied(trees, Path(job.inbox), job.relative)
        return moved


def _why_it_stays(folder: Path, error: FlashVSRError, action: str) -> str:
    """What a person reads whose film is done and still lies in the inbox."""
    if action == "keep":
        return f"what lies beside the source is not copied for now: {error}"
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
