"""When a source is taken away, as which file, and what is told of one that stays."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from flashvsr.errors import Transient
from flashvsr.files import at
from flashvsr.files.mounts import ShareAway
from flashvsr.files.trees import Trees
from flashvsr.jobs.owner import current_owner
from flashvsr.worker import settling as module
from flashvsr.worker.marker import Marker
from flashvsr.worker.settling import Settling
from kits.played import Bench, replace_source


def refuse(error: Exception, cause: OSError | None = None) -> Callable[..., NoReturn]:
    def refused(*_: object, **__: object) -> NoReturn:
        raise error from cause

    return refused


class Settled:
    """A job that is done, whose source is not yet taken away; the taking itself is played."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.number = bench.add("a/clip.mov")
        job = bench.queue.claims.claim(self.number, "{}", current_owner(), "cpu", 3)
        assert job is not None
        bench.queue.claims.finish(job.id, str(job.lease), bench.outbox / "clip.mp4", "m", "{}", [])
        self.source = Path(job.source)
        self.recorded = (job.device, job.inode, job.size, job.mtime_ns)
        self.asked: list[tuple[Any, ...]] = []
        self.archived: Path | None = Path("/archive/clip.mov")
        self.takes = True
        loop: Any = bench.loop
        self.access, self.whereabouts = loop._access, loop._whereabouts
        self.config = bench.config
        self.settling = Settling(bench.queue, lambda: self.config, self.access, self.whereabouts)
        self.marker = bench.workdir(self.number).with_name(f"{self.number}.ending")
        monkeypatch.setattr(module, "settle_source", self._settle_source)

    def _settle_source(
        self, trees: Trees, source: Path, identity: Any, action: str, archive: Path, relative: str, *, private: bool
    ) -> Path | None:
        assert trees == self.config.trees()
        self.asked.append((source, identity, action, archive, relative))
        if self.takes:
            source.unlink(missing_ok=True)
        return self.archived

    def settle(self, action: str = "archive") -> bool | None:
        self.config = replace(self.bench.config, watch=replace(self.bench.config.watch, on_success=action))
        return self.settling.settle(self.number)

    @property
    def job(self) -> Any:
        return self.bench.job(self.number)


@pytest.fixture
def done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Settled:
    return Settled(bench, monkeypatch)


@pytest.mark.parametrize("action", ["archive", "delete", "keep"])
def test_a_source_is_taken_away_as_the_settings_say(done: Settled, action: str) -> None:
    done.takes = action != "keep"
    identity = at.identity(done.source.lstat())
    assert done.settle(action) is True
    archive = done.bench.root / "state" / "archive" / "clips"
    assert done.asked == [(done.source, identity, action, archive, "a/clip.mov")]
    job = done.job
    assert (job.archived, job.departed, job.settled is not None) == ("/archive/clip.mov", action != "keep", True)
    assert not done.marker.exists()


@pytest.mark.parametrize("action", ["archive", "delete", "keep"])
def test_it_has_left_only_if_it_is_surely_not_there(
    done: Settled, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done.takes = False
    assert done.settle(action) is True
    assert (done.job.departed, done.job.settled is not None) == (False, True)


def test_a_share_that_does_not_answer_does_not_say_that_it_left(done: Settled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trees, "exists", refuse(OSError(errno.EHOSTDOWN, "Host is down")))
    assert done.settle() is True
    assert done.job.departed is False


def test_a_source_that_somebody_took_away_is_not_kept(done: Settled) -> None:
    done.source.unlink()
    done.archived = None
    assert done.settle("keep") is True
    assert (done.job.archived, done.job.departed) == (None, False)


def test_a_share_that_was_mounted_again_has_other_numbers_and_the_same_file(done: Settled) -> None:
    with done.bench.queue.store.writing():
        done.bench.queue.jobs.change(done.number, device=77, inode=78)
    identity = at.identity(done.source.lstat())
    done.settle()
    assert done.asked[0][1] == identity


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_one_that_is_not_there_is_asked_for_as_it_was_recorded(done: Settled, how: str) -> None:
    """A removal that a crash cut short can be completed."""
    if how == "gone":
        done.source.unlink()
    else:
        done.source.write_bytes(b"a newer version")
    assert done.settle() is True
    assert done.asked[0][1] == done.recorded


def test_a_renamed_source_is_taken_away_under_its_new_name(done: Settled) -> None:
    new = done.source.rename(done.source.with_name("film.mov"))
    assert done.settle() is True
    assert (done.asked[0][0], done.asked[0][4]) == (new, "a/film.mov")


def test_what_another_worker_is_at_is_left_to_it(done: Settled) -> None:
    with Marker(done.marker).alone():
        assert done.settle() is None
    assert (done.asked, done.job.settled) == ([], None)


@pytest.mark.parametrize("what", ["waiting", "settled", "unknown"])
def test_there_is_nothing_to_do_about_others(done: Settled, what: str) -> None:
    if what == "waiting":
        done.number = done.bench.add("other.mov")
    elif what == "settled":
        done.bench.queue.history.settled(done.number, None, departed=False)
    else:
        done.number = 99
    assert done.settle() is True
    assert done.asked == []
    assert list((done.bench.root / "state" / "jobs").iterdir()) == []


def test_a_share_that_is_away_is_waited_for(
    done: Settled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(done.access, "check_inbox", refuse(ShareAway("nothing is mounted there")))
        assert done.settle() is False
        assert done.settle() is False
    assert (done.asked, done.job.settled, done.job.error_kind) == ([], None, "source")
    assert done.job.error == "the source stays in the inbox for now: nothing is mounted there"
    assert caplog.text.count("nothing is mounted there") == 1, "it is said once"
    assert not done.marker.exists()
    assert done.settle() is True
    assert done.job.error is None


DENIED = PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(
    ("cause", "closed", "folder"),
    [(DENIED, os.W_OK, True), (DENIED, os.X_OK, True), (DENIED, 0, False), (OSError(5, "Input/output"), 7, False)],
    ids=["not writable", "not to be entered", "another place", "another reason"],
)
def test_a_folder_that_gives_nothing_away_is_named(
    done: Settled, cause: OSError, closed: int, folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def access(path: Path, mode: int) -> bool:
        asked.append(path)
        return not mode & closed

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr(module, "settle_source", refuse(Transient("cannot archive it"), cause))
    assert done.settle() is False
    named = f"its folder {done.source.parent} does not let flashvsr take files away"
    assert (named in done.job.error) == folder
    assert ("cannot archive it" in done.job.error) != folder
    assert set(asked) <= {done.source.parent}


def test_a_new_version_stays(bench: Bench) -> None:
    number = bench.add()
    bench.upscaling.at["published"] = lambda: replace_source(bench)
    bench.loop.step()
    assert (bench.job(number).departed, bench.job(number).archived) == (False, None)
