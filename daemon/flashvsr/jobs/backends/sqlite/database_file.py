"""The file that a SQLite database is: where it may lie, and what a damaged one can still tell."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files.filesystems import MOUNTINFO, fstype_of, is_network
from flashvsr.jobs.backends.sqlite import migrations
from flashvsr.jobs.backends.sqlite.failures import speaks_of_damage
from flashvsr.jobs.backends.sqlite.fitting import mismatch
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

JOURNALS = ("-wal", "-shm")  # ends of the names of what SQLite keeps beside a database while it is open
BUSY_SECONDS = 30.0  # how long a lock of another process is waited for


def refuse_network(state: Path, mountinfo: Path = MOUNTINFO) -> None:
    """Raise BadConfig if the state directory lies, or will lie, on a network file system."""
    kind = fstype_of(state, mountinfo)
    if is_network(kind):
        raise BadConfig(
            f"The state directory {printable(state)} lies on a network file system ({kind}), where "
            "SQLite's locks are not safe. Set paths.state to a directory on a local disk; inbox and "
            "outbox may stay on the share."
        )


def is_empty(path: Path) -> bool:
    """Whether there is no database, or one of which nothing is left."""
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


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


def last_number(path: Path, largest: int) -> int:
    """The last job number, if the damaged database can still tell it: one up to `largest`, else 0."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job'").fetchone()
    except sqlite3.Error as error:
        log.warning("the damaged database does not tell the last job number: %s", error)
        return 0
    return int(row[0]) if row and isinstance(row[0], int) and 0 < row[0] <= largest else 0


def _damage(connection: sqlite3.Connection) -> str | None:
    (first,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    # Only then: the version in the header of a damaged database may be any number.
    return str(first) if first != "ok" else mismatch(connection.execute, migrations.MIGRATIONS)
