"""What jobs are called where people read of several: the inbox and the file, so that no two look alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePath

from rich.cells import cell_len

from flashvsr.status.snapshot import JobState, Snapshot
from flashvsr.system.text import pieces, printable

DOTS = "…"


@dataclass(frozen=True)
class JobName:
    """A job's name in two parts, both visible: its inbox, and the path of its file inside that."""

    inbox: str
    file: str

    def __str__(self) -> str:
        """All of it."""
        return f"{self.inbox}/{self.file}"

    def fitted(self, width: int) -> str:
        """Return it in at most `width` columns of a terminal. The file's name has most of them."""
        if cell_len(str(self)) <= width:
            return str(self)
        room = max(width // 3, width - 1 - cell_len(self.file))
        inbox = shortened(self.inbox, room)
        return f"{inbox}/{shortened(self.file, width - 1 - cell_len(inbox))}"


def job_names(snapshot: Snapshot) -> Mapping[int, JobName]:
    """Return the names of the snapshot's jobs, by their numbers."""
    inboxes = inbox_names([*(str(inbox.path) for inbox in snapshot.inboxes), *(job.inbox for job in snapshot.jobs)])
    return {job.id: job_name(job, inboxes) for job in snapshot.jobs}


def job_name(job: JobState, inboxes: Mapping[str, str]) -> JobName:
    """Return the name of one job. `inboxes`: what each is called."""
    return JobName(inboxes[job.inbox], printable(job.relative))


def inbox_names(paths: Iterable[str]) -> dict[str, str]:
    """Return what each inbox is called: the last part of its path, and as many before it as tell it from the others."""
    names: dict[str, str] = {}
    left = {path: PurePath(path).parts for path in paths}
    depth = 1
    while left:
        tails: dict[tuple[str, ...], list[str]] = {}
        for path, parts in left.items():
            tails.setdefault(parts[-depth:], []).append(path)
        for tail, owners in tails.items():
            if len(owners) == 1 or depth >= max(len(left[owner]) for owner in owners):
                for owner in owners:
                    names[owner] = printable(str(PurePath(*tail)))
                    del left[owner]
        depth += 1
    return names


def shortened(text: str, width: int) -> str:
    """Return a visible text in at most `width` columns, at least 1: its middle gives way to dots, no escape is cut."""
    if cell_len(text) <= width:
        return text
    parts = pieces(text)
    return "".join([*_fitting(parts, (width - 1) // 2), DOTS, *_fitting(parts[::-1], width // 2)[::-1]])


def cut(text: str, width: int) -> str:
    """Return a visible text in at most `width` columns: its end gives way to dots."""
    if cell_len(text) <= width:
        return text
    return "".join([*_fitting(pieces(text), width - 1), DOTS])[: max(0, width)]


def _fitting(parts: Sequence[str], width: int) -> list[str]:
    """The first of the pieces, as many as fit."""
    ends = accumulate(map(cell_len, parts))
    return [part for part, end in zip(parts, ends, strict=True) if end <= width]
