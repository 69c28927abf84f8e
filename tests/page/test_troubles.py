"""What is wrong in plain words, for those whom it concerns, and without any path of the server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from flashvsr.jobs.inbox_view import EVERY_INBOX, InboxGroup
from flashvsr.page.roots import Root
from flashvsr.page.troubles import MOST, Discretion, Trouble, troubles
from flashvsr.status.snapshot import InboxState, Problem, Snapshot, WorkerState
from kits.pages import OUTBOX, page_job
from kits.snapshots import INBOX, STATE, snapshot

EXTRA, EXTRA_OUT = "/mnt/nas/private", Path("/mnt/nas/private done")
MAIN = Root(OUTBOX, InboxGroup(frozenset({EXTRA}), others=True))
PRIVATE = Root(EXTRA_OUT, InboxGroup(frozenset({EXTRA})))
INBOXES = [InboxState(INBOX / "films"), InboxState(Path(EXTRA))]
WORKER = WorkerState("cuda:0", 7, "a GPU", "idle", None, "x")


def found(root: Root, *problems: tuple[str, str], whole: Snapshot | None = None) -> list[Trouble]:
    given = whole or snapshot(
        problems=[Problem(*problem) for problem in problems],
        inboxes=INBOXES,
        workers=[WORKER],
        jobs=[page_job(3, "done", "a.mp4")],
    )
    others = [other for other in (MAIN, PRIVATE) if other != root]
    return list(troubles(given, root, Discretion(given, root, others)))


@pytest.mark.parametrize(
    ("subject", "text", "kind", "name"),
    [
        ("disk", "only 3 bytes are free", "disk", ""),
        ("cuda:0", "the worker ended (killed); a new one starts in 3 s", "worker", ""),
        ("cuda:0", f"{OUTBOX}/films cannot be written", "outbox", ""),
        (f"{OUTBOX}/films", "cannot be written", "outbox", ""),
        (f"{INBOX}/films", f"{INBOX}/films/preset.toml:3: width: no number", "preset", "films"),
        (f"{INBOX}/films", "the share or disk is away", "inbox", "films"),
        (f"{INBOX}/films", "not videos by name and left alone: 2 files, for example a.txt", "others", "films"),
        (f"{INBOX}/new one", "cannot be read", "inbox", "new one"),
        (str(INBOX), "cannot be read", "inbox", "inbox"),
        (f"{INBOX}/films/a/b.mp4", "cannot be looked into", "file", "films/a/b.mp4"),
        ("job 3", "the source stays in the inbox", "source", ""),
        ("settings", "restart to apply the change in paths", "service", ""),
        ("queue", "the queue does not answer", "service", ""),
        (str(STATE), "watching the inboxes failed", "service", ""),
    ],
)
def test_kinds(subject: str, text: str, kind: str, name: str) -> None:
    assert [(one.kind, one.name) for one in found(MAIN, (subject, text))] == [(kind, name)]


def test_others_are_not_told() -> None:
    private = (EXTRA, f"{EXTRA}/preset.toml:3: width: no number")
    ours = (f"{INBOX}/films", f"{INBOX}/films/preset.toml:3: width: no number")
    job = ("job 3", "the source stays in the inbox")
    assert [one.name for one in found(MAIN, private, ours)] == ["films"]
    assert [one.name for one in found(PRIVATE, private, ours, job)] == ["private"]
    assert found(MAIN, ("job 99", "the source stays")) == []
    assert found(MAIN, (str(EXTRA_OUT), "cannot be written")) == []


def test_a_text_about_the_folder_of_others_is_left_out() -> None:
    (trouble,) = found(MAIN, ("cuda:0", f"{EXTRA_OUT}/secret film cannot be written"))
    assert trouble.detail == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{INBOX}/films/a b.mp4: damaged", "films/a b.mp4: damaged"),
        (f"mount {INBOX}, or {OUTBOX}", "mount inbox, or outbox"),
        (f"{STATE}/queue.db is full; see /etc/flashvsr/flashvsr.toml:3", "…/queue.db is full; see …/flashvsr.toml:3"),
        (f"{INBOX}2/x", "…/x"),
        ("50/50, and 3 / 4 of http://a.b/c", "50/50, and 3 / 4 of http://a.b/c"),
        ("line\nbreak\u202e", "line; break\\u202e"),
    ],
)
def test_paths_of_the_server(text: str, shown: str) -> None:
    whole = snapshot(inboxes=INBOXES)
    assert Discretion(whole, MAIN, [PRIVATE]).text(text) == shown


def test_a_flood_is_bounded() -> None:
    many = [("settings", f"number {number}") for number in range(MOST + 5)]
    assert len(found(MAIN, *many)) == MOST
    assert max(len(one.detail) for one in found(MAIN, ("settings", "long " * 5000))) < 2000


def test_one_outbox_for_all() -> None:
    whole = snapshot(problems=[Problem(EXTRA, "cannot be read")], inboxes=INBOXES)
    root = Root(OUTBOX, EVERY_INBOX)
    assert [one.name for one in troubles(whole, root, Discretion(whole, root, ()))] == ["private"]


def test_thousands_of_inboxes_cost_no_pattern_each(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = re.sub

    def counted(pattern: str, *rest: Any, **more: Any) -> str:
        made.append(pattern)
        return real(pattern, *rest, **more)

    monkeypatch.setattr(re, "sub", counted)
    inboxes = [InboxState(INBOX / f"inbox {number:04}") for number in range(3000)]
    wrong = [Problem(str(inbox.path), f"{inbox.path}/preset.toml:1: no number") for inbox in inboxes[:MOST]]
    whole = snapshot(problems=wrong, inboxes=inboxes)
    found = list(troubles(whole, MAIN, Discretion(whole, MAIN, [])))
    assert [one.detail for one in found] == [f"inbox {number:04}/preset.toml:1: no number" for number in range(MOST)]
    assert len(made) <= 2 * MOST
