"""A plain copy of each job that ended beside the database: all there is to know if the database is lost.

Without it a rebuilt queue would do every source again that is still in its inbox. One small file for each job:
<state>/records/<number>.json, written before the result gets its name and when the job ends, well or badly.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flashvsr.files.advice import explained
from flashvsr.files.moves import make_directories
from flashvsr.files.objects import Unusable, read_object, set_aside
from flashvsr.files.state import StateDirectory
from flashvsr.files.texts import write_replacing
from flashvsr.files.trees import OWN
from flashvsr.jobs.rows import LARGEST_NUMBER, wrong_value
from flashvsr.jobs.schema import Job
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

LARGEST_RECORD = 16 << 20  # bytes; the report of a job is the most of it
_LEFT_OUT = frozenset({"owner_host", "owner_pid", "owner_start", "lease", "heartbeat", "progress_at", "progress_ticks"})


class Ledger:
    """The records below a state directory."""

    def __init__(self, state: Path) -> None:
        self._state = StateDirectory(state)
        self.folder = self._state.records
        self.damaged = self._state.damaged_records

    def write(self, job: Job) -> None:
        """Keep what the job's row says now; durable when it returns. Raises NoSpace or another Transient."""
        row = {name: getattr(job, name) for name in Job._meta.sorted_field_names if name not in _LEFT_OUT}
        path = self._path(job.id)
        with explained("write", path):
            make_directories(OWN, self.folder)
            _give_to_owner(self.folder)
            try:
                self._write(path, row)
            except IsADirectoryError:
                self._set_aside(path, "it is a folder")
                self._write(path, row)
            _give_to_owner(path)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the kept rows by number, each with the values its columns hold. What cannot be used is set aside."""
        for number in sorted(self.numbers()):
            path = self._path(number)
            try:
                row = read_object(path, LARGEST_RECORD)
                if row is not None:
                    self._check(row, number)
                    yield row
            except Unusable as error:
                self._set_aside(path, str(error))
            except OSError as error:
                log.error("the record %s cannot be read and is left out: %s", printable(path), error.strerror)

    def numbers(self) -> list[int]:
        """The numbers of the jobs that have a record."""
        if not self.folder.is_dir():
            return []
        names = (path.stem for path in self.folder.glob("*.json"))
        numbers = [int(name) for name in names if name.isascii() and name.isdecimal() and not name.startswith("0")]
        return [number for number in numbers if number <= LARGEST_NUMBER]

    def forget(self, job_ids: Iterable[int]) -> None:
        """Remove the records of jobs that leave the history, or begin anew."""
        for number in job_ids:
            try:
                self._path(number).unlink(missing_ok=True)
            except IsADirectoryError:
                self._set_aside(self._path(number), "it is a folder")

    def set_aside_notes(self) -> list[str]:
        """What a person should know about records that were set aside."""
        try:
            number = sum(1 for _ in self.damaged.iterdir())
        except OSError:
            return []  # mostly there is no such folder
        if not number:
            return []
        return [
            f"records of ended jobs were damaged ({number}); their videos are done again if they lie in an inbox. "
            f"The records are kept in {printable(self.damaged)}: remove that folder, and this message ends"
        ]

    def _check(self, row: dict[str, Any], number: int) -> None:
        reason = wrong_value(row)
        if reason is None and row["id"] != number:
            reason = f"it tells of job {row['id']}"
        if reason is not None:
            raise Unusable(reason)

    def _write(self, path: Path, row: dict[str, Any]) -> None:
        write_replacing(path, json.dumps(row))  # escaped: a name that is no text comes back byte for byte

    def _set_aside(self, path: Path, reason: str) -> None:
        try:
            self.damaged.mkdir(exist_ok=True)
            _give_to_owner(self.damaged)
            where = set_aside(path, self.damaged)
        except OSError as error:
            told = "the record %s is damaged and left out: %s; it cannot be moved: %s"
            log.error(told, printable(path), reason, error.strerror)
        else:
            log.error("the record %s is damaged: %s; it is kept as %s", printable(path), reason, printable(where))

    def _path(self, job_id: int) -> Path:
        return self._state.record(job_id)


def _give_to_owner(path: Path) -> None:
    """What root writes, by `flashvsr cancel` perhaps, is for the service's account to read."""
    if os.geteuid() == 0:
        directory = path.parent.stat()
        os.chown(path, directory.st_uid, directory.st_gid)
