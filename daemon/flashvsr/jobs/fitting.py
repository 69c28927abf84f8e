"""Whether the tables of a queue database are those of the version it says it has."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any

Execute = Callable[[str], Any]  # runs a statement; the result has `fetchall`
Shape = Mapping[str, frozenset[str]]  # table -> its columns


def misfit(execute: Execute, steps: Sequence[Sequence[str]]) -> str | None:
    """Say what does not fit between the version and the tables of a database; None if a migration may go on from it.

    `steps`: the migrations of this flashvsr. A database of a newer one fits as far as can be told from here: it has
    the table of jobs and, as each migration changes tables or columns, other columns than any version known here.
    """
    version = int(execute("PRAGMA user_version").fetchall()[0][0])
    shapes = _shapes(tuple(map(tuple, steps)))
    found = shape_of(execute)
    if version < 0:
        return f"its version is {version}"
    if version == 0:
        return "it holds other tables" if found else None
    if version > len(steps):
        if found in shapes:
            return f"its version is {version}, and its tables are those of version {shapes.index(found)}"
        return None if "id" in found.get("job", ()) else "it holds other tables"
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
