"""Opening the database: versions, file systems, damage, and what is said about each."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import peewee as pw
import pytest

from flashvsr.errors import BadConfig, FlashVSRError, Transient
from flashvsr.jobs.backends.sqlite import migrations
from flashvsr.jobs.intake import Source
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job, Worker
from kits.versions import as_version

SOURCE = Source("/in", "/in/a.mp4", "a.mp4", 1, 2, 3, 4)


def read(state: Path, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(state / "queue.db") as connection:
        return connection.execute(sql).fetchall()


def test_durable_settings(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    pragma = queue.store.database.execute_sql
    assert pragma("PRAGMA journal_mode").fetchone() == ("wal",)
    assert pragma("PRAGMA synchronous").fetchone() == (2,)
    assert pragma("PRAGMA busy_timeout").fetchone() == (30_000,)
    queue.close()


def test_the_tables_are_those_of_the_models(tmp_path: Path) -> None:
    Queue(tmp_path).close()
    for model in (Job, Worker):
        columns = [row[1] for row in read(tmp_path, f"PRAGMA table_info({model._meta.table_name})")]
        assert set(columns) == {field.column_name for field in model._meta.sorted_fields}


def test_an_older_database_is_upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(tmp_path)
    queue.intake.add_many([SOURCE])
    queue.close()
    assert read(tmp_path, "PRAGMA user_version") == [(len(migrations.MIGRATIONS),)]
    step = ("ALTER TABLE job ADD COLUMN colour TEXT", "UPDATE job SET colour = 'blue'")
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
    for _ in range(2):  # the second time there is nothing to do
        queue = Queue(tmp_path)
        assert queue.jobs.get(1).relative == "a.mp4"
        queue.close()
        assert read(tmp_path, "PRAGMA user_version") == [(len(migrations.MIGRATIONS),)]
        assert read(tmp_path, "SELECT colour FROM job") == [("blue",)]


def test_a_failed_upgrade_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(tmp_path)
    queue.intake.add_many([SOURCE])
    queue.close()
    # The second fails on a row, where the first has changed the table already.
    step = ("ALTER TABLE job ADD COLUMN colour TEXT", f"UPDATE job SET colour = abs({-(2**63)})")
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
    with pytest.raises(FlashVSRError):
        Queue(tmp_path)
    assert read(tmp_path, "PRAGMA user_version") == [(len(migrations.MIGRATIONS) - 1,)]
    assert "colour" not in [row[1] for row in read(tmp_path, "PRAGMA table_info(job)")]


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    Queue(tmp_path).close()
    read(tmp_path, "ALTER TABLE job ADD COLUMN colour INTEGER")
    read(tmp_path, "PRAGMA user_version = 99")
    with pytest.raises(BadConfig, match=r"version 99.*Install the newer flashvsr"):
        Queue(tmp_path)
    assert read(tmp_path, "PRAGMA user_version") == [(99,)]


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / {tmp_path}/share rw - {kind} nas:/x rw\n")
    with pytest.raises(BadConfig, match=rf"network file system \({kind}\).*paths.state"):
        Queue(tmp_path / "share" / "state", mountinfo=mountinfo)
    assert not (tmp_path / "share").exists()
    Queue(tmp_path / "local", mountinfo=mountinfo).close()


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"this is no database, but long enough to be looked at" * 100)
    with pytest.raises(FlashVSRError, match=r"queue\.db is damaged.*sets the file aside"):
        Queue(tmp_path)


def test_a_state_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadConfig, match=r"Cannot create the state directory.*paths\.state"):
        Queue(tmp_path / "file" / "state")


def test_a_locked_database_is_transient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(tmp_path)
    queue.store.database.execute_sql("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient, match="locked"):
        queue.intake.add_many([SOURCE])
    other.execute("ROLLBACK")
    assert queue.intake.add_many([SOURCE]) == [1]


def test_a_version_1_database_keeps_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        database: Any = pw.SqliteDatabase(str(tmp_path / "queue.db"))
        migrations.migrate(database, tmp_path / "queue.db")
        columns = "inbox, source, relative, device, inode, size, mtime_ns, state, attempts, not_before"
        database.execute_sql(
            f"INSERT INTO job ({columns}, frames_done, warnings, cancel_requested, created)"
            " VALUES ('/in', '/in/a.mp4', 'a.mp4', 1, 2, 3, 4, 'done', 1, 0, 5, '[]', 0, 1.0)"
        )
        database.close()
    queue = Queue(tmp_path)
    assert (queue.jobs.get(1).state, queue.jobs.get(1).departed) == ("done", False)
    assert queue.intake.add_many([SOURCE]) == [None]
    queue.close()


def test_a_version_3_database_keeps_its_rows_and_counts_on(tmp_path: Path) -> None:
    """Its table of jobs is made anew: no column may be lost, and no number come back."""
    queue = Queue(tmp_path)
    sources = [replace(SOURCE, source=f"/in/{name}", relative=name, inode=number) for number, name in enumerate("xy")]
    numbers = queue.intake.add_many(sources)
    with queue.store.writing():
        queue.jobs.change(1, state="done", report="{}", departed=True, settled=1.0, archived="/x", fps=2.5, model="m")
        queue.store.run(Job.delete().where(Job.id == 2))
    queue.workers.set("cpu", 1, "CPU", "idle")
    before = read(tmp_path, "SELECT * FROM job")
    queue.close()
    as_version(tmp_path / "queue.db", 3)
    queue = Queue(tmp_path)
    assert read(tmp_path, "SELECT * FROM job") == before
    assert [worker.slot for worker in queue.workers.all()] == ["cpu"]
    job = queue.jobs.get(1)
    assert job is not None
    assert (job.forced, job.turn, job.priority, job.forecast) == (False, 0, 0, None)
    assert numbers == [1, 2]
    assert queue.intake.add_many([SOURCE]) == [3]
    queue.close()


def test_a_version_3_database_without_jobs_counts_on(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.intake.add_many([SOURCE])
    with queue.store.writing():
        queue.store.run(Job.delete())
    queue.close()
    as_version(tmp_path / "queue.db", 3)
    queue = Queue(tmp_path)
    assert queue.intake.add_many([SOURCE]) == [2]
    queue.close()
