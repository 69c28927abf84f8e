"""Which partial videos of a job lie in the outbox: when the whole result has come, nobody needs them any more.

A video bears no mark as texts do, and a job that is tried again forgets how it ended. So they are noted in the
state directory, and taken away only if they are still what was published.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flashvsr.errors import Transient
from flashvsr.files import at
from flashvsr.files.advice import explained
from flashvsr.files.moves import make_directories
from flashvsr.files.objects import Unusable, clear_name, read_object
from flashvsr.files.state import StateDirectory
from flashvsr.files.texts import write_replacing
from flashvsr.files.trees import OWN
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from flashvsr.outbox.disposal import delete
from flashvsr.outbox.intent import is_path
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.config import Config
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

MOST = 20  # of one job: a person who tries again more often than that removes the others


class Partials:
    """The notes on them. `config`: the settings as they are now."""

    def __init__(self, queue: Queue, config: Callable[[], Config]) -> None:
        self._queue = queue
        self._config = config

    def note(self, job_id: int, partial: Path) -> None:
        """A partial video was published. Raises Transient if that cannot be noted; noted twice it stands there once."""
        path = self._path(job_id)
        try:
            status = self._config().trees().lstat(partial)
        except OSError as error:
            log.debug("%s is not there any more: %s", printable(partial), error)
            return
        entry = {"path": str(partial), "size": status.st_size, "mtime_ns": status.st_mtime_ns}
        known = [other for other in self._noted(path) if other["path"] != str(partial)]
        with explained("write", path):
            make_directories(OWN, path.parent)
            clear_name(path)
            write_replacing(path, json.dumps({"partials": [*known, entry][-MOST:]}))

    def withdraw(self, job: Job) -> None:
        """Remove those of the job, and of earlier jobs about the file of that name. Raises Transient."""
        for number in {job.id, *self._queue.jobs.of_source(job.source)}:
            path = self._path(number)
            noted = self._noted(path)
            for entry in noted:
                self._remove(Path(entry["path"]), entry["size"], entry["mtime_ns"])
            if noted:
                with explained("remove", path):
                    path.unlink(missing_ok=True)

    def _remove(self, partial: Path, size: int, mtime_ns: int) -> None:
        trees = self._config().trees()
        if not Outbox(trees).already_published(partial, size, mtime_ns):
            return  # changed, renamed or removed by somebody, whose it is now
        with explained("remove", partial), trees.directory(partial.parent) as directory:
            try:
                delete(directory, partial.name, at.identity(at.status(directory, partial.name)))
            except FileNotFoundError:
                return
        log.info("%s is not needed any more and was removed", printable(partial))

    def _noted(self, path: Path) -> list[dict[str, Any]]:
        try:
            with explained("read", path):
                found = (read_object(path) or {}).get("partials", [])
        except (Unusable, Transient) as error:
            log.warning("%s cannot be read, so partial videos it tells of stay: %s", printable(path), error)
            return []
        return [entry for entry in found if _is_entry(entry)] if isinstance(found, list) else []

    def _path(self, job_id: int) -> Path:
        return StateDirectory(self._config().paths.state).partials_of(job_id)


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not is_path(entry.get("path")):
        return False
    return all(isinstance(entry.get(key), int) for key in ("size", "mtime_ns"))
