"""What attempts of a job that failed have left in the outbox: when the whole result has come, nobody needs it any more.

A partial video bears no mark as texts do, a text has the name that the source had then, and a job that is tried again
forgets how it ended. So both are noted in the state directory. They are taken away only if they are still as they were.
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

_PARTIALS, _TEXT = "partials", "text"  # in a note
MOST = 20  # of one job: a person who tries again more often than that removes the others


class Partials:
    """The notes on partial videos and on the error text. `config`: the settings as they are now."""

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
        notes = self._read(path)
        known = [other for other in _partials(notes) if other["path"] != str(partial)]
        self._write(path, notes | {_PARTIALS: [*known, entry][-MOST:]})

    def note_text(self, job_id: int, folder: Path, name: str) -> None:
        """An error text about a source called `name` was written into `folder`; one of an earlier name goes.

        Raises Transient.
        """
        path = self._path(job_id)
        notes = self._read(path)
        text = {"folder": str(folder), "name": name}
        before = _text(notes)
        if before != text:
            self._write(path, notes | {_TEXT: text})
            self._remove_text(before)

    def withdraw(self, job: Job) -> None:
        """Remove those of the job, and of earlier jobs about the file of that name. Raises Transient."""
        for number in {job.id, *self._queue.jobs.of_source(job.source)}:
            path = self._path(number)
            notes = self._read(path)
            for entry in _partials(notes):
                self._remove(Path(entry["path"]), entry["size"], entry["mtime_ns"])
            self._remove_text(_text(notes))
            if notes:
                self._write(path, {})

    def withdraw_text(self, job_id: int) -> None:
        """Remove the error text of the job, whatever name its source had then. Raises Transient."""
        path = self._path(job_id)
        notes = self._read(path)
        if text := _text(notes):
            self._remove_text(text)
            self._write(path, {key: value for key, value in notes.items() if key != _TEXT})

    def _remove_text(self, text: dict[str, str] | None) -> None:
        if text is not None:
            Outbox(self._config().trees()).remove_error_text(Path(text["folder"]), text["name"])

    def _write(self, path: Path, notes: dict[str, Any]) -> None:
        """Keep the notes of a job; no file where there are none."""
        with explained("write", path):
            if not notes:
                path.unlink(missing_ok=True)
                return
            make_directories(OWN, path.parent)
            clear_name(path)
            write_replacing(path, json.dumps(notes))

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

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            with explained("read", path):
                return read_object(path) or {}
        except (Unusable, Transient) as error:
            log.warning("%s cannot be read, so what it tells of stays in the outbox: %s", printable(path), error)
            return {}

    def _path(self, job_id: int) -> Path:
        return StateDirectory(self._config().paths.state).partials_of(job_id)


def _partials(notes: dict[str, Any]) -> list[dict[str, Any]]:
    found = notes.get(_PARTIALS)
    return [entry for entry in found if _is_entry(entry)] if isinstance(found, list) else []


def _text(notes: dict[str, Any]) -> dict[str, str] | None:
    found = notes.get(_TEXT)
    if not isinstance(found, dict) or not is_path(found.get("folder")):
        return None
    name = found.get("name")
    return found if isinstance(name, str) and is_path(f"/{name}") and "/" not in name else None


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not is_path(entry.get("path")):
        return False
    return all(isinstance(entry.get(key), int) for key in ("size", "mtime_ns"))
