"""What SQLite's errors mean to a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peewee as pw

from flashvsr.errors import Damaged, NoSpace, Transient
from flashvsr.system.text import printable

# The general error is one of them: with statements that are always the same it means unexpected content.
_DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite says about the database `path` into what a person can do: Damaged, NoSpace, another Transient.

    What is a mistake of ours (a closed connection) and a row that breaks a rule of its table are raised as they are.
    """
    try:
        yield
    except pw.OperationalError as error:
        if speaks_of_damage(error):
            raise Damaged(damaged_text(path, error)) from error
        reason = _first_error(error) or error
        kind = NoSpace if "full" in str(reason) else Transient
        raise kind(
            f"Cannot use the queue database {printable(path)}: {reason}. Check free space, permissions "
            "and the disk of paths.state; the work goes on when it can be written again."
        ) from error
    except pw.IntegrityError:
        raise
    except pw.DatabaseError as error:
        if type(error) is not pw.DatabaseError:
            raise
        raise Damaged(damaged_text(path, error)) from error


def speaks_of_damage(error: BaseException | None) -> bool:
    """Tell damage from what SQLite calls operational, too: full, locked, out of reach."""
    code = getattr(_first_error(error), "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF in _DAMAGED


def damaged_text(path: Path, reason: object) -> str:
    """What a person is told when a database turns out to be damaged while it is used."""
    return (
        f"The queue database {printable(path)} is damaged: {reason}. When flashvsr starts the next time, it sets the "
        "file aside, makes a new one and scans the inboxes again."
    )


def _first_error(error: BaseException | None) -> BaseException | None:
    """The error of SQLite that peewee's wraps; not the second one, of a rollback that SQLite had done by itself."""
    while error is not None:
        if isinstance(error, sqlite3.Error) and "cannot rollback" not in str(error):
            return error
        error = error.__cause__ or error.__context__
    return None
