"""What is about to be published, kept in a file: after a crash it tells whether that has happened."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from flashvsr.files.advice import explained
from flashvsr.files.objects import Unusable, clear_name, read_object
from flashvsr.files.texts import write_replacing
from flashvsr.outbox.publish import Outbox


@dataclass(frozen=True)
class Intent:
    """For publications that the queue has no row for. `content` says what is published, in any words.

    An intent about another content is no longer ours. `outbox`: where it is published.
    """

    path: Path
    content: str
    outbox: Outbox

    def record(self, result: Path, size: int, mtime_ns: int) -> None:
        """Make the intent durable; for `publish`. Raises Transient."""
        # Names are bytes: the escapes of JSON keep those that are no text, too.
        text = json.dumps({"content": self.content, "result": str(result), "size": size, "mtime_ns": mtime_ns})
        with explained("write", self.path):
            clear_name(self.path)
            write_replacing(self.path, text)

    def fulfilled(self) -> Path | None:
        """Return the result if it was published, else None. Raises Transient if the outbox cannot be asked."""
        try:
            with explained("read", self.path):
                told = read_object(self.path) or {}
        except Unusable:
            told = {}  # damaged: then nothing is known, and the result is published under the next free name
        result, size, mtime_ns = told.get("result"), told.get("size"), told.get("mtime_ns")
        if told.get("content") != self.content or not is_path(result):
            return None
        if not isinstance(size, int) or not isinstance(mtime_ns, int):
            return None
        return Path(result) if self.outbox.already_published(Path(result), size, mtime_ns) else None


def is_path(value: object) -> TypeGuard[str]:
    """Tell whether what a file holds can be a path."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False
