"""Which file is a new job: the same content never twice, new content always, nothing forgotten."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.jobs.intake import LONGEST_REASON, Source, Terms
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import SUPERSEDED, Job

Drop = Callable[..., int]
Claim = Callable[..., Job]


def source(path: str, **content: int) -> Source:
    numbers = {"device": 1, "inode": 2, "size": 3, "mtime_ns": 4} | content
    return Source("/in/default", f"/in/default/{path}", path, **numbers)


def test_the_same_file_is_added_once(queue: Queue, drop: Drop, inbox: Path) -> None:
    assert drop() == 1
    path = inbox / "clip.mp4"
    assert queue.intake.add(inbox, path, "clip.mp4", path.lstat()) is None


def test_the_same_file_after_the_share_was_mounted_again(queue: Queue) -> None:
    """Device and inode numbers change with a mount; the row takes the new ones."""
    assert queue.intake.add_many([source("a.mp4")]) == [1]
    assert queue.intake.add_many([source("a.mp4", device=9, inode=8)]) == [None]
    assert (queue.jobs.get(1).device, queue.jobs.get(1).inode) == (9, 8)
    assert queue.intake.unknown([source("a.mp4", device=9, inode=8)]) == []


@pytest.mark.parametrize("change", [{"size": 30}, {"mtime_ns": 40}])
def test_new_content_under_an_old_name_replaces_the_waiting_job(queue: Queue, change: dict[str, int]) -> None:
    queue.intake.add_many([source("a.mp4"), source("b.mp4", inode=20)])
    assert queue.intake.add_many([source("a.mp4", **change)]) == [3]
    assert (queue.jobs.get(1).state, queue.jobs.get(1).error) == ("cancelled", SUPERSEDED)
    assert queue.jobs.get(2).state == "queued"
    assert queue.jobs.get(3).state == "queued"


def test_new_content_replaces_a_job_that_is_held(queue: Queue) -> None:
    queue.intake.add_many([source("a.mp4")], Terms(held={"/in/default": "scale is 99"}))
    assert queue.intake.add_many([source("a.mp4", size=30)]) == [2]
    assert (queue.jobs.get(1).state, queue.jobs.get(1).error) == ("cancelled", SUPERSEDED)
    assert queue.intake.release(Path("/in/default")) == 0


def test_new_content_after_the_old_was_done(queue: Queue, drop: Drop, claim: Claim) -> None:
    job = claim(drop(content=b"old"))
    queue.claims.finish(job.id, str(job.lease), Path("/out/clip.mp4"), "nano", "{}", [])
    assert drop(content=b"new") == 2
    assert queue.jobs.get(1).state == "done"


def test_the_earlier_version_put_back_is_not_lost(queue: Queue) -> None:
    queue.intake.add_many([source("a.mp4"), source("a.mp4", size=30)])
    assert queue.intake.add_many([source("a.mp4")]) == [1]
    assert queue.jobs.get(1).state == "queued"
    assert queue.jobs.get(1).error is None
    assert (queue.jobs.get(2).state, queue.jobs.get(2).error) == ("cancelled", SUPERSEDED)


def test_what_a_person_cancelled_stays_cancelled(queue: Queue) -> None:
    queue.intake.add_many([source("a.mp4")])
    queue.requests.cancel(1)
    assert queue.intake.add_many([source("a.mp4")]) == [None]
    assert queue.jobs.get(1).state == "cancelled"


def test_a_renamed_waiting_file_keeps_its_job(queue: Queue, drop: Drop, inbox: Path) -> None:
    drop("old.mp4")
    path = (inbox / "old.mp4").rename(inbox / "new.mp4")
    assert queue.intake.unknown([Source.of(inbox, path, "new.mp4", path.lstat())])
    assert queue.intake.add(inbox, path, "new.mp4", path.lstat()) is None
    job = queue.jobs.get(1)
    assert (job.state, job.source, job.relative) == ("queued", str(path), "new.mp4")
    assert len(queue.jobs.select()) == 1


def test_a_renamed_failed_file_is_tried_again(queue: Queue, drop: Drop, claim: Claim, inbox: Path) -> None:
    job = claim(drop("old.mp4"))
    path = (inbox / "old.mp4").rename(inbox / "new.mp4")
    queue.claims.fail(job.id, str(job.lease), "the file is gone", "bad_input", None, [])
    assert queue.intake.add(inbox, path, "new.mp4", path.lstat()) == job.id
    again = queue.jobs.get(job.id)
    assert (again.state, again.source, again.attempts, again.error) == ("queued", str(path), 0, None)


def test_a_done_file_is_not_done_again_for_a_new_name(queue: Queue, drop: Drop, claim: Claim, inbox: Path) -> None:
    job = claim(drop("old.mp4"))
    queue.claims.finish(job.id, str(job.lease), Path("/out/old.mp4"), "nano", "{}", [])
    path = (inbox / "old.mp4").rename(inbox / "new.mp4")
    assert queue.intake.add(inbox, path, "new.mp4", path.lstat()) is None
    assert queue.jobs.get(job.id).state == "done"


def test_a_renamed_running_file_keeps_its_job(queue: Queue, drop: Drop, claim: Claim, inbox: Path) -> None:
    job = claim(drop("old.mp4"))
    path = (inbox / "old.mp4").rename(inbox / "new.mp4")
    assert queue.intake.add(inbox, path, "new.mp4", path.lstat()) is None
    row = queue.jobs.get(job.id)
    assert (row.state, row.source, row.relative, row.lease) == ("running", str(path), "new.mp4", job.lease)
    assert queue.intake.unknown([Source.of(inbox, path, "new.mp4", path.lstat())]) == []
    assert queue.claims.heartbeat(job.id, str(job.lease), 1, 10, 1.0) == "ok"


def test_a_waiting_file_is_due_at_once_under_its_new_name(queue: Queue, drop: Drop, claim: Claim, inbox: Path) -> None:
    job = claim(drop("old.mp4"))
    queue.claims.requeue(job.id, str(job.lease), "the inbox is not there", "transient", 600.0, count_attempt=False)
    assert queue.claims.next_candidate(time.time()) is None
    path = (inbox / "old.mp4").rename(inbox / "new.mp4")
    queue.intake.add(inbox, path, "new.mp4", path.lstat())
    assert queue.claims.next_candidate(time.time()).source == str(path)


def test_a_done_file_that_was_renamed_is_known_after_the_share_was_mounted_again(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path
) -> None:
    job = claim(drop("old.mp4"))
    queue.claims.finish(job.id, str(job.lease), Path("/out/old.mp4"), "nano", "{}", [])
    queue.history.settled(job.id, None, departed=False)
    path = (inbox / "old.mp4").rename(inbox / "new.mp4")
    queue.intake.add(inbox, path, "new.mp4", path.lstat())
    found = Source.of(inbox, path, "new.mp4", path.lstat())
    mounted_again = Source(**{**vars(found), "device": 77, "inode": 78})
    assert queue.intake.add_many([mounted_again]) == [None]
    assert len(queue.jobs.select()) == 1


def test_a_rename_over_a_done_file_is_no_older_version_of_it(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path
) -> None:
    first = claim(drop("a.mp4", b"first"))
    second = claim(drop("b.mp4", b"the second"))
    queue.claims.finish(second.id, str(second.lease), Path("/out/b.mp4"), "nano", "{}", [])
    path = (inbox / "a.mp4").rename(inbox / "b.mp4")
    assert queue.intake.add(inbox, path, "b.mp4", path.lstat()) is None
    queue.claims.requeue(first.id, str(first.lease), "the disk is full", "transient", 0.0, count_attempt=False)
    assert (queue.jobs.get(first.id).state, queue.jobs.get(first.id).source) == ("queued", str(path))


def test_a_rename_over_a_waiting_file_takes_its_place(queue: Queue, drop: Drop, claim: Claim, inbox: Path) -> None:
    running, waiting = claim(drop("a.mp4", b"first")), drop("b.mp4", b"the second")
    path = (inbox / "a.mp4").rename(inbox / "b.mp4")
    assert queue.intake.add(inbox, path, "b.mp4", path.lstat()) is None
    assert (queue.jobs.get(waiting).state, queue.jobs.get(waiting).error) == ("cancelled", SUPERSEDED)
    assert (queue.jobs.get(running.id).state, queue.jobs.get(running.id).source) == ("running", str(path))


@pytest.mark.parametrize("running", [False, True])
def test_two_names_of_one_file_do_not_take_turns(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, running: bool
) -> None:
    number = drop("a.mp4")
    if running:
        claim(number)
    os.link(inbox / "a.mp4", inbox / "b.mp4")
    for name in ("b.mp4", "a.mp4", "b.mp4"):
        assert queue.intake.add(inbox, inbox / name, name, (inbox / name).lstat()) is None
        assert queue.jobs.get(number).relative == "a.mp4"
    (inbox / "a.mp4").unlink()
    assert queue.intake.add(inbox, inbox / "b.mp4", "b.mp4", (inbox / "b.mp4").lstat()) is None
    assert queue.jobs.get(number).relative == "b.mp4"


def test_a_job_takes_no_name_of_another_file(queue: Queue, drop: Drop, inbox: Path) -> None:
    number, other = drop("a.mp4", b"one"), drop("b.mp4", b"another")
    path = inbox / "b.mp4"
    assert queue.intake.renamed(number, Source.of(inbox, path, "b.mp4", path.lstat())) is None
    assert queue.intake.renamed(99, Source.of(inbox, path, "b.mp4", path.lstat())) is None
    assert [queue.jobs.get(job).relative for job in (number, other)] == ["a.mp4", "b.mp4"]


def test_a_hard_link_is_the_same_file(queue: Queue, drop: Drop, inbox: Path) -> None:
    drop("a.mp4")
    path = inbox / "b.mp4"
    os.link(inbox / "a.mp4", path)
    assert queue.intake.add(inbox, path, "b.mp4", path.lstat()) is None
    assert queue.jobs.get(1).relative == "a.mp4"


def test_jobs_of_a_broken_inbox_start_held(queue: Queue) -> None:
    other = Source("/in/other", "/in/other/c.mp4", "c.mp4", 1, 50, 3, 4)
    assert queue.intake.add_many([source("a.mp4"), other], Terms(held={"/in/default": "scale is 99"})) == [1, 2]
    assert (queue.jobs.get(1).state, queue.jobs.get(1).error, queue.jobs.get(1).error_kind) == (
        "held",
        "scale is 99",
        "config",
    )
    assert queue.jobs.get(2).state == "queued"


def test_no_byte_of_a_name_is_lost(queue: Queue, tmp_path: Path) -> None:
    inbox = tmp_path / "in\udcffbox"
    names = [
        "new\nline.mp4",
        "quo'te\".mp4",
        "ünï\u2028cödé.mp4",
        "-dash.mp4",
        "raw\udce9\udcff.mp4",
        "x" * 251 + ".mp4",
    ]
    inbox.mkdir()
    for name in names:
        (inbox / name).write_bytes(name.encode("utf-8", "surrogateescape"))
        assert queue.intake.add(inbox, inbox / name, name, (inbox / name).lstat()) is not None
    rows = sorted(queue.jobs.select(), key=lambda row: row.id)
    assert [row.relative for row in rows] == names
    assert [row.source for row in rows] == [str(inbox / name) for name in names]
    assert all(Path(row.source).read_bytes() == os.fsencode(row.relative) for row in rows)
    assert queue.intake.hold(inbox, "no") == len(names)


def test_unsigned_inodes(queue: Queue) -> None:
    huge = source("a.mp4", inode=(1 << 64) - 5, device=1 << 63)
    assert queue.intake.add_many([huge]) == [1]
    assert (queue.jobs.get(1).inode, queue.jobs.get(1).device) == ((1 << 64) - 5, 1 << 63)
    assert queue.intake.add_many([huge]) == [None]
    assert queue.intake.last_devices() == {Path("/in/default"): 1 << 63}


def test_many_known_files_are_looked_up_at_once(queue: Queue) -> None:
    files = [source(f"{index}.mp4", inode=index) for index in range(2_000)]
    assert queue.intake.add_many(files) == list(range(1, 2_001))
    start = time.monotonic()
    assert queue.intake.unknown([*files, source("new.mp4", inode=99_999)]) == [source("new.mp4", inode=99_999)]
    assert time.monotonic() - start < 5


def test_a_renamed_held_file_follows_its_new_inbox(queue: Queue, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    path = tmp_path / "one" / "a.mp4"
    path.write_bytes(b"video")
    found = Source.of(tmp_path / "one", path, "a.mp4", path.lstat())
    queue.intake.add_many([found], Terms(held={str(tmp_path / "one"): "wrong"}))
    moved = path.rename(tmp_path / "two" / "a.mp4")
    queue.intake.add(tmp_path / "two", moved, "a.mp4", moved.lstat())
    assert (queue.jobs.get(1).state, queue.jobs.get(1).inbox) == ("queued", str(tmp_path / "two"))


def test_a_waiting_file_set_aside_for_a_newer_one_keeps_its_job(queue: Queue, drop: Drop, inbox: Path) -> None:
    """mv clip.mp4 old.mp4; cp new clip.mp4: two videos, two results, in whatever order they are noticed."""
    drop(content=b"first")
    kept = (inbox / "clip.mp4").rename(inbox / "old.mp4")
    new = inbox / "clip.mp4"
    new.write_bytes(b"the second")
    assert queue.intake.add(inbox, kept, "old.mp4", kept.lstat()) is None
    assert queue.intake.add(inbox, new, "clip.mp4", new.lstat()) == 2
    assert [(job.relative, job.state) for job in queue.jobs.select()] == [
        ("clip.mp4", "queued"),
        ("old.mp4", "queued"),
    ]


def test_the_same_noticed_the_other_way_round(queue: Queue, drop: Drop, inbox: Path) -> None:
    drop(content=b"first")
    kept = (inbox / "clip.mp4").rename(inbox / "old.mp4")
    new = inbox / "clip.mp4"
    new.write_bytes(b"the second")
    assert queue.intake.add(inbox, new, "clip.mp4", new.lstat()) == 2
    assert queue.intake.add(inbox, kept, "old.mp4", kept.lstat()) == 1
    assert [(job.relative, job.state) for job in queue.jobs.select()] == [
        ("clip.mp4", "queued"),
        ("old.mp4", "queued"),
    ]


@pytest.mark.parametrize("same_inode", [True, False])
def test_a_file_dropped_again_after_it_left_the_inbox_is_a_new_job(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, tmp_path: Path, same_inode: bool
) -> None:
    """Moved back from the archive, or copied there once more with its time kept."""
    job = claim(drop())
    queue.claims.finish(job.id, str(job.lease), Path("/out/clip.mp4"), "nano", "{}", [])
    path, archived = inbox / "clip.mp4", tmp_path / "archived.mp4"
    shutil.copy2(path, archived)
    found = Source.of(inbox, path, "clip.mp4", path.lstat())
    assert queue.intake.unknown([found]) == []  # until it has been dealt with
    queue.history.settled(job.id, archived, departed=True)
    if not same_inode:
        path.unlink()
        shutil.copy2(archived, path)
        found = Source.of(inbox, path, "clip.mp4", path.lstat())
    assert queue.intake.unknown([found]) == [found]
    assert queue.intake.add_many([found, found]) == [2, None]
    assert [(row.id, row.state) for row in queue.jobs.select()] == [(2, "queued"), (1, "done")]
    assert queue.intake.unknown([found]) == []


def test_a_file_kept_in_the_inbox_is_done_once(queue: Queue, drop: Drop, claim: Claim, inbox: Path) -> None:
    job = claim(drop())
    queue.claims.finish(job.id, str(job.lease), Path("/out/clip.mp4"), "nano", "{}", [])
    queue.history.settled(job.id, None, departed=False)
    path = inbox / "clip.mp4"
    assert queue.intake.add(inbox, path, "clip.mp4", path.lstat()) is None


def test_hold_and_release_an_inbox(queue: Queue, drop: Drop, inbox: Path, claim: Claim) -> None:
    running, waiting = drop("a.mp4"), drop("b.mp4")
    claim(running)
    assert queue.intake.hold(inbox.parent / "other", "no") == 0
    assert queue.intake.hold(inbox, "scale is 99") == 1
    assert queue.jobs.get(waiting).state == "held"
    assert queue.jobs.get(waiting).error == "scale is 99"
    assert queue.jobs.get(running).state == "running"
    assert queue.claims.next_candidate(time.time()) is None
    assert queue.intake.release(inbox) == 1
    assert queue.jobs.get(waiting).state == "queued"
    assert queue.jobs.get(waiting).error is None


def test_the_reason_of_held_jobs_is_kept_short(queue: Queue, drop: Drop, inbox: Path) -> None:
    reason = "preset.toml:1: " + "k" * 900_000
    first = drop("a.mp4")
    assert queue.intake.hold(inbox, reason) == 1
    other = inbox / "b.mp4"
    other.write_bytes(b"other")
    (second,) = queue.intake.add_many([Source.of(inbox, other, "b.mp4", other.lstat())], Terms({str(inbox): reason}))
    for number in (first, second):
        job = queue.jobs.get(number or 0)
        assert job.state == "held"
        assert job.error.startswith("preset.toml:1: kkk")
        assert job.error.endswith("… (the rest: flashvsr check)")
        assert len(job.error or "") == LONGEST_REASON
