"""How a job ends that has no result: a partial video, a text for people, the record, and then nothing is left of it.

One way for every such end, whether the worker that has the job comes to it or a sweep afterwards. The order matters:
who sees the state in the queue finds the rest in place.
"""

from __future__ import annotations

import logging
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.errors import BadConfig, Damaged, FlashVSRError, LeaseLost, Transient
from flashvsr.files.advice import explained
from flashvsr.files.objects import clear_name
from flashvsr.jobs.plain_words import error_text
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import DONE, SKIPPED, Job
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.config import Config
from flashvsr.settings.preset import preset_of_job
from flashvsr.system.text import printable, storable
from flashvsr.worker.access import Access
from flashvsr.worker.faults import Outcome, Verdict
from flashvsr.worker.marker import Marker
from flashvsr.worker.partials import Partials
from flashvsr.worker.places import ending_marker, result_folder, task_for, work_directory

if TYPE_CHECKING:
    from flashvsr.upscaling.entry import Upscaling

log = logging.getLogger(__name__)


class Conclusion:
    """Ends jobs. `config`: the settings as they are now."""

    def __init__(self, config: Callable[[], Config], access: Access, upscaling: Upscaling, queue: Queue) -> None:
        self._config = config
        self._queue = queue
        self._partials = Partials(queue, config)
        self._access = access
        self._upscaling = upscaling

    def marker(self, job_id: int) -> Marker:
        """Return what keeps others from ending the same job; to be held around `conclude`."""
        return ending_marker(self._config(), job_id)

    def conclude(
        self,
        job: Job,
        verdict: Verdict,
        record: Callable[[Path | None], None],
        working: Callable[[], None] = lambda: None,
    ) -> bool:
        """Publish what is finished, tell why there is no more, `record` the end, and clear the job away.

        Of a job that is skipped there is neither. `record` gets the partial video, if there is one; it is called in
        any case, and what it raises comes out.
        `working` is called whenever something got done. False: the partial video or the text has to wait (no space,
        a share away); then the chunks and the marker stay, and a sweep tries again.
        """
        if verdict.outcome is Outcome.SKIP:
            record(None)
            self.clear(job, SKIPPED)
            return True
        try:
            partial = self._partial(job, verdict.message, working)
            if verdict.outcome is not Outcome.CANCEL:
                self._tell(job, verdict, partial)
        except Transient as error:
            log.warning("what tells of its end has to wait: %s", error)
            record(None)
            return False
        record(partial)
        self.clear(job)
        return True

    def clear(self, job: Job, state: str | None = None) -> None:
        """Drop the job's chunks and half-written files: nobody needs them any more. `state`: newer than its row's."""
        shutil.rmtree(work_directory(self._config(), job.id), ignore_errors=True)
        try:
            self._access.check_outbox(job)
            folder = result_folder(self._config(), job)
            self._outbox.remove_temporaries(folder, job.id)
            if (state or job.state) in (DONE, SKIPPED):
                self._outbox.remove_error_text(folder, Path(job.relative).name)  # of an attempt that failed
                self._partials.withdraw_text(job.id)
            if (state or job.state) == DONE and not preset_of_job(job.preset).seconds:  # a sample is no whole result
                self._partials.withdraw(job)
        except (OSError, FlashVSRError) as error:
            log.warning("the outbox could not be tidied: %s", error)
        self.marker(job.id).remove()

    def leave_for_sweep(self, job: Job) -> None:
        """Make sure that a sweep comes by: it looks for the folders of jobs. Raises NoSpace or another Transient."""
        folder = work_directory(self._config(), job.id)
        with explained("write", folder):
            clear_name(folder, stat.S_ISDIR)
            folder.mkdir(exist_ok=True)

    def _partial(self, job: Job, reason: str, working: Callable[[], None]) -> Path | None:
        """Publish the finished chunks; None if there are none, or if no video can be made of them.

        Raises Transient when that has to wait.
        """
        try:
            self._access.check_outbox(job)
        except BadConfig as error:  # whoever took the inbox out of the settings gives its jobs up
            log.warning("what is finished of it has no place to go: %s", error)
            return None
        if not work_directory(self._config(), job.id).is_dir() or not job.preset:
            return None
        marker = self.marker(job.id)
        if marker.used_up:
            log.error("what is finished of it cannot be made into a video; it was tried several times and is removed")
            return None
        try:
            with marker.trying(result_folder(self._config(), job)):
                config = self._config()
                task = task_for(config, self._queue, job, preset_of_job(job.preset))
                partial = self._upscaling.salvage(task, config, reason, working)
                if partial is not None:
                    self._partials.note(job.id, partial)
                return partial
        except (LeaseLost, Damaged, Transient):
            raise
        except FlashVSRError as error:
            log.warning("no partial video could be made of its chunks: %s", error)
        except Exception:
            log.exception("no partial video could be made of its chunks")
        return None

    def _tell(self, job: Job, verdict: Verdict, partial: Path | None) -> None:
        """Put a text with the reason into the outbox, for the person who looks for the result there.

        Raises Transient when that has to wait.
        """
        name = Path(job.relative).name
        kept = printable(partial.name) if partial else None
        retry = f"flashvsr retry {job.id}"
        text = error_text(printable(name), verdict.kind, storable(verdict.message), retry, kept)
        try:
            self._access.check_outbox(job)
            folder = result_folder(self._config(), job)
            self._outbox.write_error_text(folder, name, text)
            self._partials.note_text(job.id, folder, name)
        except Transient:
            raise
        except (OSError, FlashVSRError) as error:
            log.warning("the reason could not be written to the outbox: %s", error)

    @property
    def _outbox(self) -> Outbox:
        return Outbox(self._config().trees())
