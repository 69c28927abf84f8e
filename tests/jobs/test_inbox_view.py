"""The jobs of some inboxes alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.jobs.inbox_view import EVERY_INBOX, InboxGroup
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job


@pytest.fixture
def add(queue: Queue, tmp_path: Path) -> Callable[[str, str], int]:
    def add(inbox: str, name: str) -> int:
        folder = tmp_path / inbox
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"video")
        number = queue.intake.add(folder, folder / name, name, (folder / name).lstat())
        assert number is not None
        return number

    return add


def group(tmp_path: Path, *names: str, others: bool = False) -> InboxGroup:
    return InboxGroup(frozenset(str(tmp_path / name) for name in names), others)


def test_each_sees_its_own(
    queue: Queue, tmp_path: Path, add: Callable[[str, str], int], claim: Callable[..., Job]
) -> None:
    a, b, c = add("a", "1.mp4"), add("b", "2.mp4"), add("c", "3.mp4")
    done = claim(add("b", "4.mp4"))
    queue.claims.finish(done.id, str(done.lease), Path("/out"), "nano", "{}", [])
    view = queue.inboxes
    for inboxes, waiting, ended in (
        (group(tmp_path, "a"), [a], []),
        (group(tmp_path, "b"), [b], [done.id]),
        (group(tmp_path, "b", others=True), [a, c], []),
        (EVERY_INBOX, [a, b, c], [done.id]),
        (InboxGroup(), [], []),
    ):
        assert [job.id for job in view.waiting(inboxes, 10)] == waiting
        assert [job.id for job in view.ended(inboxes, 10)] == ended
        counts = view.counts(inboxes)
        assert (counts["queued"], counts["done"], counts["held"]) == (len(waiting), len(ended), 0)
        assert all(inboxes.holds(job.inbox) for job in view.waiting(inboxes, 10))
    assert [job.id for job in view.waiting(EVERY_INBOX, 2)] == [a, b]


def test_those_on_hold(queue: Queue, tmp_path: Path, add: Callable[[str, str], int]) -> None:
    held = add("a", "1.mp4")
    add("b", "2.mp4")
    queue.intake.hold(tmp_path / "a", "a mistake")
    assert [job.id for job in queue.inboxes.held(EVERY_INBOX, 10)] == [held]
    assert queue.inboxes.held(group(tmp_path, "b"), 10) == []


def test_the_last_one_that_ended_comes_first(
    queue: Queue, add: Callable[[str, str], int], claim: Callable[..., Job]
) -> None:
    jobs = [claim(add("a", f"{number}.mp4")) for number in range(4)]
    for job in (jobs[2], jobs[0], jobs[3]):
        queue.claims.finish(job.id, str(job.lease), Path("/out"), "nano", "{}", [])
    assert [job.id for job in queue.inboxes.ended(EVERY_INBOX, 2)] == [jobs[3].id, jobs[0].id]
