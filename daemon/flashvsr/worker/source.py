"""Whether a job's source is still the file that was queued."""

from __future__ import annotations

import os
import stat as stat_bits
from pathlib import Path

from flashvsr.errors import BadInput, Fault, FlashVSRError, Transient
from flashvsr.files.trees import Trees
from flashvsr.jobs.schema import Job
from flashvsr.system.text import printable

CHANGED = "the file changed while it was worked on; the new version waits for its turn once it is complete"


class SourceChanged(FlashVSRError):
    """The file is not the one that was queued; its new version gets a job of its own."""


class SourceGone(BadInput):
    """The file was deleted or moved away."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines, fault=Fault.GONE)


class InboxGone(Transient):
    """The whole inbox is not there: renamed, removed, or its share is away."""


def check_source(trees: Trees, job: Job) -> os.stat_result:
    """Return what the source is now. Raises SourceGone, SourceChanged, or Transient while its share is away.

    Path, size and modification time decide, as they do when the queue takes a file in. Device and inode do
    not: a network share that was mounted again has others, and its files are the same.
    """
    source = Path(job.source)
    try:
        status = trees.lstat(source)
    except FileNotFoundError:
        _check_mounted(trees, job)
        raise SourceGone(f"the file is gone: {printable(source)}; copy it there again") from None
    except OSError as error:
        raise _unreachable(source, error) from error
    if not stat_bits.S_ISREG(status.st_mode):
        raise SourceGone(f"the file is gone, and something else has its name: {printable(source)}; copy it there again")
    if (status.st_size, status.st_mtime_ns) != (job.size, job.mtime_ns):
        raise SourceChanged(CHANGED)
    return status


def _check_mounted(trees: Trees, job: Job) -> None:
    """A share that is not mounted is an empty directory on another device; nothing was deleted then."""
    inbox = Path(job.inbox)
    try:
        with trees.directory(inbox) as directory:
            device = os.fstat(directory).st_dev
    except FileNotFoundError as error:
        raise InboxGone(f"the inbox {printable(inbox)} is not there; is its share mounted?") from error
    except OSError as error:
        raise _unreachable(inbox, error) from error
    if device != job.device:
        raise Transient(f"the file is not there and neither is its file system; mount the share at {printable(inbox)}")


def _unreachable(path: Path, error: OSError) -> Transient:
    return Transient(f"cannot reach {printable(path)}: {error.strerror}; is the share mounted and readable?")
