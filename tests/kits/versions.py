"""Queue databases as an earlier flashvsr left them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from flashvsr.jobs.backends.sqlite.fitting import mark_of, shape_of
from flashvsr.jobs.backends.sqlite.migrations import MIGRATIONS


def as_version(path: Path, version: int) -> None:
    """Turn the closed database at `path` into one of an earlier version, with what its rows had then."""
    older = path.with_name("older.db")
    with closing(sqlite3.connect(older, isolation_level=None)) as connection:
        for statement in (statement for step in MIGRATIONS[:version] for statement in step):
            connection.execute(statement)
        tables = shape_of(connection.execute)
        connection.execute("ATTACH DATABASE ? AS now", (str(path),))
        for table, columns in tables.items():
            names = ", ".join(sorted(columns))
            connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM now.{table}")
        connection.execute("DELETE FROM sqlite_sequence")
        connection.execute("INSERT INTO sqlite_sequence SELECT * FROM now.sqlite_sequence")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(f"PRAGMA application_id = {mark_of(version) if version > 2 else 0}")  # the first had none
        connection.execute("DETACH DATABASE now")
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    older.replace(path)
