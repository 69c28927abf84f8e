"""How the queue database of an earlier version becomes one of this version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flashvsr.errors import BadConfig, Damaged
from flashvsr.jobs.backends.sqlite.failures import damaged_text
from flashvsr.jobs.backends.sqlite.fitting import mark_of, mismatch
from flashvsr.system.text import printable

Migration = tuple[str, ...]  # SQL statements from one version to the next; never edited once released

_FIRST_TABLES: Migration = (
    # AUTOINCREMENT: a job number names folders and temporary files, so it must not come back after retention.
    """
    CREATE TABLE job (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        inbox BLOB NOT NULL, source BLOB NOT NULL, relative BLOB NOT NULL,
        device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'held')),
        preset TEXT, attempts INTEGER NOT NULL, not_before REAL NOT NULL,
        owner_host TEXT, owner_pid INTEGER, owner_start TEXT, slot TEXT, lease TEXT,
        heartbeat REAL, progress_at REAL, progress_ticks REAL,
        frames_done INTEGER NOT NULL, frames_total INTEGER, fps REAL,
        error TEXT, error_kind TEXT, warnings TEXT NOT NULL,
        result BLOB, result_size INTEGER, result_mtime_ns INTEGER,
        cancel_requested INTEGER NOT NULL, model TEXT, report TEXT,
        settled REAL, archived BLOB,
        created REAL NOT NULL, claimed REAL, finished REAL
    )
    """,
    "CREATE UNIQUE INDEX job_identity ON job (device, inode, size, mtime_ns)",
    "CREATE INDEX job_source ON job (source)",
    "CREATE INDEX job_state ON job (state, id)",
    """
    CREATE TABLE worker (
        slot TEXT PRIMARY KEY, pid INTEGER NOT NULL, label TEXT NOT NULL, state TEXT NOT NULL,
        job INTEGER, since REAL NOT NULL, error TEXT
    )
    """,
)

# A source that left its inbox when it was done may come back: the same file, and a job of its own then.
_DEPARTED: Migration = (
    "ALTER TABLE job ADD COLUMN departed INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX job_identity",
    "CREATE UNIQUE INDEX job_identity ON job (device, inode, size, mtime_ns) WHERE departed = 0",
)

# Earlier versions kept messages and reports of any length. Reading many thousands of those takes all memory.
_BOUNDED: Migration = (
    "UPDATE job SET error = substr(error, 1, 1900) || '… (' || length(error) || ' characters)' "
    "WHERE length(error) > 2000",
    "UPDATE worker SET error = substr(error, 1, 1900) || '… (' || length(error) || ' characters)' "
    "WHERE length(error) > 2000",
    """
    UPDATE job SET warnings = '["warnings of ' || length(warnings) || ' characters are not kept"]'
    WHERE length(warnings) > 100000
    """,
    """
    UPDATE job SET report = '{"note": "a report of ' || length(report) || ' characters is not kept"}'
    WHERE length(report) > 100000
    """,
)

# A state more, which SQLite's check of a column takes only in a new table; the order of waiting jobs; what is known of
# those; how fast this machine is. The highest number ever given stays known: AUTOINCREMENT counts on from it.
_KEPT_COLUMNS = (
    "id, inbox, source, relative, device, inode, size, mtime_ns, state, preset, attempts, not_before, "
    "owner_host, owner_pid, owner_start, slot, lease, heartbeat, progress_at, progress_ticks, "
    "frames_done, frames_total, fps, error, error_kind, warnings, result, result_size, result_mtime_ns, "
    "cancel_requested, model, report, settled, archived, departed, created, claimed, finished"
)
_SKIPPED: Migration = (
    """
    CREATE TABLE job_of_version_4 (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        inbox BLOB NOT NULL, source BLOB NOT NULL, relative BLOB NOT NULL,
        device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'held', 'skipped')),
        preset TEXT, attempts INTEGER NOT NULL, not_before REAL NOT NULL,
        forced INTEGER NOT NULL DEFAULT 0, turn INTEGER NOT NULL DEFAULT 0, priority INTEGER NOT NULL DEFAULT 0,
        owner_host TEXT, owner_pid INTEGER, owner_start TEXT, slot TEXT, lease TEXT,
        heartbeat REAL, progress_at REAL, progress_ticks REAL,
        frames_done INTEGER NOT NULL, frames_total INTEGER, fps REAL,
        error TEXT, error_kind TEXT, warnings TEXT NOT NULL, forecast TEXT,
        result BLOB, result_size INTEGER, result_mtime_ns INTEGER,
        cancel_requested INTEGER NOT NULL, model TEXT, report TEXT,
        settled REAL, archived BLOB, departed INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL, claimed REAL, finished REAL
    )
    """,
    f"INSERT INTO job_of_version_4 ({_KEPT_COLUMNS}) SELECT {_KEPT_COLUMNS} FROM job",
    "DELETE FROM sqlite_sequence WHERE name = 'job_of_version_4'",
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'job_of_version_4', seq FROM sqlite_sequence WHERE name = 'job'",
    "DROP TABLE job",
    "ALTER TABLE job_of_version_4 RENAME TO job",
    "CREATE UNIQUE INDEX job_identity ON job (device, inode, size, mtime_ns) WHERE departed = 0",
    "CREATE INDEX job_source ON job (source)",
    "CREATE INDEX job_state ON job (state, turn DESC, priority DESC, id)",
    """
    CREATE TABLE rate (
        device TEXT NOT NULL, model TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
        frames REAL NOT NULL, seconds REAL NOT NULL, updated REAL NOT NULL,
        PRIMARY KEY (device, model, width, height)
    )
    """,
)

# What is to be told to people; and the frames of all jobs, also of those that the history forgets.
_NOTICES: Migration = (
    """
    CREATE TABLE notice (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, job INTEGER, subject TEXT, detail TEXT, number INTEGER NOT NULL,
        created REAL NOT NULL, told TEXT NOT NULL, over REAL
    )
    """,
    "CREATE INDEX notice_over ON notice (over, id)",
    "CREATE TABLE total (name TEXT PRIMARY KEY, amount REAL NOT NULL)",
    "ALTER TABLE job ADD COLUMN frames_counted INTEGER NOT NULL DEFAULT 0",
)

MIGRATIONS: tuple[Migration, ...] = (_FIRST_TABLES, _DEPARTED, _BOUNDED, _SKIPPED, _NOTICES)


def migrate(database: Any, path: Path, migrations: Sequence[Migration] | None = None) -> int:
    """Bring the database to the newest version and return that version; all steps in one transaction.

    Raises BadConfig if a newer flashvsr wrote the database: it is left as it is. Raises Damaged if its version does
    not fit its tables: no step would lead anywhere from there.
    """
    steps = MIGRATIONS if migrations is None else migrations
    if _version(database) == len(steps):
        return len(steps)
    with database.transaction("IMMEDIATE"):  # several processes may start at once: the version is read again inside
        version = _version(database)
        reason = mismatch(database.execute_sql, steps)
        if reason is not None:
            raise Damaged(damaged_text(path, reason))
        if version > len(steps):
            raise BadConfig(
                f"The queue database {printable(path)} has version {version}, this flashvsr knows versions up to "
                f"{len(steps)}. Install the newer flashvsr again, or set paths.state to another directory."
            )
        for statement in (statement for step in steps[version:] for statement in step):
            database.execute_sql(statement)
        database.execute_sql(f"PRAGMA user_version = {len(steps)}")
        database.execute_sql(f"PRAGMA application_id = {mark_of(len(steps))}")
    return len(steps)


def _version(database: Any) -> int:
    return int(database.execute_sql("PRAGMA user_version").fetchone()[0])
