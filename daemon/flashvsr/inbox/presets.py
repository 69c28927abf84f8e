"""The presets of the inboxes: checked when they change; a wrong one holds the jobs of its inbox."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files import trees
from flashvsr.jobs.queue import Queue
from flashvsr.preset import PRESET_NAME, check_inbox_preset
from flashvsr.text import printable

log = logging.getLogger(__name__)

_Version = tuple[int, ...] | None  # None: no preset there


class PresetGuard:
    """Knows which inboxes have a wrong preset, and why: `broken` maps the inbox's path to the message."""

    def __init__(self, queue: Queue, default_quality: int) -> None:
        self._queue = queue
        self._quality = default_quality
        self._checked: dict[Path, _Version] = {}
        self.broken: dict[str, str] = {}

    def check(self, inbox: Path) -> str | None:
        """Check the preset if it changed or was wrong, and hold or release the jobs; returns what is wrong.

        A missing preset is written with the defaults.
        """
        version = _version(inbox)
        before = self.broken.get(str(inbox))
        if before is None and version is not None and self._checked.get(inbox) == version:
            return None
        try:
            check_inbox_preset(inbox, self._quality)
        except BadConfig as error:
            message = str(error)
            self.broken[str(inbox)] = message
            held = self._queue.hold(inbox, message)
            if message != before or held:
                log.warning("inbox %s: jobs wait, its preset is wrong: %s", printable(inbox), message)
            return message
        self._checked[inbox] = version
        self.broken.pop(str(inbox), None)
        released = self._queue.release(inbox)
        if before is not None or released:
            log.info("inbox %s: the preset is right, %d held jobs go on", printable(inbox), released)
        return None

    def keep_only(self, inboxes: Iterable[Path]) -> None:
        """Forget inboxes that no longer exist."""
        existing = set(inboxes)
        self._checked = {inbox: version for inbox, version in self._checked.items() if inbox in existing}
        self.broken = {inbox: why for inbox, why in self.broken.items() if Path(inbox) in existing}


def _version(inbox: Path) -> _Version:
    try:
        stat = trees.lstat(inbox / PRESET_NAME)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
