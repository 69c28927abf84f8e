"""The connection to the queue database: opened safely, migrated, and used one transaction at a time."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee as pw

from flashvsr.errors import BadConfig, Damaged, NoSpace, Transient
from flashvsr.fstype import MOUNTINFO, fstype_of, is_network
from flashvsr.jobs.backends.sqlite.migrations import damaged_text, migrate
from flashvsr.text import printable

DATABASE_NAME = "queue.db"
BUSY_SECONDS = 30.0

# The general error is one of them: with statements that are always the same it means unexpected content.
_DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB}

_PRAGMAS = (
    ("busy_timeout", int(BUSY_SECONDS * 1000)),
    ("journal_mode", "wal"),
    ("synchronous", "full"),  # a claim or a result that was reported must survive a power cut
)


class Store:
    """One connection to `<state>/queue.db`, shared by the threads of one process and never across a fork.

    `name`: of another database in that directory, such as one that is still being made.

    Raises BadConfig on a network file system, a newer schema or a directory that cannot be used. Every method
    raises Damaged when the database turns out to be, see `flashvsr.jobs.damage`.
    """

    def __init__(self, state: Path, mountinfo: Path = MOUNTINFO, name: str = DATABASE_NAME) -> None:
        self.path = state / name
        self._lock = threading.RLock()
        refuse_network(state, mountinfo)
        try:
            state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadConfig(
                f"Cannot create the state directory {printable(state)}: {error.strerror}. "
                "Create it and give it to the user who runs flashvsr, or set paths.state to another one."
            ) from error
        # One connection guarded by our lock, not one per thread: closing it then really closes it.
        self._database: Any = pw.SqliteDatabase(
            str(self.path), pragmas=_PRAGMAS, timeout=BUSY_SECONDS, thread_safe=False, check_same_thread=False
        )
        self._open()

    def close(self) -> None:
        """Close the connection; the object cannot be used afterwards."""
        with self._lock:
            self._database.close()

    def version(self) -> tuple[int, int]:
        """Return what is another one whenever anybody has changed the database: far cheaper than reading it again."""
        with self._lock, self._told():
            (others,) = self._database.execute_sql("PRAGMA data_version").fetchone()
            return int(others), self._database.connection().total_changes

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One `BEGIN IMMEDIATE` transaction: what is read inside still holds when it is written."""
        with self._lock, self._told(), self._database.transaction("IMMEDIATE"):
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One consistent view of the database."""
        with self._lock, self._told(), self._database.transaction("DEFERRED"):
            yield

    def _run(self, query: Any) -> Any:
        """Execute a peewee query on this store's own database, whatever the models are bound to."""
        return query.execute(self._database)

    def _first(self, query: Any) -> Any:
        """Return the first row of a select, None if there is none."""
        return query.first(self._database)

    def _open(self) -> None:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with self._told():
                    self._database.connect(reuse_if_open=True)
                    migrate(self._database, self.path)
                return
            except Transient as error:
                self._database.close()
                if any(words in str(error) for words in ("unable to open", "readonly")):
                    raise BadConfig(str(error)) from error
                # Two processes that switch a new database to WAL at once do not wait inside SQLite.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            except BaseException:
                self._database.close()
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite says into what a person can do."""
        try:
            yield
        except pw.OperationalError as error:
            if speaks_of_damage(error):
                raise self._damaged(error) from error
            reason = _first_error(error) or error
            kind = NoSpace if "full" in str(reason) else Transient
            raise kind(
                f"Cannot use the queue database {printable(self.path)}: {reason}. Check free space, permissions "
                "and the disk of paths.state; the work goes on when it can be written again."
            ) from error
        except pw.IntegrityError:
            raise
        except pw.DatabaseError as error:
            if type(error) is not pw.DatabaseError:
                raise  # a mistake of ours, such as a closed connection
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> Damaged:
        return Damaged(damaged_text(self.path, error))


def speaks_of_damage(error: BaseException | None) -> bool:
    """Tell damage from what SQLite calls operational, too: full, locked, out of reach."""
    code = getattr(_first_error(error), "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF in _DAMAGED


def _first_error(error: BaseException | None) -> BaseException | None:
    """The error of SQLite that peewee's wraps; not the second one, of a rollback that SQLite had done by itself."""
    while error is not None:
        if isinstance(error, sqlite3.Error) and "cannot rollback" not in str(error):
            return error
        error = error.__cause__ or error.__context__
    return None


def refuse_network(state: Path, mountinfo: Path = MOUNTINFO) -> None:
    """Raise BadConfig if the state directory lies, or will lie, on a network file system."""
    kind = fstype_of(state, mountinfo)
    if is_network(kind):
        raise BadConfig(
            f"The state directory {printable(state)} lies on a network file system ({kind}), where "
            "SQLite's locks are not safe. Set paths.state to a directory on a local disk; inbox and "
            "outbox may stay on the share."
        )
