"""A queue database that is damaged or gone: set aside, rebuilt from what lies beside it, said loudly."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from flashvsr.fstype import MOUNTINFO
from flashvsr.jobs.backends.sqlite import migrations
from flashvsr.jobs.backends.sqlite.fitting import mismatch
from flashvsr.jobs.database import BUSY_SECONDS, DATABASE_NAME, refuse_network, speaks_of_damage
from flashvsr.jobs.exchange import ASIDE, aside_files, is_empty, prepare, prepared, put_in_place
from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.rows import LARGEST_NUMBER
from flashvsr.text import printable

log = logging.getLogger(__name__)

EX_DAMAGED = 65  # EX_DATAERR of sysexits(3), of a worker that finds the database damaged: the service ends then, too
_SAFE_GAP = 1000  # job numbers nobody uses: the damaged database may have given out more than can be told


def heal(state: Path, jobs_dir: Path, mountinfo: Path = MOUNTINFO) -> None:
    """Make sure that `state` holds a database that can be used; for the service alone, which has the state's lock.

    `jobs_dir` holds folders named by job numbers. A damaged database is moved aside with its journal. The new
    one knows the jobs that had ended (`Ledger`); the inboxes' other files are found by the next scan and
    queued again. A database of a newer flashvsr is not damaged: the queue refuses it. It is done as a whole or, where
    the service is killed over it, by the next start. Raises as `Queue` does.
    """
    refuse_network(state, mountinfo)
    path = state / DATABASE_NAME
    ledger = Ledger(state)
    ready = prepared(state)
    if ready is not None and damage_of(ready) is None and not is_empty(ready):
        log.error("the queue database that the service was making when it ended is complete, it is put in place")
        put_in_place(state)
        return
    reason = "a new one was made for it" if ready is not None else damage_of(path)
    if reason is not None:
        log.error("the queue database %s is damaged (%s); it is set aside and a new one is made", path, reason)
        last = max([0, _last_number(path), *ledger.numbers(), *_folders(jobs_dir)]) + _SAFE_GAP
    elif not is_empty(path) or not ledger.numbers():
        return
    else:
        log.error("the queue database %s is gone, a new one is made", path)
        last = max([*ledger.numbers(), *_folders(jobs_dir)])
    restored: list[int] = []

    def fill(queue: Queue) -> None:
        restored.append(queue.restore(ledger.rows(), last))

    prepare(state, fill, mountinfo)
    put_in_place(state)
    log.error(
        "the new queue database knows %d jobs from %s that were done, failed or cancelled; all other files in the "
        "inboxes are queued again",
        restored[0],
        ledger.folder,
    )


def notices(state: Path) -> list[str]:
    """What a person should know about what was set aside; removing the file tells that it was seen."""
    databases = [
        f"the queue database was damaged on {_day(path)} and is kept as {printable(path)}; a new one was made, and "
        "what is not known to have ended is done again, under numbered names if need be. Remove the file to end this "
        "notice"
        for path in aside_files(state)
    ]
    return databases + Ledger(state).notices()


def damage_of(path: Path) -> str | None:
    """Say what is damaged about a database; None if nothing is, or if that is not the question now (locked, new)."""
    if is_empty(path):
        return None
    if not path.is_file():
        return "it is no file"
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            return _damage(connection)
    except sqlite3.OperationalError as error:
        return str(error) if speaks_of_damage(error) else None
    except sqlite3.DatabaseError as error:
        return str(error)


def _damage(connection: sqlite3.Connection) -> str | None:
    (first,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    # Only then: the version in the header of a damaged database may be any number.
    return str(first) if first != "ok" else mismatch(connection.execute, migrations.MIGRATIONS)


def _last_number(path: Path) -> int:
    """The last job number, if the damaged database can still tell it."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job'").fetchone()
    except sqlite3.Error as error:
        log.warning("the damaged database does not tell the last job number: %s", error)
        return 0
    return int(row[0]) if row and isinstance(row[0], int) and 0 < row[0] <= LARGEST_NUMBER else 0


def _folders(jobs_dir: Path) -> Iterator[int]:
    if jobs_dir.is_dir():
        for entry in jobs_dir.iterdir():
            digits = entry.name.partition(".")[0]
            if digits.isascii() and digits.isdecimal() and int(digits) <= LARGEST_NUMBER:
                yield int(digits)


def _day(path: Path) -> str:
    stamp = path.name.removeprefix(ASIDE)
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"
