"""What is wrong, in words for people without a shell; the technical text without any path of the server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from flashvsr.inbox.rules import NO_VIDEOS
from flashvsr.page.roots import Root
from flashvsr.settings.preset import PRESET_NAME
from flashvsr.status.snapshot import Problem, Snapshot
from flashvsr.system.text import printable, sentence_of, visible

# Each has a text `trouble_...` and `todo_...` in words.toml.
PRESET, INBOX, OTHERS, FILE, OUTBOX = "preset", "inbox", "others", "file", "outbox"
DISK, SOURCE, WORKER, SERVICE = "disk", "source", "worker", "service"
KINDS = (PRESET, INBOX, OTHERS, FILE, OUTBOX, DISK, SOURCE, WORKER, SERVICE)

MOST = 20
DETAIL = 1_500  # characters
_SOMEWHERE = re.compile(r"(?<![\w./…])/(?:[^\s/,;:'\"]+/)*(?=[^\s/,;:'\"])")
_DOTS = "…/"


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong. `name`: of the inbox or file, if it is about one. `detail`: in English, may be empty."""

    kind: str
    name: str
    detail: str
    since: float | None


class Discretion:
    """Takes the server's paths out of texts for the people of one outbox.

    What lies in their inboxes or in the outbox is called by its name from there on. Of a text about a folder of others
    nothing is left. Paths are taken as `printable` shows them.
    """

    def __init__(self, snapshot: Snapshot, root: Root, others: Sequence[Root]) -> None:
        inboxes = [str(inbox.path) for inbox in snapshot.inboxes]
        inboxes += [path for one in (root, *others) for path in one.inboxes.paths]
        self._names = [
            (printable(path), printable(PurePath(path).name)) for path in inboxes if root.inboxes.holds(path)
        ]
        self._names.append((printable(root.path), printable(root.path.name)))
        if root.inboxes.others:
            path = snapshot.inbox_root.path
            self._names.append((printable(path), printable(path.name)))
        self._names.sort(key=lambda pair: len(pair[0]), reverse=True)  # what lies deeper comes first
        foreign = [path for path in inboxes if not root.inboxes.holds(path)]
        foreign += [str(one.path) for one in others if not root.path.is_relative_to(one.path)]
        inner = f"{root.path}/"
        self._foreign = [printable(path) for path in foreign if not f"{path}/".startswith(inner)]

    def short(self, path: str) -> str | None:
        """Return what a printable path is called here; None if it lies elsewhere."""
        for prefix, name in self._names:
            if path == prefix or path.startswith(f"{prefix}/"):
                return name + path[len(prefix) :]
        return None

    def is_foreign(self, text: str) -> bool:
        """Whether a text is about a folder of others."""
        return any(path in text for path in self._foreign)

    def text(self, text: str) -> str:
        """Return a text without paths of the server."""
        if self.is_foreign(text):
            return ""
        for prefix, name in self._names:
            if prefix not in text:  # far cheaper than a pattern for each of thousands of inboxes
                continue
            text = re.sub(rf"{re.escape(prefix)}(?![^/\s,;:'\"])", lambda _, name=name: name, text)  # type: ignore[misc]
        return visible(sentence_of(_SOMEWHERE.sub(_DOTS, text)), DETAIL)


def troubles(snapshot: Snapshot, root: Root, discretion: Discretion) -> Iterator[Trouble]:
    """Yield what of the snapshot's problems concerns the people of one outbox, at most `MOST`, the newest first."""
    slots = {worker.slot for worker in snapshot.workers}
    own = {job.id for job in snapshot.jobs if root.inboxes.holds(job.inbox)}
    inboxes = {printable(inbox.path) for inbox in snapshot.inboxes}
    number = 0
    for problem in snapshot.problems:
        found = _kind(problem, snapshot, root, discretion, slots, own, inboxes)
        if found is None:
            continue
        kind, name = found
        yield Trouble(kind, visible(name), discretion.text(problem.text), problem.since)
        number += 1
        if number == MOST:
            return


def _kind(
    problem: Problem,
    snapshot: Snapshot,
    root: Root,
    discretion: Discretion,
    slots: set[str],
    own: set[int],
    inboxes: set[str],
) -> tuple[str, str] | None:
    """The kind of a problem, and the name of what has it; None if it is none of these people's business."""
    subject = problem.subject
    if subject == "disk":
        return DISK, ""
    if subject in slots:
        return (OUTBOX if printable(root.path) in problem.text else WORKER), ""
    if subject.startswith("job "):
        number = subject.removeprefix("job ")
        return (SOURCE, "") if number.isdecimal() and int(number) in own else None
    if not subject.startswith("/"):
        return SERVICE, ""
    path = Path(subject)
    if path == Path(printable(root.path)) or path.is_relative_to(printable(root.path)):
        return OUTBOX, ""
    name = discretion.short(subject)
    if name is None:
        return (SERVICE, "") if subject == printable(snapshot.service.state) else None
    is_inbox = subject in inboxes or "/" not in name or path.parent == Path(printable(snapshot.inbox_root.path))
    if is_inbox:
        kind = OTHERS if problem.text.startswith(NO_VIDEOS) else INBOX
        return (PRESET if PRESET_NAME in problem.text else kind), name.rpartition("/")[2]
    return FILE, name
