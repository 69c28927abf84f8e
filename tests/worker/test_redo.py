"""A job that is done is made again: with its source where it lies, or brought back from the archive."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import FlashVSRError, Transient
from flashvsr.files.made import Made
from flashvsr.inbox.watch import InboxWatcher
from flashvsr.outbox import recall
from flashvsr.worker.redo import redo
from kits.played import Bench

Settle = Callable[..., int]


@pytest.fixture
def done(bench: Bench) -> Settle:
    """A job that is done, and its source settled in this way."""

    def done(on_success: str, name: str = "clip.mov") -> int:
        bench.config = replace(bench.config, watch=replace(bench.config.watch, on_success=on_success))
        bench.loop = bench.new_loop()
        number = bench.add(name)
        assert bench.loop.step()
        job = bench.job(number)
        assert (job.state, job.settled is not None) == ("done", True)
        return number

    return done


@pytest.fixture
def other_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive lies on another one than the inbox."""
    archives = "/state/archive"

    def move(old_directory: int, old: str, new_directory: int, new: str) -> None:
        if archives in str(Path(f"/proc/self/fd/{old_directory}").readlink()):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        raise AssertionError("a copy is named by way of its descriptor")

    monkeypatch.setattr(recall, "move_new", move)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def watch(bench: Bench) -> list[str]:
    """What the watcher finds, which may look at any time."""
    watcher = InboxWatcher(bench.config, bench.queue, clock=lambda: 0.0)
    watcher.step(0.0)
    watcher.step(100.0)
    return [f"{job.id} {job.state} {job.relative}" for job in bench.queue.jobs.select()]


def test_a_kept_source_is_done_again_under_a_numbered_name(bench: Bench, done: Settle) -> None:
    number = done("keep")
    (bench.inbox / "preset.toml").write_text("seed = 7\n")
    redo(bench.config, bench.queue, number)
    job = bench.job(number)
    assert (job.state, job.result, job.attempts, job.settled, job.finished) == ("queued", None, 0, None, None)
    assert watch(bench) == ["1 queued clip.mov"]
    assert bench.loop.step()
    assert bench.outputs() == ["clip (2).mp4", "clip.mp4"]
    assert [task.preset.seed for task in bench.upscaling.tasks] == [0, 7]
    assert bench.job(number).result.endswith("/clip (2).mp4")


@pytest.mark.parametrize("way", ["move", "copy"])
def test_an_archived_source_comes_back(bench: Bench, done: Settle, way: str, request: pytest.FixtureRequest) -> None:
    number = done("archive", "trip/clip.mov")
    archived = Path(bench.job(number).archived)
    before, content = archived.stat(), archived.read_bytes()
    assert not (bench.inbox / "trip").exists(), "it was empty"
    if way == "copy":
        request.getfixturevalue("other_file_system")
    redo(bench.config, bench.queue, number)
    source = bench.inbox / "trip" / "clip.mov"
    assert (source.read_bytes(), source.stat().st_mtime_ns) == (content, before.st_mtime_ns)
    assert (source.stat().st_ino == before.st_ino) == (way == "move")
    assert source.stat().st_mode == before.st_mode
    assert not archived.exists()
    assert [path.name for path in source.parent.iterdir()] == ["clip.mov"]
    assert watch(bench) == ["1 queued trip/clip.mov"]
    assert bench.loop.step()
    assert bench.outputs() == ["trip/clip (2).mp4", "trip/clip.mp4"]
    assert Path(bench.job(number).archived).read_bytes() == content
    redo(bench.config, bench.queue, number)  # and once more
    assert bench.loop.step()
    assert bench.outputs() == ["trip/clip (2).mp4", "trip/clip (3).mp4", "trip/clip.mp4"]


@pytest.mark.parametrize("way", ["move", "copy"])
def test_nothing_in_the_inbox_is_replaced(bench: Bench, done: Settle, way: str, request: pytest.FixtureRequest) -> None:
    number = done("archive")
    content = Path(bench.job(number).archived).read_bytes()
    newer = bench.add()
    kept = (bench.inbox / "clip.mov").read_bytes()
    if way == "copy":
        request.getfixturevalue("other_file_system")
    redo(bench.config, bench.queue, number)
    assert (bench.inbox / "clip.mov").read_bytes() == kept
    assert (bench.inbox / "clip (2).mov").read_bytes() == content
    assert watch(bench) == [f"{newer} queued clip.mov", f"{number} queued clip (2).mov"]
    assert bench.loop.step()
    assert bench.loop.step()
    assert {bench.job(newer).state, bench.job(number).state} == {"done"}


def test_an_older_version_goes_on_after_an_interruption(bench: Bench, done: Settle) -> None:
    """Its row says that it is the newest wish about that name, or it would end as replaced when it is put back."""
    number = done("archive")
    done("archive")
    redo(bench.config, bench.queue, number)
    bench.fail_at(3, Transient("the share is slow"))
    bench.loop.step()
    assert bench.job(number).state == "queued"


@pytest.mark.parametrize(
    ("on_success", "damage", "said"),
    [
        ("delete", lambda bench, job: None, "its source is gone, it was not kept .* Copy clip.mov into the inbox"),
        ("archive", lambda bench, job: Path(job.archived).unlink(), "no longer in the archive"),
        ("archive", lambda bench, job: Path(job.archived).write_bytes(b"another"), "is not the file"),
        (
            "archive",
            lambda bench, job: folder_instead(Path(job.archived)),
            "is not",
        ),
        ("keep", lambda bench, job: Path(job.source).unlink(), "the file is gone: .*copy it there again"),
        ("keep", lambda bench, job: Path(job.source).write_bytes(b"another"), "is another version of the file by now"),
        ("archive", lambda bench, job: shutil.rmtree(bench.inbox), "cannot write to .*clips"),
    ],
)
def test_what_is_said_when_the_source_is_gone(
    bench: Bench, done: Settle, on_success: str, damage: Callable[[Bench, Any], Any], said: str
) -> None:
    number = done(on_success)
    damage(bench, bench.job(number))
    with pytest.raises(FlashVSRError, match=said):
        redo(bench.config, bench.queue, number)
    job = bench.job(number)
    assert (job.state, job.result is not None) == ("done", True)
    assert list((bench.root / "state" / "jobs").iterdir()) == []  # no marker is left


def test_only_what_is_done_can_be_redone(bench: Bench, done: Settle) -> None:
    waiting = bench.add()
    with pytest.raises(FlashVSRError, match="is waiting; only jobs that are done can be redone"):
        redo(bench.config, bench.queue, waiting)
    bench.queue.requests.cancel(waiting)
    with pytest.raises(FlashVSRError, match=r"is cancelled; .*`flashvsr retry` tries it again"):
        redo(bench.config, bench.queue, waiting)
    with pytest.raises(FlashVSRError, match="no job 77"):
        redo(bench.config, bench.queue, 77)


def test_an_inbox_that_is_no_longer_configured(bench: Bench, done: Settle) -> None:
    number = done("keep")
    elsewhere = replace(bench.config, paths=replace(bench.config.paths, inbox=bench.root / "other"))
    with pytest.raises(FlashVSRError, match="is no longer an inbox"):
        redo(elsewhere, bench.queue, number)


def test_not_while_a_worker_is_at_its_source(bench: Bench, done: Settle) -> None:
    from flashvsr.worker.places import ending_marker

    number = done("keep")
    with ending_marker(bench.config, number).alone(), pytest.raises(FlashVSRError, match="ask again later"):
        redo(bench.config, bench.queue, number)


@pytest.mark.parametrize("way", ["move", "copy"])
@pytest.mark.parametrize("moment", ["before the name", "after it"])
def test_asking_again_goes_on_where_it_was_cut_short(
    bench: Bench, done: Settle, monkeypatch: pytest.MonkeyPatch, way: str, moment: str, request: pytest.FixtureRequest
) -> None:
    number = done("archive")
    content = Path(bench.job(number).archived).read_bytes()
    if way == "copy":
        request.getfixturevalue("other_file_system")

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        if moment == "before the name":
            place: object = recall if way == "move" else Made
            patched.setattr(place, "move_new" if way == "move" else "give_name", die)
        else:
            patched.setattr(bench.queue.requests, "redo", die)
        with pytest.raises(Killed):
            redo(bench.config, bench.queue, number)
    assert watch(bench) == ["1 done clip.mov"]  # nobody takes it for a new file
    redo(bench.config, bench.queue, number)
    assert (bench.inbox / "clip.mov").read_bytes() == content
    assert watch(bench) == ["1 queued clip.mov"]
    assert list((bench.root / "state" / "archive" / "clips").iterdir()) == []


def test_no_link_leads_out_of_the_inbox(bench: Bench, done: Settle, tmp_path: Path) -> None:
    number = done("archive", "trip/clip.mov")
    (tmp_path / "elsewhere").mkdir()
    (bench.inbox / "trip").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Transient, match="link"):
        redo(bench.config, bench.queue, number)
    assert Path(bench.job(number).archived).exists()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_settling_that_comes_too_late_changes_no_waiting_job(bench: Bench, done: Settle) -> None:
    number = done("keep")
    redo(bench.config, bench.queue, number)
    bench.queue.history.settled(number, Path("/archive/clip.mov"), departed=True)
    assert (bench.job(number).settled, bench.job(number).departed) == (None, False)


def test_a_name_that_an_earlier_file_had_is_free(bench: Bench, done: Settle) -> None:
    """Of a file that was kept, and removed by hand, the row remembers an inode that another file may have by now."""
    number = done("archive")
    status = Path(bench.job(number).archived).stat()
    other = done("keep", "other.mov")
    with bench.queue.store.writing():
        bench.queue.jobs.change(other, device=status.st_dev, inode=status.st_ino, mtime_ns=status.st_mtime_ns)
    (bench.inbox / "other.mov").unlink()
    redo(bench.config, bench.queue, number)
    assert (bench.job(number).state, bench.job(other).departed) == ("queued", True)
