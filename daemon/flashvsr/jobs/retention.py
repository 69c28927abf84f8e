"""What is kept for how long: the history, archived sources and leftovers of work."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

from flashvsr.files import at
from flashvsr.files.mounts import Mounts
from flashvsr.files.state import StateDirectory
from flashvsr.files.trees import Trees
from flashvsr.jobs.archived import remove_archived
from flashvsr.jobs.history import Ended
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.rows import LARGEST_NUMBER
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

_DAY = 86_400.0


def prune(trees: Trees, queue: Queue, days: float, now: float, archive: Path | None = None) -> dict[str, int]:
    """Remove what is older than `days` (0 keeps all); `now` in seconds since the epoch.

    `archive`: the one that the settings name, if they name one. There, where other things may lie as well, only the
    sources go that the history knows to be archived, and what was moved along with them.

    Counts what went: "jobs" of the history, "archived" sources, "leftovers" (`<state>/jobs/<job number>…`,
    small pictures, and damaged databases that were set aside).
    What cannot be removed is logged and tried again next time.
    """
    if days <= 0:
        return {"jobs": 0, "archived": 0, "leftovers": 0}
    limit = now - days * _DAY
    over = queue.history.ended_before(limit)
    numbers = {job.id for job in over}
    leftovers = _prune_leftovers(queue, queue.state.jobs, numbers, limit)
    leftovers += _prune_leftovers(queue, queue.state.thumbnails, numbers, limit)
    leftovers += _prune_damaged(queue.state, limit)
    _prune_notes(queue)
    archived = _prune_archive(queue.state.archive, limit)
    mounts = Mounts(queue.state.path, trees)
    left: set[int] = set()
    if archive is not None:
        removed, left = remove_archived(trees, archive, over, limit, mounts)
        archived += removed
    present = lru_cache(maxsize=None)(partial(_share_present, trees, mounts))  # asked once an inbox
    return {
        "jobs": queue.history.forget(
            [job.id for job in over if job.id not in left and (job.departed or _source_gone(trees, job, present))]
        ),
        "archived": archived,
        "leftovers": leftovers,
    }


def _source_gone(trees: Trees, job: Ended, present: Callable[[Path], bool]) -> bool:
    """Tell whether the source is surely gone; while it may be there, its row keeps it from being redone."""
    try:
        return not trees.exists(Path(job.source)) and present(Path(job.inbox))
    except OSError:
        return False


def _share_present(trees: Trees, mounts: Mounts, inbox: Path) -> bool:
    """Tell an inbox without this file from an unmounted share, of which only an empty directory is seen."""
    if not mounts.present(inbox):
        return False
    try:
        with trees.directory(
            inbox if trees.exists(inbox) else inbox.parent
        ) as directory:  # or are its neighbours there?
            return bool(at.names(directory))
    except OSError:
        return False


def _prune_leftovers(queue: Queue, directory: Path, over: set[int], limit: float) -> int:
    """Remove what is called by the numbers of jobs that ended before the limit, or that nobody knows."""
    removed = 0
    for entry in _entries(directory):
        digits = entry.name.partition(".")[0]
        number = int(digits) if digits.isascii() and digits.isdigit() and int(digits) <= LARGEST_NUMBER else None
        forgotten = number is None or queue.jobs.get(number) is None
        if number in over or (forgotten and entry.stat(follow_symlinks=False).st_mtime < limit):
            removed += _remove(entry)
    return removed


def _prune_notes(queue: Queue) -> None:
    """Remove notes on partial videos of jobs that nobody remembers."""
    for entry in _entries(queue.state.partials):
        digits = entry.name.partition(".")[0]
        known = digits.isascii() and digits.isdigit() and int(digits) <= LARGEST_NUMBER
        if not known or queue.jobs.get(int(digits)) is None:
            _remove(entry)


def _prune_damaged(state: StateDirectory, limit: float) -> int:
    """Remove damaged databases that were set aside, with their journals, and damaged records."""
    aside = [entry for entry in _entries(state.path) if state.is_aside(entry.name)]
    aside += _entries(state.damaged_records)
    return sum(_remove(entry) for entry in aside if entry.stat(follow_symlinks=False).st_ctime < limit)


def _prune_archive(folder: Path, limit: float) -> int:
    """Remove old files, then the folders that this emptied.

    A file's age is that of its ctime, set when it was moved here; its mtime is still that of the recording.
    """
    removed = 0
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            removed += _prune_archive(Path(entry.path), limit)
            if not any(_entries(Path(entry.path))) and entry.stat(follow_symlinks=False).st_mtime < limit:
                _remove(entry)
        elif entry.stat(follow_symlinks=False).st_ctime < limit:
            removed += _remove(entry)
    return removed


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from list(entries)
    except FileNotFoundError:
        return  # nothing was ever archived or left over
    except OSError as error:
        log.warning("cannot look into %s: %s", printable(directory), error.strerror)


def _remove(entry: os.DirEntry[str]) -> bool:
    try:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()
    except OSError as error:
        log.warning("cannot remove %s: %s", printable(entry.path), error.strerror)
        return False
    return True
