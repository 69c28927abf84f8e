"""What `flashvsr check` says of the service, its inboxes and its queue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flashvsr.settings.preset import PRESET_NAME
from flashvsr.status.snapshot import InboxState, Snapshot
from flashvsr.status.words import counts_text, service_text
from flashvsr.system.text import printable


@dataclass(frozen=True)
class Finding:
    """One line of the answer. `problem` is None where all is well; `note` is worth reading either way."""

    subject: str
    note: str
    problem: str | None = None


def inbox_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield one for each inbox; the snapshot has to be of somebody who looked at them."""
    root = snapshot.inbox_root
    if root.problem:
        yield Finding(f"inbox root {printable(root.path)}", "", root.problem)
    yield from map(_inbox, snapshot.inboxes)


def queue_finding(snapshot: Snapshot) -> Finding:
    """Return what there is to say of the queue as a whole."""
    service = f"service {service_text(snapshot.service)}"
    if snapshot.queue is None:
        return Finding("queue", f"none yet, it is created when the service starts; {service}")
    return Finding("queue", f"{printable(snapshot.queue.path)}; jobs: {counts_text(snapshot.queue)}; {service}")


def problem_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield every problem but those that `inbox_findings` tells in the same words."""
    said = {(printable(inbox.path), inbox.problem) for inbox in (snapshot.inbox_root, *snapshot.inboxes)}
    of_service = "service, " if snapshot.service.process else ""
    for problem in snapshot.problems:
        if (problem.subject, problem.text) not in said:
            yield Finding("service" if problem.subject == "service" else of_service + problem.subject, "", problem.text)


def _inbox(inbox: InboxState) -> Finding:
    if inbox.preset_problem:
        return Finding(f"preset {printable(inbox.path / PRESET_NAME)}", "", inbox.preset_problem)
    return Finding(f"inbox {printable(inbox.path)}", inbox.note, inbox.unreachable or None)
