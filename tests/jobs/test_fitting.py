"""A database whose version does not fit its tables is set aside; a newer flashvsr's is refused and left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import BadConfig, Damaged
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.backends.sqlite.fitting import mark_of, mismatch, shape_of
from flashvsr.jobs.backends.sqlite.migrations import MIGRATIONS
from flashvsr.jobs.damage import heal
from flashvsr.jobs.intake import Source
from flashvsr.jobs.queue import Queue

NEWEST = len(MIGRATIONS)


def make(path: Path, version: int, statements: Sequence[str], marked: int | None = None) -> None:
    """`marked`: the version that its second mark tells, if it has one."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = wal")
        for statement in statements:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {version}")
        if marked is not None:
            database.execute(f"PRAGMA application_id = {mark_of(marked)}")
        database.commit()


def ours(version: int = NEWEST) -> list[str]:
    """The statements that make the tables of a version."""
    return [statement for step in MIGRATIONS[:version] for statement in step]


OF_A_NEWER = [*ours(), "ALTER TABLE job ADD COLUMN colour INTEGER"]

SET_ASIDE: dict[str, tuple[Any, ...]] = {
    "higher than its tables": (NEWEST + 1, ours()),
    "much higher than its tables": (2**31 - 1, ours()),
    "higher than its old tables": (NEWEST + 1, ours(1)),
    "lower than its tables": (1, ours()),
    "lower than tables of a newer one": (1, OF_A_NEWER),
    "negative": (-1, ours()),
    "negative without tables": (-7, []),
    "none with tables": (0, ours()),
    "none with other tables": (0, ["CREATE TABLE mine (x)"]),
    "ours with the tables of an older one": (NEWEST, ours(1)),
    "ours without tables": (NEWEST, []),
    "ours with a column lost": (NEWEST, [*ours(), "ALTER TABLE job DROP COLUMN report"]),
    "an old one with a column lost": (1, [*ours(1), "ALTER TABLE worker DROP COLUMN error"]),
    "a newer one with other tables": (NEWEST + 1, ["CREATE TABLE mine (x)"]),
    "a newer one without tables": (NEWEST + 1, []),
    "higher than its mark": (NEWEST + 1, ours(), NEWEST),
    "lower than its mark": (1, ours(1), NEWEST),
    "ours with the mark of a newer one": (NEWEST, ours(), NEWEST + 1),
}
KEPT: dict[str, tuple[Any, ...]] = {
    "ours": (NEWEST, ours(), NEWEST),
    "ours without a mark": (NEWEST, ours()),
    "ours with a table and an index of somebody": (
        NEWEST,
        [*ours(), "CREATE TABLE mine (x)", 'CREATE TABLE "it\'s" (y)', "CREATE INDEX by_x ON mine (x)", "ANALYZE"],
    ),
    "an older one": (1, ours(1)),
    "an empty one": (0, []),
}


@pytest.mark.parametrize("name", SET_ASIDE)
def test_what_does_not_fit_is_set_aside_and_never_migrated(name: str, tmp_path: Path) -> None:
    version = SET_ASIDE[name][0]
    make(tmp_path / "queue.db", *SET_ASIDE[name])
    # Whoever opens a queue of the newest version does not look at its tables: the start of the service does.
    with nullcontext() if version == NEWEST else pytest.raises(Damaged, match="next time, it sets the file aside"):
        Queue(tmp_path).close()
    content = (tmp_path / "queue.db").read_bytes()
    heal(tmp_path)
    (aside,) = StateDirectory(tmp_path).all_aside()
    assert aside.read_bytes() == content
    with closing(Queue(tmp_path)) as queue:
        assert queue.intake.add_many([Source("/in", "/in/a.mp4", "a.mp4", 1, 2, 3, 4)])[0] > 1000


@pytest.mark.parametrize("name", KEPT)
def test_what_fits_is_kept(name: str, tmp_path: Path) -> None:
    make(tmp_path / "queue.db", *KEPT[name])
    heal(tmp_path)
    assert StateDirectory(tmp_path).all_aside() == []
    with closing(Queue(tmp_path)) as queue:
        assert queue.intake.add_many([Source("/in", "/in/a.mp4", "a.mp4", 1, 2, 3, 4)]) == [1]


@pytest.mark.parametrize(
    ("version", "statements", "marked"),
    [
        (NEWEST + 1, OF_A_NEWER, NEWEST + 1),
        (NEWEST + 40, OF_A_NEWER, NEWEST + 40),
        (NEWEST + 1, ours(), NEWEST + 1),  # the step to it changed rows alone
        (NEWEST + 1, OF_A_NEWER, None),  # in doubt nothing is set aside
    ],
)
def test_the_database_of_a_newer_one_is_refused_with_what_to_do(
    version: int, statements: list[str], marked: int | None, tmp_path: Path
) -> None:
    make(tmp_path / "queue.db", version, statements, marked)
    content = (tmp_path / "queue.db").read_bytes()
    heal(tmp_path)
    with pytest.raises(BadConfig, match=rf"version {version}.*Install the newer flashvsr"):
        Queue(tmp_path)
    assert (tmp_path / "queue.db").read_bytes() == content
    assert StateDirectory(tmp_path).all_aside() == []


def test_a_database_is_marked_with_its_version(tmp_path: Path) -> None:
    Queue(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "queue.db")) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (mark_of(NEWEST),)
        assert mismatch(database.execute, MIGRATIONS) is None
        assert set(shape_of(database.execute)) == {"job", "notice", "rate", "total", "worker"}
