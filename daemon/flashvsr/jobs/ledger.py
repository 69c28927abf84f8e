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

from flashvsr.files.texts import write_replacing
from flashvsr.jobs.schema import Job
from flashvsr.space import writing_state
from flashvsr.text import printable

log = logging.getLogger(__name__)

RECORDS_NAME = "records"

_LEFT_OUT = frozenset({"owner_host", "owner_pid", "owner_start", "lease", "heartbeat", "progress_at", "progress_ticks"})


class Ledger:
    """The records below a state directory."""

    def __init__(self, state: Path) -> None:
        self.folder = state / RECORDS_NAME

    def write(self, job: Job) -> None:
        """Keep what the job's row says now; durable when it returns. Raises NoSpace or another Transient."""
        row = {name: getattr(job, name) for name in Job._meta.sorted_field_names if name not in _LEFT_OUT}
        path = self._path(job.id)
        with writing_state(path):
            self.folder.mkdir(exist_ok=True)
            _give_to_owner(self.folder)
            write_replacing(path, json.dumps(row))  # escaped: a name that is no text comes back byte for byte
            _give_to_owner(path)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the kept rows by number. One that cannot be read is logged and left out."""
        for number in sorted(self.numbers()):
            path = self._path(number)
            try:
                row = json.loads(path.read_text(encoding="ascii"))
            except (OSError, ValueError) as error:
                log.error("the record %s cannot be read and is left out: %s", printable(path), error)
                continue
            yield row

    def numbers(self) -> list[int]:
        """The numbers of the jobs that have a record."""
        if not self.folder.is_dir():
            return []
        return [int(path.stem) for path in self.folder.glob("*.json") if path.stem.isascii() and path.stem.isdecimal()]

    def forget(self, job_ids: Iterable[int]) -> None:
        """Remove the records of jobs that leave the history, or begin anew."""
        for number in job_ids:
            self._path(number).unlink(missing_ok=True)

    def _path(self, job_id: int) -> Path:
        return self.folder / f"{job_id}.json"


def _give_to_owner(path: Path) -> None:
    """What root writes, by `flashvsr cancel` perhaps, is for the service's account to read."""
    if os.geteuid() == 0:
        directory = path.parent.stat()
        os.chown(path, directory.st_uid, directory.st_gid)
