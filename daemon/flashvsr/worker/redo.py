"""A job that is done is made again: its source is found, or fetched from the archive, and the job waits once more."""

from __future__ import annotations

import os
import stat as stat_bits
from pathlib import Path

from flashvsr.errors import FlashVSRError, Transient
from flashvsr.files.advice import explained
from flashvsr.files.moves import MTIME_SLACK_NS
from flashvsr.files.trees import Trees
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from flashvsr.outbox.recall import put_back
from flashvsr.outbox.targets import inside
from flashvsr.settings.config import Config
from flashvsr.system.text import printable
from flashvsr.worker.access import Access
from flashvsr.worker.places import ending_marker
from flashvsr.worker.source import SourceChanged, SourceGone, check_source


def redo(config: Config, queue: Queue, job_id: int) -> None:
    """Queue a job that is done once more; a source that was archived lies in its inbox again then.

    FlashVSRError says why that cannot be: another state, a source that is gone or another one by now, an inbox or a
    share that is not there. Whatever cuts this short, the source is whole, and asking again goes on from there.
    """
    queue.requests.done(job_id)
    marker = ending_marker(config, job_id)
    with marker.alone() as alone:  # nobody archives the source meanwhile
        if not alone:
            raise FlashVSRError(f"Job {job_id}: its source is being put away at this moment; ask again later.")
        try:
            job = queue.requests.done(job_id)
            Access(lambda: config).check_shares(job)
            if not _lies_in_inbox(config.trees(), job):
                _fetch(config.trees(), queue, job)
            queue.requests.redo(job_id)
        finally:
            marker.remove()


def _lies_in_inbox(trees: Trees, job: Job) -> bool:
    """Whether the source is where it was; raises what is wrong with it there. False if it was taken away."""
    if job.departed:
        return False
    try:
        check_source(trees, job)
    except SourceGone:
        if job.archived is None:
            raise
        return False  # an earlier request was cut short before it came back
    except SourceChanged as error:
        raise FlashVSRError(
            f"Job {job.id}: {printable(job.source)} is another version of the file by now, which gets a job of its own."
        ) from error
    return True


def _fetch(trees: Trees, queue: Queue, job: Job) -> None:
    """Move the source from the archive into its inbox, where it is known from its first moment on."""
    if job.archived is None:
        raise FlashVSRError(
            f"Job {job.id}: its source is gone, it was not kept when the job was done (watch.on_success). "
            f"Copy {printable(Path(job.source).name)} into the inbox once more."
        )
    archived = Path(job.archived)
    try:
        with explained("read", archived):
            status = trees.lstat(archived)
    except Transient as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise FlashVSRError(
            f"Job {job.id}: its source is gone: {printable(archived)} is no longer in the archive (retention.days). "
            "Copy it into the inbox once more."
        ) from error
    if not stat_bits.S_ISREG(status.st_mode) or not _same_content(job, status):
        raise FlashVSRError(f"Job {job.id}: {printable(archived)} is not the file that the job was about.")
    inbox = Path(job.inbox)
    with explained("write to", inbox):
        trees.lstat(inbox)  # one that is gone is not made anew

    def expect(path: Path, then: os.stat_result) -> None:
        queue.requests.expect(job.id, path, str(path.relative_to(inbox)), then)

    put_back(trees, archived, inside(inbox, job.relative), expect)


def _same_content(job: Job, status: os.stat_result) -> bool:
    return status.st_size == job.size and abs(status.st_mtime_ns - job.mtime_ns) < MTIME_SLACK_NS
