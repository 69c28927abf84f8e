"""A damaged or lost queue database: nothing published is done again, everything else is."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import BadConfig, Damaged, NoSpace
from flashvsr.files.state import StateDirectory
from flashvsr.files.trees import NO_LINKS
from flashvsr.jobs import damage, ledger
from flashvsr.jobs.damage import heal, set_aside_notes
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.retention import prune
from flashvsr.jobs.schema import DONE, QUEUED, Job

Drop = Callable[..., int]
Claim = Callable[..., Job]
MADE: dict[str, Any] = {"model": "nano", "report_json": '{"frames": 80}', "warnings": ["no sound"]}
KEPT = ("source", "relative", "inode", "result", "result_size", "model", "report", "warnings", "frames_done")


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def holed(path: Path) -> None:
    """Page 2 and all after it, as after a failing disk; the header is whole."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(path.stat().st_size - 4096))


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE job (mine TEXT)")


def without_a_column(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE job DROP COLUMN report")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def folders(state: Path) -> None:
    folder = state / "jobs"
    (folder / "41").mkdir(parents=True)
    (folder / "41.ending").touch()


@pytest.fixture
def lived(queue: Queue, drop: Drop, claim: Claim) -> Queue:
    """One job done, one failed, one that died at its publication, two cancelled, one waiting; the database closed."""
    done, failed, dying = claim(drop("d\udcffone.mp4")), claim(drop("failed.mp4")), claim(drop("dying.mp4"))
    stopped, unwanted = claim(drop("stopped.mp4")), drop("unwanted.mp4")
    drop("waiting.mp4")
    lease = str(done.lease)
    queue.claims.heartbeat(done.id, lease, 80, 80, 2.0)
    queue.claims.publishing(done.id, lease, Path("/out/d\udcffone.mp4"), 10, 20, **MADE)
    queue.claims.finish(done.id, lease, Path("/out/d\udcffone.mp4"), "nano", '{"frames": 80}', ["no sound"])
    queue.claims.fail(failed.id, str(failed.lease), "no video", "bad_input", None, [])
    queue.claims.cancelled(stopped.id, str(stopped.lease), Path("/out/stopped_partial.mp4"))
    queue.requests.cancel(unwanted)
    queue.claims.publishing(dying.id, str(dying.lease), Path("/out/dying.mp4"), 30, 40, **MADE)
    queue.close()
    return queue


def kept(job: Job) -> dict[str, object]:
    return {name: getattr(job, name) for name in KEPT}


@pytest.mark.parametrize("spoil", [garbage, cut, holed, foreign, without_a_column])
def test_a_damaged_database_is_set_aside_and_rebuilt(
    spoil: Callable[[Path], None],
    state: Path,
    lived: Queue,
    inbox: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(Queue(state)) as queue:
        before = {job.id: kept(job) for job in queue.jobs.select()}
    path = state / "queue.db"
    spoil(path)
    content = path.read_bytes()
    heal(state)
    (aside,) = StateDirectory(state).all_aside()
    assert aside.read_bytes() == content
    assert any(record.levelno == logging.ERROR and "damaged" in record.message for record in caplog.records)
    (notice,) = set_aside_notes(state)
    assert aside.name in notice
    with closing(Queue(state)) as queue:
        jobs = {job.id: job for job in queue.jobs.select()}
        states = {number: job.state for number, job in jobs.items()}
        assert states == {1: "done", 2: "failed", 3: "queued", 4: "cancelled", 5: "cancelled"}
        assert all(kept(job) == before[number] for number, job in jobs.items())
        files = sorted(path for path in inbox.iterdir() if path.suffix == ".mp4")
        numbers = {file.name: queue.intake.add(inbox, file, file.name, file.lstat()) for file in files}
        known = [name for name, number in numbers.items() if number is None]
        assert known == ["dying.mp4", "d\udcffone.mp4", "failed.mp4", "stopped.mp4", "unwanted.mp4"]
        # Above every folder of chunks: those of a lost job must never pass for a new one's.
        assert min(number for number in numbers.values() if number is not None) > 1000
    heal(state)
    assert len(StateDirectory(state).all_aside()) == 1


def test_the_journal_goes_with_its_database(state: Path, lived: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    # SQLite itself removes a journal it takes for useless, or works it into the database; not always, as when it
    # crashes over it.
    monkeypatch.setattr(damage, "damage_of", lambda path: "bad")
    (state / "queue.db-wal").write_bytes(b"journal")
    (state / "queue.db-shm").write_bytes(b"index")
    heal(state)
    (aside,) = StateDirectory(state).all_aside()
    assert (state / f"{aside.name}-wal").read_bytes() == b"journal"
    assert (state / f"{aside.name}-shm").exists()
    with closing(Queue(state)) as queue:
        later = (state / "queue.db").stat().st_ctime + 31 * 86400
        assert prune(NO_LINKS, queue, 30, later)["leftovers"] >= 3
    assert not list(state.glob("queue.damaged*"))
    assert set_aside_notes(state) == []


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: os.truncate(path, 0)])
def test_a_lost_database_is_rebuilt_too(lose: Callable[[Path], None], state: Path, lived: Queue) -> None:
    lose(state / "queue.db")
    heal(state)
    assert StateDirectory(state).all_aside() == []
    with closing(Queue(state)) as queue:
        assert [(job.id, job.state) for job in queue.jobs.select([DONE, QUEUED])] == [(3, "queued"), (1, "done")]
        assert queue.history.last_number() == 41


def test_a_sound_database_a_new_one_and_a_newer_one_are_left_alone(tmp_path: Path, state: Path, lived: Queue) -> None:
    before = (state / "queue.db").read_bytes()
    heal(state)
    assert (state / "queue.db").read_bytes() == before
    heal(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with closing(sqlite3.connect(state / "queue.db")) as database:
        database.execute("ALTER TABLE job ADD COLUMN colour INTEGER")
        database.execute("PRAGMA user_version = 99")
    heal(state)
    assert StateDirectory(state).all_aside() == []
    with pytest.raises(BadConfig, match="version 99"):
        Queue(state)


def test_a_job_that_is_tried_again_has_not_ended_any_more(
    state: Path, queue: Queue, drop: Drop, claim: Claim, inbox: Path
) -> None:
    retried, renamed = claim(drop("retried.mp4")), claim(drop("renamed.mp4"))
    for job in (retried, renamed):
        queue.claims.fail(job.id, str(job.lease), "no video", "bad_input", None, [])
    assert sorted(queue.ledger.numbers()) == [retried.id, renamed.id]
    queue.requests.retry(retried.id)
    path = (inbox / "renamed.mp4").rename(inbox / "better name.mp4")
    assert queue.intake.add(inbox, path, path.name, path.lstat()) == renamed.id
    assert queue.ledger.numbers() == []


def test_an_end_whose_record_does_not_fit_waits_for_room(
    queue: Queue, drop: Drop, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    job = claim(drop())
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "write_replacing", full)
        with pytest.raises(NoSpace, match="free some space there"):
            queue.claims.fail(job.id, str(job.lease), "no video", "bad_input", None, [])
    assert queue.jobs.get(job.id).state == "running"
    queue.claims.fail(job.id, str(job.lease), "no video", "bad_input", None, [])
    assert queue.ledger.numbers() == [job.id]


def test_damage_noticed_in_the_middle_is_told_from_trouble_that_passes(queue: Queue, drop: Drop) -> None:
    drop()
    queue.store.database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    holed(queue.path)
    queue.store.database.execute_sql("PRAGMA shrink_memory")
    with pytest.raises(Damaged, match="is damaged"):
        queue.jobs.select()


def test_each_database_that_was_set_aside_is_told_with_its_day(state: Path) -> None:
    for stamp in ("20260102-030405", "20260203-040506-2"):
        StateDirectory(state).aside(stamp).touch()
    first, second = set_aside_notes(state)
    assert "was damaged on 2026-01-02," in first
    assert "was damaged on 2026-02-03," in second


@pytest.mark.parametrize("known_by", ["folder", "ending", "database"])
def test_numbers_go_on_above_all_that_can_be_told(state: Path, queue: Queue, drop: Drop, known_by: str) -> None:
    drop()
    if known_by == "database":
        with queue.store.writing():
            queue.store.count_from(5000)
    else:
        (state / "jobs" / ("5000" if known_by == "folder" else "5000.ending")).mkdir()
    queue.close()
    without_a_column(state / "queue.db")
    heal(state)
    with closing(Queue(state)) as new:
        assert new.history.last_number() > 5000, "and some more, which nobody can tell"
