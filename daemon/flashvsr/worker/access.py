"""Whether the folders of a job can be used at this moment: its inbox and its outbox, and the shares they lie on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flashvsr.files.mounts import Mounts
from flashvsr.jobs.schema import Job
from flashvsr.outbox.writable import WritableOutboxes
from flashvsr.settings.config import Config
from flashvsr.worker.places import outbox_of, outbox_root, result_folder


class Access:
    """Asks before anything is read or written there. `config`: the settings as they are now."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._writable = WritableOutboxes()

    def check_shares(self, job: Job) -> None:
        """Raise ShareAway while the inbox or the outbox of the job is only the mount point of an absent share."""
        self.check_inbox(job)
        self.check_outbox(job)

    def check_inbox(self, job: Job) -> None:
        """Raise ShareAway while the inbox is only a mount point."""
        self._mounts().check(Path(job.inbox))

    def check_archive(self) -> None:
        """Raise ShareAway while an archive of its own place is only a mount point."""
        if (archive := self._config().paths.archive) is not None:
            self._mounts().check(archive)

    def check_outbox(self, job: Job) -> None:
        """Raise ShareAway while the outbox is only a mount point; BadConfig if the settings no longer name it."""
        self._mounts().check(outbox_of(self._config(), job))

    def check_writable(self, job: Job) -> None:
        """Raise OutboxClosed, or NoSpace, if nothing can be written where the job's result will go."""
        config = self._config()
        self._writable.check(config.trees(), result_folder(config, job), outbox_root(config, job))

    def _mounts(self) -> Mounts:
        config = self._config()
        return Mounts(config.paths.state, config.trees())
