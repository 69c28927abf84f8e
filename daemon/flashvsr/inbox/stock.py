"""What is in the inboxes: files that have their job, files that settle, and why some of them wait longer."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from flashvsr.files.at import Identity, identity
from flashvsr.files.companion_names import may_go_along
from flashvsr.files.trees import Trees
from flashvsr.inbox.rules import NO_VIDEOS, is_misnamed_preset, is_video_name
from flashvsr.inbox.scan_problems import ScanProblems
from flashvsr.inbox.settle import Settler
from flashvsr.inbox.unfinished import Companions, looks_like_part
from flashvsr.inbox.walk import Folder, Listen, folders, too_long
from flashvsr.jobs.intake import Source
from flashvsr.settings.preset import PRESET_NAME
from flashvsr.system.text import printable

_LARGEST = (1 << 63) - 1  # of the numbers that the queue's database holds

Unknown = Callable[[list[Source]], list[Source]]


class Stock:
    """Knows each file of each inbox by its path inside; `settler` has those that may still grow."""

    def __init__(self, trees: Trees, settler: Settler, unknown: Unknown) -> None:
        self._trees = trees
        self.settler = settler
        self.waits: dict[Path, str] = {}  # settling files that stand still and have to wait all the same: why
        self._unknown = unknown
        self._known: dict[Path, dict[str, Identity]] = {}
        self._seen: dict[Path, set[Path]] = {}  # by inbox: settling files that the scan in progress met

    def is_known(self, inbox: Path, relative: str, stat: os.stat_result) -> bool:
        """Tell whether a file has its job, with this content."""
        return self._known.get(inbox, {}).get(relative) == identity(stat)

    def note_job(self, source: Source) -> None:
        """This file has its job now, and settles no longer."""
        path = Path(source.source)
        self.settler.forget(path)
        self.waits.pop(path, None)
        content = (source.device, source.inode, source.size, source.mtime_ns)
        self._known.setdefault(Path(source.inbox), {})[source.relative] = content

    def begin(self) -> None:
        """A scan of all inboxes begins."""
        self._seen = {}

    def take(
        self, inbox: Path, problems: ScanProblems, skip: frozenset[Path], listen: Listen | None, now: float
    ) -> None:
        """Look through one inbox; what is new begins to settle. Raises OSError if the inbox cannot be read."""
        known = self._known.get(inbox, {})
        still: dict[str, Identity] = {}
        new: list[Source] = []
        seen: set[Path] = set()
        for folder in folders(self._trees, inbox, problems.below(inbox), skip, listen):
            changed, beside = self._sort(folder, inbox, known, still, problems)
            waiting = Companions(beside)
            for source, name in changed:
                path = Path(source.source)
                seen.add(path)
                self._explain(inbox, source, waiting.of(name), problems)
                if path in self.settler:
                    self.settler.observe_content(path, source.size, source.mtime_ns, now)
                else:
                    new.append(source)
        unknown = {source.relative for source in self._unknown(new)} if new else set()
        for source in new:
            if source.relative in unknown:
                self.settler.observe_content(Path(source.source), source.size, source.mtime_ns, now)
            else:
                still[source.relative] = (source.device, source.inode, source.size, source.mtime_ns)
        self._known[inbox] = still
        self._seen[inbox] = seen

    def end(self, inboxes: Collection[Path]) -> None:
        """The scan is over: forget the files that were nowhere, and the inboxes that are no more."""
        self._known = {inbox: files for inbox, files in self._known.items() if inbox in inboxes}
        for path in self.settler.waiting():
            inbox = next((above for above in path.parents if above in inboxes), None)
            if inbox is not None and inbox in self._seen and path not in self._seen[inbox]:
                self.settler.forget(path)
        self.waits = {path: why for path, why in self.waits.items() if path in self.settler}

    def _sort(
        self,
        folder: Folder,
        inbox: Path,
        known: Mapping[str, Identity],
        still: dict[str, Identity],
        problems: ScanProblems,
    ) -> tuple[list[tuple[Source, str]], Iterable[str]]:
        """Return the videos of a folder that are not known as they are now, and the names that say more about them."""
        changed: list[tuple[Source, str]] = []
        others: list[str] = []
        for entry in folder.files():
            relative = folder.prefix + entry.name
            content = known.get(relative)
            if content is None and self._is_other(entry.name, relative, inbox, problems):
                others.append(entry.name)
                continue
            stat = folder.stat(entry)
            if stat is None:
                continue
            if content == identity(stat):
                still[relative] = content
            elif why := obstacle(folder.path / entry.name, stat):
                problems.count(inbox, why, relative)
            else:
                changed.append((Source.of(inbox, folder.path / entry.name, relative, stat), entry.name))
        return changed, (*folder.ignored, *others)

    @staticmethod
    def _is_other(name: str, relative: str, inbox: Path, problems: ScanProblems) -> bool:
        if relative == name and is_misnamed_preset(name):
            problems.add(inbox, f"{printable(name)} is not read; a preset has the name {PRESET_NAME}, so rename it")
        elif not is_video_name(name):
            if not may_go_along(name):  # subtitles and the like: often there before their video, or after it has gone
                problems.count(inbox, NO_VIDEOS, relative)
        elif looks_like_part(name):
            problems.count(inbox, "named like parts of a download and left alone until they get another name", relative)
        else:
            return False
        return True

    def _explain(self, inbox: Path, source: Source, companion: str | None, problems: ScanProblems) -> None:
        if not source.size:
            problems.count(inbox, "empty and wait for their content", source.relative)
        elif companion is not None:
            problems.count(inbox, "still being downloaded or copied", f"{source.relative}: {companion} lies beside it")
        elif why := self.waits.get(Path(source.source)):
            problems.count(inbox, why, source.relative)


def obstacle(path: Path, stat: os.stat_result) -> str:
    """Return why a file can never be done as it is; "" if nothing is in the way."""
    if too_long(path):
        return "left alone because their paths are too long; move them further up"
    if abs(stat.st_mtime_ns) > _LARGEST:
        return "left alone because of their impossible dates; touch them"
    return ""
