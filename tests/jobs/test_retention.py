from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
    assert prune(queue, 30, now + 29 * DAY) == nothing
    assert prune(queue, 0, now + 999 * DAY) == nothing
    assert archived.exists()
    removed = prune(queue, 30, now + 31 * DAY)
    assert removed == {"jobs": 1, "archived": 1, "leftovers": 3}
    assert list(archive.iterdir()) == []
    assert [folder.name for folder in jobs.iterdir()] == [str(waiting)]
    assert [job.id for job in queue.jobs.select()] == [waiting]


def test_the_age_of_an_archived_file_is_not_that_of_the_recording(queue: Queue, places: tuple[Path, Path]) -> None:
    archive, _ = places
    old = archive / "1999.mp4"
    old.write_bytes(b"video")
    os.utime(old, (900_000_000, 900_000_000))
    prune(queue, 30, time.time())
    assert old.exists()


def test_history_is_kept_while_the_source_is_there(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, places: tuple[Path, Path]
) -> None:
    """With on_success = "keep" a forgotten file would be taken for a new one and done again."""
    done(queue, claim(drop()))
    later = time.time() + 31 * DAY
    assert prune(queue, 30, later)["jobs"] == 0
    path = inbox / "clip.mp4"
    assert queue.intake.add(inbox, path, "clip.mp4", path.lstat()) is None


def test_an_unmounted_share_is_no_deletion(
    queue: Queue, drop: Drop, claim: Claim, inbox: Path, places: tuple[Path, Path], tmp_path: Path
) -> None:
    done(queue, claim(drop()))
    inbox.rename(tmp_path / "unmounted")
    inbox.mkdir()  # the empty mount point
    assert prune(queue, 30, time.time() + 31 * DAY)["jobs"] == 0


def test_a_link_in_the_archive_is_removed_not_followed(queue: Queue, places: tuple[Path, Path], tmp_path: Path) -> None:
    archive, jobs = places
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo").write_text("keep me")
    (archive / "link").symlink_to(precious)
    (jobs / "5").symlink_to(precious)
    prune(queue, 30, time.time() + 31 * DAY)
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

    def present(inbox: Path, mounts: Any) -> bool:
        asked.append(inbox)
        return real(inbox, mounts)

    monkeypatch.setattr(retention, "_share_present", present)
    statements: list[str] = []
    queue.store.database.connection().set_trace_callback(statements.append)
    assert prune(queue, 30, time.time() + 31 * DAY)["jobs"] == 20
    queue.store.database.connection().set_trace_callback(None)
    assert not any("report" in statement for statement in statements if "SELECT" in statement)
    assert asked == [inbox]
