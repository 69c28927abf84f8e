"""What is about to be published, kept in a file: after a crash it tells whether that has happened."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flashvsr.files.moves import explained
from flashvsr.files.texts import write_replacing
from flashvsr.outbox.publish import already_published


@dataclass(frozen=True)
class Intent:
    """For publications that the queue has no row for. `content` says what is published, in any words.

    An intent about another content is no longer ours.
    """

    path: Path
    content: str

    def record(self, result: Path, size: int, mtime_ns: int) -> None:
        """Make the intent durable; for `publish`. Raises Transient."""
        # Names are bytes: the escapes of JSON keep those that are no text, too.
        text = json.dumps({"content": self.content, "result": str(result), "size": size, "mtime_ns": mtime_ns})
        with explained("write", self.path):
            write_replacing(self.path, text)

    def fulfilled(self) -> Path | None:
        """Return the result if it was published, else None. Raises Transient if the outbox cannot be asked."""
        match self._told():
            case {"content": self.content, "result": str(result), "size": int(size), "mtime_ns": int(mtime_ns)}:
                return Path(result) if already_published(Path(result), size, mtime_ns) else None
        return None  # damaged or about something else: the result is published under the next free name

    def _told(self) -> object:
        with explained("read", self.path), suppress(FileNotFoundError, ValueError, RecursionError):
            return json.loads(self.path.read_text(encoding="ascii"))
        return None
