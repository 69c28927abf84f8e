"""Filling a new database with what the records beside the lost one tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import peewee as pw

from flashvsr.jobs.schema import FINISHED, QUEUED, Job
from flashvsr.jobs.table import Records


class Rebuilding(Records):
    """The part of the queue that starts from records instead of from nothing."""

    def restore(self, rows: Iterable[dict[str, Any]], last_number: int) -> int:
        """Take in kept rows of a lost database; how many these were. New jobs get numbers above `last_number`.

        All in one transaction. The values are such as the columns hold (`flashvsr.jobs.rows`).

        A job that had ended stays as it ended. One that was about to be published is queued with its intent, so that
        its worker looks whether the result is out before it does anything.
        """
        known = set(Job._meta.sorted_field_names)
        restored = 0
        with self._writing():
            for row in rows:
                values = {name: value for name, value in row.items() if name in known}
                if values["state"] not in FINISHED:
                    values |= {"state": QUEUED, "attempts": 0, "not_before": 0.0, "cancel_requested": False}
                try:
                    # A savepoint: two records of one content leave the first, and the transaction whole.
                    with self._database.atomic():
                        self._run(Job.insert(**values))
                except pw.IntegrityError:
                    continue
                restored += 1
            self._count_from(last_number)
        return restored

    def last_number(self) -> int:
        """The highest number that a job ever had here."""
        with self._reading():
            row = self._database.execute_sql("SELECT seq FROM sqlite_sequence WHERE name = 'job'").fetchone()
        return 0 if row is None else int(row[0])

    def _count_from(self, last: int) -> None:
        last = max(last, self.last_number())
        self._database.execute_sql("DELETE FROM sqlite_sequence WHERE name = 'job'")
        self._database.execute_sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('job', ?)", (last,))
