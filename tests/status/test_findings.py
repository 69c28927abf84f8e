from __future__ import annotations

from dataclasses import replace

from flashvsr.status.findings import Finding, inbox_findings, problem_findings, queue_finding
from flashvsr.status.snapshot import InboxState, Problem
from kits.snapshots import INBOX, job, snapshot

GOOD = InboxState(INBOX / "a", note="preset: width 0")
AWAY = InboxState(INBOX / "b", "does not exist")
WRONG = InboxState(INBOX / "c", preset_problem="no such key")


def test_each_inbox_is_right_or_says_what_to_do() -> None:
    assert list(inbox_findings(snapshot(inboxes=[GOOD, AWAY, WRONG]))) == [
        Finding("inbox /srv/flashvsr/inbox/a", "preset: width 0"),
        Finding("inbox /srv/flashvsr/inbox/b", "", "does not exist"),
        Finding("preset /srv/flashvsr/inbox/c/preset.toml", "", "no such key"),
    ]
    root = InboxState(INBOX, "cannot be read")
    assert list(inbox_findings(replace(snapshot(), inbox_root=root))) == [
        Finding("inbox root /srv/flashvsr/inbox", "", "cannot be read")
    ]


def test_the_queue_in_numbers() -> None:
    assert queue_finding(snapshot(jobs=[job()], process=None)) == Finding(
        "queue", "/var/lib/flashvsr/queue.db; jobs: 1 waiting; service not running"
    )
    none_yet = queue_finding(replace(snapshot(), queue=None))
    assert none_yet.note == "none yet, it is created when the service starts; service running, process 12"


def test_every_problem_is_told_once() -> None:
    problems = [
        Problem("disk", "full"),
        Problem(str(WRONG.path), "no such key"),
        Problem(str(AWAY.path), "other words"),
    ]
    taken = snapshot(inboxes=[GOOD, AWAY, WRONG], problems=[*problems, Problem("service", "its file")])
    assert list(problem_findings(taken)) == [
        Finding("service, disk", "", "full"),
        Finding("service, /srv/flashvsr/inbox/b", "", "other words"),
        Finding("service", "", "its file"),
    ]
    alone = replace(taken, service=snapshot(process=None).service)
    subjects = [finding.subject for finding in problem_findings(alone)]
    assert subjects == ["disk", "/srv/flashvsr/inbox/b", "service"]
