"""A new database in the place of a damaged one: killed at any step, the next start comes to the same end."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from flashvsr.files.state import StateDirectory
from flashvsr.jobs import damage, exchange
from flashvsr.jobs.damage import heal
from flashvsr.jobs.history import History
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from kits.dying import killed_at, steps_of

Drop = Callable[..., int]
Claim = Callable[..., Job]

MOST_STEPS = 200


@pytest.fixture
def lived(tmp_path: Path, queue: Queue, drop: Drop, claim: Claim) -> Path:
    """The state directory of a service with two jobs that ended and one that waited."""
    for name, word in (("done.mp4", "finish"), ("failed.mp4", "fail")):
        job = claim(drop(name))
        if word == "finish":
            queue.claims.finish(job.id, str(job.lease), Path("/out/done.mp4"), "nano", "{}", [])
        else:
            queue.claims.fail(job.id, str(job.lease), "no video", "bad_input", None, [])
    drop("waiting.mp4")
    queue.close()
    (tmp_path / "state" / "jobs").mkdir()
    return tmp_path / "state"


def holed(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(path.stat().st_size - 4096))


def outcome(state: Path) -> tuple[list[tuple[int, str, str]], int, list[str]]:
    """What is there in the end: the jobs, where counting goes on, and the databases in the state directory."""
    with closing(Queue(state)) as queue:
        jobs = [(job.id, job.state, job.source) for job in queue.jobs.select()]
        number = queue.history.last_number()
    return jobs, number, names(state, "queue*.db")


def names(state: Path, pattern: str) -> list[str]:
    return sorted(re.sub(r"\d{8}-\d{6}", "when", path.name) for path in state.glob(pattern))


@pytest.mark.slow
@pytest.mark.parametrize("lose", [holed, Path.unlink], ids=["damaged", "gone"])
def test_a_start_that_is_killed_at_any_step_is_made_good_by_the_next(
    lose: Callable[[Path], None], lived: Path, tmp_path: Path
) -> None:
    lose(lived / "queue.db")
    content = (lived / "queue.db").read_bytes() if (lived / "queue.db").exists() else None
    whole = tmp_path / "whole"
    shutil.copytree(lived, whole)
    heal(whole)
    expected = outcome(whole)
    assert len(expected[0]) == 2
    for step in itertools.count(1):
        assert step < MOST_STEPS
        state = tmp_path / f"killed-{step}"
        shutil.copytree(lived, state)
        killed = killed_at(step, partial(heal, state))
        heal(state)
        assert outcome(state) == expected, f"killed at step {step}"
        assert [path.read_bytes() for path in state.glob("queue.damaged-*.db")] == [content] * (content is not None)
        if not killed:
            break
    assert step > 10, "hardly anything was interrupted"


@pytest.mark.slow
def test_a_start_that_is_killed_again_and_again_gets_there(lived: Path) -> None:
    holed(lived / "queue.db")
    # Each start gets one step further than the one before.
    for step in itertools.count(1):
        if not killed_at(step, lambda: heal(lived)):
            break
    jobs, _, databases = outcome(lived)
    assert [job[:2] for job in jobs] == [(2, "failed"), (1, "done")]
    assert databases == ["queue.damaged-when.db", "queue.db"]


def test_a_database_that_looks_sound_without_its_journal_stays_condemned(
    lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where the journal is what is damaged: the service is killed when it has moved the journal, not the database.
    (lived / "queue.db-wal").write_bytes(b"journal")
    (lived / "queue.db-shm").write_bytes(b"index")
    monkeypatch.setattr(
        damage, "damage_of", lambda path: "bad" if path.with_name(f"{path.name}-wal").exists() else None
    )
    for step in itertools.count(1):
        assert step < MOST_STEPS
        state = tmp_path / f"killed-{step}"
        shutil.copytree(lived, state)
        killed = killed_at(step, partial(heal, state), "rename")
        heal(state)
        assert [job[0] for job in outcome(state)[0]] == [2, 1], f"killed at step {step}"
        journals = [f"queue.damaged-when.db{suffix}" for suffix in ("", "-shm", "-wal")]
        assert names(state, "queue.damaged*") == journals, f"killed at step {step}"
        if not killed:
            break


def test_each_step_is_on_the_disk_before_the_next_needs_it(
    lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lived / "queue.db-wal").write_bytes(b"journal")
    (lived / "queue.db-shm").write_bytes(b"index")
    monkeypatch.setattr(damage, "damage_of", lambda path: "bad")
    steps = steps_of(lambda: heal(lived), tmp_path / "notes")
    assert [re.sub(r"\d{8}-\d{6}", "when", step) for step in steps] == [
        "fsync queue.building.db",
        "rename queue.building.db queue.rebuilt-when.db",
        "fsync state",
        "rename queue.db-wal queue.damaged-when.db-wal",
        "rename queue.db-shm queue.damaged-when.db-shm",
        "rename queue.db queue.damaged-when.db",
        "fsync state",
        "rename queue.rebuilt-when.db queue.db",
        "fsync state",
    ]


@pytest.mark.parametrize("content", [b"", b"no database" * 500])
def test_a_prepared_database_of_any_content_is_made_anew(content: bytes, lived: Path) -> None:
    (lived / "queue.rebuilt-20260101-000000.db").write_bytes(content)
    (lived / "queue.building.db").mkdir()
    (lived / "queue.building.db-wal").write_bytes(b"x")
    heal(lived)
    jobs, _, databases = outcome(lived)
    assert [job[:2] for job in jobs] == [(2, "failed"), (1, "done")]
    assert databases == ["queue.damaged-when.db", "queue.db"]
    assert names(lived, "queue.building*") == ["queue.building.db.damaged"]


def test_what_was_set_aside_is_never_replaced(lived: Path) -> None:
    (lived / "queue.rebuilt-20260101-000000.db").write_bytes(b"no database" * 500)
    first = lived / "queue.damaged-20260101-000000.db"
    first.write_bytes(b"the first")
    heal(lived)
    assert first.read_bytes() == b"the first"
    assert len(list(lived.glob("queue.damaged-*.db"))) == 2


def test_a_disk_that_is_full_changes_nothing(lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holed(lived / "queue.db")
    content = (lived / "queue.db").read_bytes()
    monkeypatch.setattr(History, "restore", lambda *_: (_ for _ in ()).throw(OSError(28, os.strerror(28))))
    with pytest.raises(OSError, match="No space"):
        heal(lived)
    assert (lived / "queue.db").read_bytes() == content
    assert not list(lived.glob("queue.damaged-*"))
    monkeypatch.undo()
    heal(lived)
    assert len(outcome(lived)[0]) == 2


def test_numbers_that_nobody_could_have_given_out_are_not_counted_from(lived: Path) -> None:
    (lived / "jobs" / "99999999999999999999").mkdir()
    (lived / "records" / "88888888888888888888.json").write_text("{}")
    (lived / "records" / "007.json").write_text("{}")
    with closing(sqlite3.connect(lived / "queue.db")) as database:
        database.execute(f"UPDATE sqlite_sequence SET seq = {2**63 - 1}")
        database.execute("PRAGMA user_version = -1")
        database.commit()
    heal(lived)
    assert outcome(lived)[1] == 1002


def test_a_folder_in_the_place_of_the_database_is_set_aside(lived: Path) -> None:
    (lived / "queue.db").unlink()
    (lived / "queue.db").mkdir()
    heal(lived)
    jobs, _, databases = outcome(lived)
    assert len(jobs) == 2
    assert databases == ["queue.damaged-when.db", "queue.db"]


@pytest.mark.parametrize(("taken", "free"), [((), ""), (("", "-2"), "-3"), (("-wal",), "-2")])
def test_a_name_for_what_is_set_aside_is_nobodys(
    taken: tuple[str, ...], free: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even that of a journal, which would be taken for one of the new one's."""
    monkeypatch.setattr(exchange, "time", SimpleNamespace(strftime=lambda _: "20260102-030405"))
    names = StateDirectory(tmp_path)
    for end in taken:
        path = names.aside("20260102-030405" + (end if end == "-2" else ""))
        path.with_name(path.name + ("-wal" if end == "-wal" else "")).touch()
    assert exchange._free_stamp(names) == f"20260102-030405{free}"
