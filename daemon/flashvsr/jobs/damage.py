"""A queue database that is damaged or gone: set aside, rebuilt from what lies beside it, said loudly."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from flashvsr.files import trees
from flashvsr.files.at import sync_directory
from flashvsr.fstype import MOUNTINFO
from flashvsr.jobs.database import BUSY_SECONDS, DATABASE_NAME, refuse_network, speaks_of_damage
from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.migrations import MIGRATIONS
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import MODELS
from flashvsr.text import printable

log = logging.getLogger(__name__)

ASIDE = "queue.damaged-"
EX_DAMAGED = 65  # EX_DATAERR of sysexits(3), of a worker that finds the database damaged: the service ends then, too
_NEIGHBOURS = ("-wal", "-shm")
_SAFE_GAP = 1000  # job numbers nobody uses: the damaged database may have given out more than can be told


def heal(state: Path, jobs_dir: Path, mountinfo: Path = MOUNTINFO) -> None:
    """Make sure that `state` holds a database that can be used; for the service alone, which has the state's lock.

    `jobs_dir` holds folders named by job numbers. A damaged database is moved aside with its journal. The new
    one knows the jobs that had ended (`Ledger`); the inboxes' other files are found by the next scan and
    queued again. A database of a newer flashvsr is not damaged: the queue refuses it. Raises as `Queue` does.
    """
    refuse_network(state, mountinfo)
    path = state / DATABASE_NAME
    ledger = Ledger(state)
    reason = damage_of(path)
    if reason is not None:
        log.error("the queue database %s is damaged (%s); it is set aside and a new one is made", path, reason)
        aside = _set_aside(path)
        last = max([0, _last_number(aside), *ledger.numbers(), *_folders(jobs_dir)]) + _SAFE_GAP
    elif not _is_empty(path) or not ledger.numbers():
        return
    else:
        log.error("the queue database %s is gone, a new one is made", path)
        last = max([*ledger.numbers(), *_folders(jobs_dir)])
    with closing(Queue(state, mountinfo)) as queue:
        restored = queue.restore(ledger.rows(), last)
    log.error(
        "the new queue database knows %d jobs from %s that were done, failed or cancelled; all other files in the "
        "inboxes are queued again",
        restored,
        ledger.folder,
    )


def notices(state: Path) -> list[str]:
    """What a person should know about databases set aside; removing the file tells that it was seen."""
    return [
        f"the queue database was damaged on {_day(path)} and is kept as {printable(path)}; a new one was made, and "
        "what is not known to have ended is done again, under numbered names if need be. Remove the file to end this "
        "notice"
        for path in aside_files(state)
    ]


def aside_files(state: Path) -> list[Path]:
    """The damaged databases that were set aside, oldest first, without their journals."""
    return sorted(state.glob(f"{ASIDE}*.db"))


def damage_of(path: Path) -> str | None:
    """Say what is damaged about a database; None if nothing is, or if that is not the question now (locked, new)."""
    if _is_empty(path):
        return None
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            return _damage(connection)
    except sqlite3.OperationalError as error:
        return str(error) if speaks_of_damage(error) else None
    except sqlite3.DatabaseError as error:
        return str(error)


def _damage(connection: sqlite3.Connection) -> str | None:
    (first,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if first != "ok":
        return str(first)
    # Only now: the version in the header of a damaged database may be any number.
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        return None  # a newer flashvsr's
    if version < len(MIGRATIONS):
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchone()[0]
        return "it holds other tables" if version == 0 and tables else None
    for model in MODELS:
        table = model._meta.table_name
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        missing = {field.column_name for field in model._meta.sorted_fields} - columns
        if missing:
            return f"its table {table} lacks {', '.join(sorted(missing))}"
    return None


def _set_aside(path: Path) -> Path:
    """Move a database with its journal; the journal first, so that no new database ever meets the old one's."""
    aside = _free_name(path.parent)
    for suffix in (*_NEIGHBOURS, ""):
        old = path.with_name(path.name + suffix)
        if os.path.lexists(old):
            old.rename(aside.with_name(aside.name + suffix))
    with trees.directory(path.parent) as directory:
        sync_directory(directory)
    return aside


def _free_name(state: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        name = state / f"{ASIDE}{stamp}{f'-{number}' if number > 1 else ''}.db"
        if not os.path.lexists(name):
            return name
    raise AssertionError("a thousand databases were damaged within a second")


def _last_number(aside: Path) -> int:
    """The last job number, if the damaged database can still tell it."""
    try:
        with closing(sqlite3.connect(f"{aside.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job'").fetchone()
    except sqlite3.Error as error:
        log.warning("the damaged database does not tell the last job number: %s", error)
        return 0
    return int(row[0]) if row and isinstance(row[0], int) else 0


def _folders(jobs_dir: Path) -> Iterator[int]:
    if jobs_dir.is_dir():
        for entry in jobs_dir.iterdir():
            digits = entry.name.partition(".")[0]
            if digits.isascii() and digits.isdecimal():
                yield int(digits)


def _is_empty(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def _day(path: Path) -> str:
    stamp = path.name.removeprefix(ASIDE)
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"
