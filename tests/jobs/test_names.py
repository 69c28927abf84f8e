"""Names and inodes of files that jobs know: which file a row is about, and when it takes another name or version."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files.trees import NO_LINKS, Trees
from flashvsr.jobs import intake as module
from flashvsr.jobs.intake import LONGEST_REASON, Source, Terms
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import SUPERSEDED, Job

Drop = Callable[..., int]
Claim = Callable[..., Job]


def source(path: str, *, inbox: str = "default", **content: Any) -> Source:
    numbers = {"device": 1, "inode": 2, "size": 3, "mtime_ns": 4} | content
    return Source(f"/in/{inbox}", f"/in/{inbox}/{path}", path, **numbers)


def found(inbox: Path, name: str) -> Source:
    return Source.of(inbox, inbox / name, name, (inbox / name).lstat())


def state(queue: Queue, number: int) -> tuple[str, str | None, str | None]:
    row = queue.jobs.get(number)
    return row.state, row.error, row.error_kind


def test_several_renamed_files_that_are_noticed_together_keep_their_jobs(queue: Queue, drop: Drop, inbox: Path) -> None:
    numbers = [drop(f"{index}.mp4", b"x" * index) for index in range(1, 4)]
    for index in range(1, 4):
        (inbox / f"{index}.mp4").rename(inbox / f"new {index}.mp4")
    assert queue.intake.add_many([found(inbox, f"new {index}.mp4") for index in range(1, 4)]) == [None] * 3
    assert [queue.jobs.get(number).relative for number in numbers] == [f"new {index}.mp4" for index in range(1, 4)]


def test_a_file_that_comes_into_a_held_inbox_is_held_whatever_its_job_was(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path
) -> None:
    held = {str(inbox): "scale is 99"}
    waiting = drop("a.mp4")
    failed = claim(drop("b.mp4", b"second"))
    queue.claims.fail(failed.id, str(failed.lease), "no picture", "bad_input", None, [])
    running = claim(drop("c.mp4", b"the third"))
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (inbox / name).rename(inbox / f"new {name}")
    names = [f"new {name}" for name in ("a.mp4", "b.mp4", "c.mp4")]
    assert queue.intake.add_many([found(inbox, name) for name in names], Terms(held=held)) == [None, failed.id, None]
    assert state(queue, waiting) == state(queue, failed.id) == ("held", "scale is 99", "config")
    assert state(queue, running.id) == ("running", None, None)
    assert [queue.jobs.get(number).relative for number in (waiting, failed.id, running.id)] == names


def test_an_earlier_version_comes_back_into_a_held_inbox(queue: Queue) -> None:
    queue.intake.add_many([source("a.mp4"), source("a.mp4", size=30)])
    assert queue.intake.add_many([source("a.mp4")], Terms(held={"/in/default": "scale is 99"})) == [1]
    assert state(queue, 1) == ("held", "scale is 99", "config")
    assert state(queue, 2)[1] == SUPERSEDED


@pytest.mark.parametrize("other", [{"device": 9}, {"inode": 9}, {"size": 9}, {"mtime_ns": 9}])
def test_a_job_follows_the_very_file_alone(queue: Queue, other: dict[str, Any]) -> None:
    queue.intake.add_many([source("a.mp4")])
    assert queue.intake.renamed(1, source("b.mp4", **other)) is None
    moved = queue.intake.renamed(1, source("b.mp4", inbox="films"))
    assert moved is not None
    assert (moved.inbox, moved.source, moved.relative) == ("/in/films", "/in/films/b.mp4", "b.mp4")


def test_a_file_that_left_the_inbox_is_followed_no_more(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop())
    queue.claims.finish(job.id, str(job.lease), Path("/out/clip.mp4"), "nano", "{}", [])
    queue.history.settled(job.id, Path("/archive/clip.mp4"), departed=True)
    again = Source("/in", "/in/b.mp4", "b.mp4", job.device, job.inode, job.size, job.mtime_ns)
    assert queue.intake.renamed(job.id, again) is None


def test_a_job_that_runs_keeps_the_numbers_of_its_file(queue: Queue, claim: Claim) -> None:
    """Its worker compares them with the file it has open."""
    queue.intake.add_many([source("a.mp4"), source("b.mp4", inode=20)])
    claim(1)
    remounted = [source("a.mp4", device=9, inode=8), source("b.mp4", device=9, inode=80)]
    assert queue.intake.add_many(remounted) == [None, None]
    assert (queue.jobs.get(1).device, queue.jobs.get(1).inode) == (1, 2)
    assert (queue.jobs.get(2).device, queue.jobs.get(2).inode) == (9, 80)


def test_only_what_waits_under_that_very_name_is_replaced(queue: Queue, claim: Claim) -> None:
    files = [source("a.mp4", inode=10), source("a.mp4", inbox="films", inode=11), source("b.mp4", inode=12)]
    queue.intake.add_many(files)
    claim(1)
    assert queue.intake.add_many([source("a.mp4", inode=13, size=30)]) == [4]
    assert [queue.jobs.get(number).state for number in (1, 2, 3, 4)] == ["running", "queued", "queued", "queued"]
    queue.intake.hold(Path("/in/default"), "scale is 99")
    assert queue.intake.add_many([source("a.mp4", inode=14, size=40)]) == [5]
    assert state(queue, 4) == ("cancelled", SUPERSEDED, None)
    assert [queue.jobs.get(number).state for number in (1, 2, 3, 5)] == ["running", "queued", "held", "queued"]


def test_a_file_in_one_batch_with_its_newer_version(queue: Queue) -> None:
    assert queue.intake.add_many([source("a.mp4"), source("a.mp4"), source("a.mp4", size=30)]) == [1, None, 2]
    assert state(queue, 1) == ("cancelled", SUPERSEDED, None)


def test_what_is_unknown_is_settled_first(queue: Queue, claim: Claim) -> None:
    first, newer = source("a.mp4"), source("a.mp4", size=30)
    assert queue.intake.unknown([first]) == [first]
    queue.intake.add_many([first, newer])
    assert queue.intake.unknown([first, newer]) == [first], "it was replaced, and has come back"
    for name in ("inode", "device", "mtime_ns"):
        change: dict[str, Any] = {name: 9}
        other = source("a.mp4", size=30, **change)
        assert queue.intake.unknown([other, newer]) == [other]


def test_files_are_taken_in_to_the_last_one(queue: Queue) -> None:
    files = [source(f"{index}.mp4", inode=index) for index in range(2 * module._BATCH + 1)]
    assert queue.intake.add_many(files) == list(range(1, len(files) + 1))
    assert queue.intake.add_many(files) == [None] * len(files)
    assert queue.intake.unknown(files) == []


def test_an_inbox_lay_where_its_newest_file_lay(queue: Queue) -> None:
    queue.intake.add_many([source("a.mp4"), source("c.mp4", inbox="films", inode=7, device=3)])
    queue.intake.add_many([source("b.mp4", inode=5, device=8)])
    assert queue.intake.last_devices() == {Path("/in/default"): 8, Path("/in/films"): 3}


def test_inboxes_are_held_one_by_one(queue: Queue, claim: Claim) -> None:
    queue.intake.add_many([source("a.mp4"), source("b.mp4", inode=5), source("c.mp4", inbox="films", inode=6)])
    claim(1)
    assert queue.intake.hold(Path("/in/default"), "scale is 99") == 1
    assert state(queue, 2) == ("held", "scale is 99", "config")
    assert queue.intake.inboxes_with("held") == {"/in/default"}
    assert queue.intake.inboxes_with("queued") == {"/in/films"}
    assert queue.intake.release(Path("/in/films")) == 0
    assert queue.intake.release(Path("/in/default")) == 1
    assert state(queue, 2) == ("queued", None, None)


@pytest.mark.parametrize("length", [LONGEST_REASON - 1, LONGEST_REASON, LONGEST_REASON + 1, 900_000])
def test_a_reason_is_whole_or_says_that_it_is_not(length: int) -> None:
    kept = module._kept("k" * length)
    assert len(kept) == min(length, LONGEST_REASON)
    assert kept.endswith("(the rest: flashvsr check)") == (length > LONGEST_REASON)
    assert LONGEST_REASON <= 10_000, "each job of an inbox stores it"


@pytest.mark.parametrize(
    ("error", "lies"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (OSError(errno.ELOOP, "Too many levels of symbolic links"), False),
        (OSError(errno.ENOTDIR, "Not a directory"), False),
        (OSError(errno.EHOSTDOWN, "Host is down"), True),
        (PermissionError(errno.EACCES, "Permission denied"), True),
    ],
)
def test_a_name_that_cannot_be_asked_for_may_be_the_files(
    error: OSError, lies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Trees, "lstat", refuse)
    assert module._lies_at(NO_LINKS, "/in/a.mp4", 1, 2) is lies


def test_a_name_is_that_of_the_file_with_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    stat = path.lstat()
    assert module._lies_at(NO_LINKS, str(path), stat.st_dev, stat.st_ino)
    assert not module._lies_at(NO_LINKS, str(path), stat.st_dev + 1, stat.st_ino)
    assert not module._lies_at(NO_LINKS, str(path), stat.st_dev, stat.st_ino + 1)


@pytest.fixture
def linked(queue: Queue, drop: Drop, inbox: Path) -> int:
    """A waiting job whose file has a second name."""
    number = drop("a.mp4")
    os.link(inbox / "a.mp4", inbox / "b.mp4")
    return number


def test_a_second_name_is_the_files_only_once_the_first_is_gone(queue: Queue, inbox: Path, linked: int) -> None:
    assert queue.intake.add_many([found(inbox, "a.mp4"), found(inbox, "b.mp4")]) == [None, None]
    assert queue.jobs.get(linked).relative == "a.mp4"
    (inbox / "a.mp4").unlink()
    (inbox / "a.mp4").write_bytes(b"another file")
    assert queue.intake.add(inbox, inbox / "b.mp4", "b.mp4", (inbox / "b.mp4").lstat()) is None
    assert queue.jobs.get(linked).relative == "b.mp4"


def test_a_failed_file_renamed_over_a_waiting_one_takes_its_place(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path
) -> None:
    failed, waiting = claim(drop("a.mp4", b"first")), drop("b.mp4", b"the second")
    queue.claims.fail(failed.id, str(failed.lease), "no picture", "bad_input", None, ["w"])
    (inbox / "a.mp4").replace(inbox / "b.mp4")
    assert queue.intake.add_many([found(inbox, "b.mp4")]) == [failed.id]
    row = queue.jobs.get(failed.id)
    assert (row.state, row.relative, row.attempts, row.warnings, row.finished) == ("queued", "b.mp4", 0, [], None)
    assert state(queue, waiting) == ("cancelled", SUPERSEDED, None)
