"""The connection to the file of the queue: opened safely, migrated, and used one transaction at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee as pw

from flashvsr.errors import BadConfig, Transient
from flashvsr.files.filesystems import MOUNTINFO
from flashvsr.jobs.backends.sqlite.database_file import BUSY_SECONDS, refuse_network
from flashvsr.jobs.backends.sqlite.failures import told
from flashvsr.jobs.backends.sqlite.migrations import migrate
from flashvsr.system.text import printable

_PRAGMAS = (
    ("busy_timeout", int(BUSY_SECONDS * 1000)),
    ("journal_mode", "wal"),
    ("synchronous", "full"),  # a claim or a result that was reported must survive a power cut
)


class SQLite:
    """A connector (`backends.connector`) to the database `path`, never to be used across a fork.

    Refuses a network file system, a newer schema and a directory that cannot be used with BadConfig.
    """

    def __init__(self, path: Path, mountinfo: Path = MOUNTINFO) -> None:
        self.path = path
        self._mountinfo = mountinfo
        # One connection guarded by the store's lock, not one per thread: closing it then really closes it.
        self.database: Any = pw.SqliteDatabase(
            str(path), pragmas=_PRAGMAS, timeout=BUSY_SECONDS, thread_safe=False, check_same_thread=False
        )

    def connect(self) -> None:
        """Make the directory, connect and migrate; waits up to 30 s for another process that does the same."""
        self._make_directory()
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with told(self.path):
                    self.database.connect(reuse_if_open=True)
                    migrate(self.database, self.path)
                return
            except Transient as error:
                self.database.close()
                if any(words in str(error) for words in ("unable to open", "readonly")):
                    raise BadConfig(str(error)) from error
                # Two processes that switch a new database to WAL at once do not wait inside SQLite.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            except BaseException:
                self.database.close()
                raise

    def close(self) -> None:
        self.database.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One consistent view of the database."""
        with told(self.path), self.database.transaction("DEFERRED"):
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One `BEGIN IMMEDIATE` transaction: nobody else writes until it ends."""
        with told(self.path), self.database.transaction("IMMEDIATE"):
            yield

    def version(self) -> tuple[int, int]:
        """Changes of other connections, and of this one."""
        with told(self.path):
            (others,) = self.database.execute_sql("PRAGMA data_version").fetchone()
            return int(others), self.database.connection().total_changes

    def last_number(self) -> int:
        """The highest number that a job ever had."""
        row = self.database.execute_sql("SELECT seq FROM sqlite_sequence WHERE name = 'job'").fetchone()
        return 0 if row is None else int(row[0])

    def count_from(self, number: int) -> None:
        """Let the next job have the number after this one."""
        self.database.execute_sql("DELETE FROM sqlite_sequence WHERE name = 'job'")
        self.database.execute_sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('job', ?)", (number,))

    def _make_directory(self) -> None:
        state = self.path.parent
        refuse_network(state, self._mountinfo)
        try:
            state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadConfig(
                f"Cannot create the state directory {printable(state)}: {error.strerror}. "
                "Create it and give it to the user who runs flashvsr, or set paths.state to another one."
            ) from error
