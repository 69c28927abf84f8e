"""Whether the tables of a queue database are those of the version it says it has."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any

Execute = Callable[[str], Any]  # runs a statement; the result has `fetchall`
Shape = Mapping[str, frozenset[str]]  # table -> its columns

# The version stands twice in a database: as SQLite's user_version, and added to this as its application_id. Databases
# of versions 1 and 2 may lack the second.
_MARK = 0x464C5600


def mark_of(version: int) -> int:
    """The application_id of a database of this version."""
    return _MARK + version


def mismatch(execute: Execute, steps: Sequence[Sequence[str]]) -> str | None:
    """Say what does not fit between the version and the tables of a database; None if a migration may go on from it.

    `steps`: the migrations of this flashvsr. The database of a newer one fits as far as can be told from here: it tells
    its version twice, or has a table of jobs with other columns than any version known here.
    """
    version, mark = _number(execute, "user_version"), _number(execute, "application_id")
    shapes = _shapes(tuple(map(tuple, steps)))
    found = shape_of(execute)
    marked = mark == mark_of(version)
    if version < 0:
        return f"its version is {version}"
    if version == 0:
        return "it holds other tables" if found else None
    if version > len(steps):
        if "id" not in found.get("job", ()):
            return "it holds other tables"
        known = found in shapes and not marked
        return f"its version is {version}, and its tables are those of version {shapes.index(found)}" if known else None
    if mark and not marked:
        return f"its version is {version}, and it is marked as one of version {mark - _MARK}"
    return _other_columns(version, found, shapes)


def _other_columns(version: int, found: Shape, shapes: Sequence[Shape]) -> str | None:
    for table, columns in shapes[version].items():
        missing = columns - found.get(table, frozenset())
        if missing:
            return f"its version is {version}, and its table {table} lacks {', '.join(sorted(missing))}"
    for table, columns in shapes[-1].items():
        later = found.get(table, frozenset()) & (columns - shapes[version].get(table, frozenset()))
        if later:
            return f"its version is {version}, and its table {table} has {', '.join(sorted(later))} already"
    return None


def shape_of(execute: Execute) -> Shape:
    """The tables of a database with their columns, those of SQLite itself left out."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    tables = [str(row[0]) for row in execute(query).fetchall()]
    return {table: frozenset(_columns(execute, table)) for table in tables}


def _number(execute: Execute, pragma: str) -> int:
    return int(execute(f"PRAGMA {pragma}").fetchall()[0][0])


def _columns(execute: Execute, table: str) -> list[str]:
    quoted = table.replace("'", "''")
    return [str(row[0]) for row in execute(f"SELECT name FROM pragma_table_info('{quoted}')").fetchall()]


@lru_cache(maxsize=8)
def _shapes(steps: tuple[tuple[str, ...], ...]) -> list[Shape]:
    """What the tables look like in each version, from 0 on."""
    shapes: list[Shape] = [{}]
    with closing(sqlite3.connect(":memory:")) as connection:
        for step in steps:
            for statement in step:
                connection.execute(statement)
            shapes.append(shape_of(connection.execute))
    return shapes
