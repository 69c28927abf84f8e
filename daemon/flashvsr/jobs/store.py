"""What all parts of the queue stand on: one connection, used one transaction at a time."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from flashvsr.jobs.backends.connector import Connector


class Store:
    """One connection to the queue's database, shared by the threads of one process and never across a fork.

    Opens it; raises as its connector does (`flashvsr.jobs.backends`). A transaction inside another is a part of that.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._lock = threading.RLock()
        connector.connect()

    @property
    def database(self) -> Any:
        """Peewee's own database, for statements that are no queries on the models."""
        return self._connector.database

    def close(self) -> None:
        """Close the connection; the object cannot be used afterwards."""
        with self._lock:
            self._connector.close()

    def version(self) -> Hashable:
        """Return what is another one whenever anybody has changed the database: far cheaper than reading it again."""
        with self._lock:
            return self._connector.version()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction, durable when it ends: what is read inside still holds when it is written."""
        with self._lock, self._connector.writing():
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One consistent view of the database."""
        with self._lock, self._connector.reading():
            yield

    def rows(self, query: Any) -> list[Any]:
        """Return all rows of a select."""
        with self.reading():
            return list(self.run(query))

    # The methods below are for use inside a transaction.

    def run(self, query: Any) -> Any:
        """Execute a peewee query on this store's own database, whatever the models are bound to.

        An update or a delete returns how many rows it changed, an insert the number of its row.
        """
        return query.execute(self.database)

    def first(self, query: Any) -> Any:
        """Return the first row of a select, None if there is none."""
        return query.first(self.database)

    def savepoint(self) -> AbstractContextManager[object]:
        """A part of the transaction that can fail without the whole."""
        part: AbstractContextManager[object] = self.database.atomic()
        return part

    def last_number(self) -> int:
        """The highest number that a job ever had here."""
        return self._connector.last_number()

    def count_from(self, number: int) -> None:
        """Give new jobs numbers above this one."""
        self._connector.count_from(number)
