"""Where the files of a job are."""

from __future__ import annotations

from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files.state import archive_directory, jobs_directory
from flashvsr.jobs.schema import Job
from flashvsr.settings.config import Config
from flashvsr.system.text import printable


def work_directory(config: Config, job_id: int) -> Path:
    """The job's finished chunks."""
    return jobs_directory(config.paths.state) / str(job_id)


def archive_of(config: Config, job: Job) -> Path:
    """Where sources of the job's inbox are archived."""
    return archive_directory(config.paths.state) / Path(job.inbox).name


def outbox_root(config: Config, job: Job) -> Path:
    """The outbox as the settings name it, in which that of the job's inbox is."""
    own = (extra.outbox for extra in config.extra_inboxes if extra.path == Path(job.inbox))
    return next(own, config.paths.outbox)


def outbox_of(config: Config, job: Job) -> Path:
    """Where results of the job's inbox go. BadConfig if the settings no longer have that inbox."""
    inbox = Path(job.inbox)
    for extra in config.extra_inboxes:
        if extra.path == inbox:
            return extra.outbox
    if inbox.parent == config.paths.inbox:
        return config.paths.outbox / inbox.name
    raise BadConfig(
        f"{printable(inbox)} is no longer an inbox: the settings name it neither in paths.inbox nor as an [[inbox]]. "
        f"Add it again, or give the job up: flashvsr cancel {job.id}"
    )
