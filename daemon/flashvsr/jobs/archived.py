"""Archived sources in an archive that the settings name: removed when they are old, and nothing else that lies there.

Whoever names a folder may keep other things in it. So what goes is what the history knows, if it is still what was
archived, and the files of its name that were moved along with it.
"""

from __future__ import annotations

import logging
import stat as stat_bits
from collections.abc import Iterable
from pathlib import Path

from flashvsr.files import at
from flashvsr.files.companion_names import companions_of
from flashvsr.files.mounts import Mounts
from flashvsr.files.moves import MTIME_SLACK_NS
from flashvsr.files.trees import Trees
from flashvsr.jobs.history import Ended
from flashvsr.system.text import printable

log = logging.getLogger(__name__)


def remove_archived(
    trees: Trees, archive: Path, ended: Iterable[Ended], limit: float, mounts: Mounts
) -> tuple[int, set[int]]:
    """Remove the archived sources of jobs that ended before `limit`, in seconds since the epoch.

    Returns how many files went, and the jobs whose source could not be looked at or removed: to be remembered, and
    tried again.
    """
    ours = [(job, Path(job.archived)) for job in ended if job.archived and Path(job.archived).is_relative_to(archive)]
    if not ours:
        return 0, set()
    if not mounts.present(archive):
        return 0, {job.id for job, _ in ours}
    removed, left = 0, set[int]()
    for job, path in ours:
        try:
            removed += _remove(trees, archive, path, job, limit)
        except FileNotFoundError:
            continue  # somebody took it away
        except OSError as error:
            log.warning("cannot remove %s: %s", printable(path), error.strerror)
            left.add(job.id)
    return removed, left


def _remove(trees: Trees, archive: Path, path: Path, job: Ended, limit: float) -> int:
    with trees.directory(path.parent) as directory:
        status = at.status(directory, path.name)
        if not stat_bits.S_ISREG(status.st_mode) or status.st_size != job.size:
            return 0  # another file has its name
        if abs(status.st_mtime_ns - job.mtime_ns) >= MTIME_SLACK_NS:
            return 0
        along = companions_of(path.name, at.names(directory), lambda _: False)
        old = [name for name in along if _is_old(directory, name, limit)]
        for name in (path.name, *old):
            at.remove(directory, name)
        at.sync_directory(directory)
    _remove_emptied(trees, archive, path.parent)
    return 1 + len(old)


def _is_old(directory: int, name: str, limit: float) -> bool:
    """Whether a file came here before `limit`: its mtime is still that of its making."""
    status = at.status(directory, name)
    return stat_bits.S_ISREG(status.st_mode) and status.st_ctime < limit


def _remove_emptied(trees: Trees, archive: Path, folder: Path) -> None:
    for place in (folder, *folder.parents):
        if place == archive:
            return
        try:
            with trees.directory(place.parent) as above:
                at.remove_directory(above, place.name)
        except OSError as error:
            log.debug("%s stays: %s", printable(place), error.strerror)
            return
