"""The directories of the inboxes, told from the empty mount point of a share that is not there."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from flashvsr.errors import Transient
from flashvsr.files.advice import advice
from flashvsr.files.mounts import Mounts
from flashvsr.inbox.rules import ignored, is_video_name
from flashvsr.jobs.queue import Queue
from flashvsr.outbox.writable import check_writable
from flashvsr.settings.config import Config, InboxDir
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

FIRST_INBOX = "default"

Report = Callable[[Path, str], None]


class Shares:
    """Which inboxes can be used now; remembers their devices, to notice that a share went away."""

    def __init__(self, config: Config, queue: Queue) -> None:
        self._config = config
        self._queue = queue
        self._trees = config.trees()
        self._mounts = Mounts(config.paths.state, self._trees)
        self._writable: set[Path] = set()
        self._devices: dict[Path, int] = {}
        self._earlier: dict[Path, set[int]] | None = None

    def inboxes(self, report: Report) -> list[InboxDir]:
        """Return the inboxes that are there; what is wrong with the others goes to `report`."""
        root = self._config.paths.inbox
        found = self._config.inboxes()
        if self._usable([root], report) and not any(inbox.path.parent == root for inbox in found):
            self._create_first(root, report)
            found = self._config.inboxes()
        unique = {inbox.path: inbox for inbox in found}
        return [unique[path] for path in self._usable(unique, report)]

    def check_outboxes(self, inboxes: Iterable[InboxDir], report: Report) -> None:
        """Report the outboxes whose share is not mounted, or that cannot be written; their jobs wait by themselves.

        The latter is tried when an outbox is first seen, and then until it can: nothing is written to one at rest.
        """
        root = self._config.paths.outbox
        seen = dict.fromkeys(inbox.outbox for inbox in inboxes)
        for outbox in self._mounted(dict.fromkeys((root, *seen)), report):
            if outbox not in seen or outbox in self._writable:
                continue
            try:
                check_writable(self._trees, outbox, root if outbox.is_relative_to(root) else outbox)
            except Transient as error:
                report(outbox, str(error))
            else:
                self._writable.add(outbox)
        self._writable &= seen.keys()

    def stray_files(self, report: Report) -> None:
        """Report videos that lie in the inbox root itself, where no preset applies to them."""
        root = self._config.paths.inbox
        try:
            with self._trees.directory(root) as opened, os.scandir(opened) as entries:
                stray = sorted(
                    entry.name
                    for entry in entries
                    if is_video_name(entry.name) and not ignored(entry.name) and entry.is_file(follow_symlinks=False)
                )
        except OSError:
            return  # `inboxes` has reported it
        if stray:
            report(
                root,
                f"videos that lie in this folder itself are not worked on ({len(stray)}, the first is "
                f"{printable(stray[0])}); move them into one of the folders in it, such as {FIRST_INBOX}",
            )

    def _usable(self, directories: Collection[Path], report: Report) -> list[Path]:
        """Return those of the directories that are really there and not just mount points of absent shares."""
        return [directory for directory in self._mounted(directories, report) if self._is_there(directory, report)]

    def _is_there(self, directory: Path, report: Report) -> bool:
        try:
            with self._trees.directory(directory) as opened, os.scandir(opened) as entries:
                device = os.fstat(opened).st_dev
                empty = next(entries, None) is None
        except FileNotFoundError:
            report(directory, "does not exist; mount the share, or create the folder")
            return False
        except NotADirectoryError as error:
            report(directory, f"cannot be read: {advice('read', directory, error)}")
            return False
        except OSError as error:
            report(directory, f"cannot be read: {error.strerror}; check the share and its rights")
            return False
        if empty and device not in self._usual_devices(directory, device):
            report(
                directory,
                "is empty, and its files were on another disk or share before; is the share mounted? Until it is, "
                "nothing is written here. If nothing is missing, put any file into this folder",
            )
            return False
        if not empty:
            self._devices[directory] = device
        return True

    def _mounted(self, directories: Collection[Path], report: Report) -> list[Path]:
        away = self._mounts.away(directories)
        for directory, reason in away.items():
            report(directory, str(reason))
        return [directory for directory in directories if directory not in away]

    def _usual_devices(self, directory: Path, device: int) -> set[int]:
        """Return the devices on which files were seen here, in this run or by the jobs of earlier ones."""
        if directory in self._devices:
            return {self._devices[directory]}
        if self._earlier is None:
            self._earlier = {}
            for inbox, seen in self._queue.intake.last_devices().items():
                for place in (inbox, inbox.parent):
                    self._earlier.setdefault(place, set()).add(seen)
        return self._earlier.get(directory, {device})

    def _create_first(self, root: Path, report: Report) -> None:
        first = root / FIRST_INBOX
        try:
            with self._trees.directory(first, create=True):
                pass
        except OSError as error:
            report(root, f"has no inbox, and the folder {FIRST_INBOX} cannot be created in it: {error.strerror}")
            return
        log.info("created the first inbox %s", printable(first))
