from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files.mounts import Mounts
from flashvsr.files.trees import NO_LINKS, OWN, Trees
from flashvsr.jobs import retention
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.retention import prune
from flashvsr.jobs.schema import Job

DAY = 86_400.0
Drop = Callable[..., int]
Claim = Callable[..., Job]


@pytest.fixture
def places(queue: Queue, inbox: Path) -> tuple[Path, Path]:
    (inbox / "preset.toml").write_text("")
    archive, jobs = queue.state.archive, queue.state.jobs
    (archive / "default" / "season 1").mkdir(parents=True)
    jobs.mkdir()
    return archive, jobs


def done(queue: Queue, job: Job) -> int:
    queue.claims.finish(job.id, str(job.lease), Path("/out"), "nano", "{}", [])
    return job.id


def test_old_things_go_and_new_ones_stay(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, places: tuple[Path, Path]
) -> None:
    archive, jobs = places
    job_id = done(queue, claim(drop()))
    waiting = drop("b.mp4")
    archived = archive / "default" / "season 1" / "clip.mp4"
    (inbox / "clip.mp4").rename(archived)
    for name in (str(job_id), f"{job_id}.ending", str(waiting), "777"):
        (jobs / name).mkdir()
        (jobs / name / "0000.nut").write_bytes(b"chunk")
    now = time.time()
    nothing = {"jobs": 0, "archived": 0, "leftovers": 0}
    assert prune(NO_LINKS, queue, 30, now + 29 * DAY) == nothing
    assert prune(NO_LINKS, queue, 0, now + 999 * DAY) == nothing
    assert archived.exists()
    removed = prune(NO_LINKS, queue, 30, now + 31 * DAY)
    assert removed == {"jobs": 1, "archived": 1, "leftovers": 3}
    assert list(archive.iterdir()) == []
    assert [folder.name for folder in jobs.iterdir()] == [str(waiting)]
    assert [job.id for job in queue.jobs.select()] == [waiting]


def test_the_age_of_an_archived_file_is_not_that_of_the_recording(queue: Queue, places: tuple[Path, Path]) -> None:
    archive, _ = places
    old = archive / "1999.mp4"
    old.write_bytes(b"video")
    os.utime(old, (900_000_000, 900_000_000))
    prune(NO_LINKS, queue, 30, time.time())
    assert old.exists()


def test_history_is_kept_while_the_source_is_there(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, places: tuple[Path, Path]
) -> None:
    """With on_success = "keep" a forgotten file would be taken for a new one and done again."""
    done(queue, claim(drop()))
    later = time.time() + 31 * DAY
    assert prune(NO_LINKS, queue, 30, later)["jobs"] == 0
    path = inbox / "clip.mp4"
    assert queue.intake.add(inbox, path, "clip.mp4", path.lstat()) is None


def test_an_unmounted_share_is_no_deletion(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, places: tuple[Path, Path], tmp_path: Path
) -> None:
    done(queue, claim(drop()))
    inbox.rename(tmp_path / "unmounted")
    inbox.mkdir()  # the empty mount point
    assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["jobs"] == 0


def test_a_link_in_the_archive_is_removed_not_followed(queue: Queue, places: tuple[Path, Path], tmp_path: Path) -> None:
    archive, jobs = places
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo").write_text("keep me")
    (archive / "link").symlink_to(precious)
    (jobs / "5").symlink_to(precious)
    prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)
    assert (precious / "photo").read_text() == "keep me"
    assert not (archive / "link").is_symlink()


@pytest.mark.usefixtures("places")
def test_a_long_history_is_read_without_its_reports_and_each_inbox_looked_at_once(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(20):
        done(queue, claim(drop(f"{index}.mp4")))
        (inbox / f"{index}.mp4").unlink()
    asked: list[Path] = []
    real = retention._share_present

    def present(trees: Trees, mounts: Any, inbox: Path) -> bool:
        asked.append(inbox)
        return real(trees, mounts, inbox)

    monkeypatch.setattr(retention, "_share_present", present)
    statements: list[str] = []
    queue.store.database.connection().set_trace_callback(statements.append)
    assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["jobs"] == 20
    queue.store.database.connection().set_trace_callback(None)
    assert not any("report" in statement for statement in statements if "SELECT" in statement)
    assert asked == [inbox]


@pytest.mark.usefixtures("places")
def test_a_source_that_left_is_forgotten_though_its_name_is_taken_again(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path
) -> None:
    archived, kept = done(queue, claim(drop("a.mp4"))), done(queue, claim(drop("b.mp4")))
    queue.history.settled(archived, Path("/archive/a.mp4"), departed=True)
    queue.history.settled(kept, None, departed=False)
    assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["jobs"] == 1
    assert [job.id for job in queue.jobs.select()] == [kept]


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("function", ["exists", "directory"])
def test_a_share_that_does_not_answer_is_no_deletion(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = done(queue, claim(drop()))
    (inbox / "clip.mp4").unlink()

    real = getattr(Trees, function)

    def silent(trees: Trees, path: Path) -> Any:
        if path.is_relative_to(inbox):
            raise OSError(112, "Host is down")
        return real(trees, path)

    with monkeypatch.context() as patch:
        patch.setattr(Trees, function, silent)
        # OWN looks for a name without opening its directory, so that each of the two fails by itself.
        assert prune(OWN, queue, 30, time.time() + 31 * DAY)["jobs"] == 0
    with monkeypatch.context() as patch:
        patch.setattr(Mounts, "present", lambda *_: False)
        assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["jobs"] == 0
    assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["jobs"] == 1
    assert queue.jobs.get(number) is None


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("neighbour", [True, False])
def test_an_inbox_that_was_removed_is_gone_where_its_neighbours_are(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, neighbour: bool
) -> None:
    done(queue, claim(drop()))
    for path in inbox.iterdir():
        path.unlink()
    inbox.rmdir()
    if neighbour:
        (inbox.parent / "other").mkdir()
    assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["jobs"] == (1 if neighbour else 0)


def test_leftovers_of_nobody_go_when_they_are_old_and_those_of_what_is_over_at_once(
    queue: Queue, drop: Drop, claim: Claim, places: tuple[Path, Path], inbox: Path
) -> None:
    _, jobs = places
    over, waiting = done(queue, claim(drop("a.mp4"))), drop("b.mp4")
    old = time.time() - 40 * DAY
    for name in (f"{over}", f"{waiting}", "900", "901.ending", "notes", "\u0663", "9" * 30):
        (jobs / name).mkdir()
        os.utime(jobs / name, (old, old))
    for name in ("902", "young notes"):
        (jobs / name).mkdir()
    assert prune(NO_LINKS, queue, 30, time.time())["leftovers"] == 5
    assert {path.name for path in jobs.iterdir()} == {f"{over}", f"{waiting}", "902", "young notes"}
    (inbox / "a.mp4").unlink()
    with queue.store.writing():
        queue.jobs.change(over, finished=old)
    (jobs / f"{over}").touch()
    assert prune(NO_LINKS, queue, 30, time.time()) == {"jobs": 1, "archived": 0, "leftovers": 1}


def test_an_empty_folder_of_the_archive_stays_while_it_is_new(queue: Queue, places: tuple[Path, Path]) -> None:
    """A source may be on its way there."""
    archive, _ = places
    assert prune(NO_LINKS, queue, 30, time.time())["archived"] == 0
    assert (archive / "default" / "season 1").is_dir()
    (archive / "default" / "season 1" / "clip.mp4").touch()
    assert prune(NO_LINKS, queue, 30, time.time() + 29 * DAY)["archived"] == 0
    assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["archived"] == 1
    assert list(archive.iterdir()) == []


@pytest.mark.usefixtures("places")
def test_what_was_set_aside_goes_by_the_time_of_that(queue: Queue) -> None:
    state = queue.state.path
    aside = [queue.state.aside("20260102-030405"), state / f"{queue.state.aside('20260102-030405').name}-wal"]
    aside.append(queue.state.damaged_records / "7.json")
    aside[-1].parent.mkdir()
    for path in aside:
        path.touch()
        os.utime(path, (900_000_000, 900_000_000))
    assert prune(NO_LINKS, queue, 30, time.time() + 29 * DAY)["leftovers"] == 0
    assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["leftovers"] == 3
    assert not any(path.exists() for path in aside)
    assert queue.path.exists()


def test_what_cannot_be_removed_is_not_counted_and_keeps_no_other(
    queue: Queue, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    archive, _ = places
    for name in ("a.mp4", "b.mp4"):
        (archive / name).touch()
    unlink = Path.unlink

    def closed(path: Path, missing_ok: bool = False) -> None:
        if path.name == "a.mp4":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", closed)
    assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["archived"] == 1
    assert "cannot remove" in caplog.text
    caplog.clear()
    monkeypatch.setattr(os, "scandir", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)["archived"] == 0
    assert "cannot look into" in caplog.text


def test_where_nothing_was_ever_put_nothing_is_said(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    assert prune(NO_LINKS, queue, 30, time.time()) == {"jobs": 0, "archived": 0, "leftovers": 0}
    assert prune(NO_LINKS, queue, -1, time.time()) == {"jobs": 0, "archived": 0, "leftovers": 0}
    assert caplog.text == ""


@pytest.mark.parametrize("ending", ["done", "kept", "skipped", "failed", "cancelled"])
def test_a_file_that_stays_is_known_however_old_its_job_is(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, places: tuple[Path, Path], ending: str
) -> None:
    number = drop()
    if ending == "cancelled":
        queue.requests.cancel(number)
    else:
        job = claim(number)
        if ending == "skipped":
            queue.claims.skip(number, str(job.lease), "it is large enough")
        elif ending == "failed":
            queue.claims.fail(number, str(job.lease), "broken", "bad_input", None, [])
        else:
            done(queue, job)
    if ending == "kept":
        queue.history.settled(number, None, departed=False)
    path = inbox / "clip.mp4"
    for years in (1, 10):
        assert prune(NO_LINKS, queue, 30, time.time() + years * 365 * DAY)["jobs"] == 0
        assert queue.intake.add(inbox, path, "clip.mp4", path.lstat()) is None
    path.unlink()
    assert prune(NO_LINKS, queue, 30, time.time() + 365 * DAY)["jobs"] == 1


def test_notes_on_partial_videos_go_with_their_job(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, places: tuple[Path, Path]
) -> None:
    number = done(queue, claim(drop()))
    queue.state.partials.mkdir()
    for name in (f"{number}.json", "777.json", "notes"):
        (queue.state.partials / name).write_text("{}")
    prune(NO_LINKS, queue, 30, time.time())
    assert [path.name for path in queue.state.partials.iterdir()] == [f"{number}.json"]
    (inbox / "clip.mp4").unlink()
    for _ in range(2):
        prune(NO_LINKS, queue, 30, time.time() + 31 * DAY)
    assert list(queue.state.partials.iterdir()) == []
