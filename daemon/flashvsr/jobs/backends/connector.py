"""The seam between the queue and its database: the little that each database says in its own words."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Connector(Protocol):
    """One connection to a database. All else the queue says in peewee's queries, which every database understands.

    What the database says when it fails is raised as errors that tell a person what to do: NoSpace or another Transient
    while it cannot be used, Damaged, BadConfig when it is opened. Not safe for threads: `Store` has the lock.
    """

    database: Any  # peewee's; queries are executed on it

    def connect(self) -> None:
        """Open the connection, and bring the tables to this version; waits while another process does so."""

    def close(self) -> None:
        """Close the connection for good."""

    def reading(self) -> AbstractContextManager[object]:
        """One consistent view of the database. Inside another transaction: a part of that."""

    def writing(self) -> AbstractContextManager[object]:
        """A transaction that is durable when it ends: what is read inside still holds when it is written.

        Inside another one: a part of that. A claim does not rely on more than that a single statement is atomic.
        """

    def version(self) -> Hashable:
        """Return what is another one whenever anybody has changed the database: far cheaper than reading it again."""

    def last_number(self) -> int:
        """The highest number that a job ever had, 0 if there was none; inside a transaction."""

    def count_from(self, number: int) -> None:
        """Give new jobs numbers above this one; inside a transaction that writes."""
