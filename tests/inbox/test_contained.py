"""One bad inbox, preset or file must not harm the others; and what harms all is tried again and seen from outside."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import NoSpace, Transient
from flashvsr.files import texts
from flashvsr.files.trees import Trees
from flashvsr.inbox import presets
from flashvsr.inbox.presets import PresetGuard
from flashvsr.inbox.shares import Shares
from flashvsr.inbox.stock import Stock
from flashvsr.jobs.intake import Intake
from flashvsr.jobs.schema import Job
from flashvsr.settings.inbox_preset import check_inbox_preset
from kits.inbox_world import POLL, SETTLE, World

FAR_FUTURE = 10_000_000_000  # seconds: a date that the queue's database cannot hold in nanoseconds


@pytest.mark.parametrize("error", [RecursionError("too deep"), UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no")])
@pytest.mark.parametrize("place", [(PresetGuard, "check"), (Stock, "take")])
def test_whatever_is_raised_for_one_inbox_stays_there(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: tuple[type, str],
    error: Exception,
) -> None:
    owner, name = place
    real = getattr(owner, name)

    def raising(self: object, inbox: Path, *rest: object) -> object:
        if inbox.name == "bad":
            raise error
        return real(self, inbox, *rest)

    monkeypatch.setattr(owner, name, raising)
    world.drop("a.mp4", inbox=world.root / "bad")
    world.drop("b.mp4")
    world.drop("c.mp4", inbox=world.root / "last")
    world.settle()
    for _ in range(3):
        world.scan(POLL)
        assert world.watcher.last_progress == world.now
    assert world.names() == ["b.mp4", "c.mp4"]
    assert type(error).__name__ in world.watcher.problems[world.root / "bad"]
    said = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1  # not at each scan
    assert said[0].exc_info
    monkeypatch.setattr(owner, name, real)
    world.settle()
    assert world.names() == ["a.mp4", "b.mp4", "c.mp4"]
    assert world.watcher.problems == {}


def test_an_inbox_whose_name_and_preset_are_no_utf8(world: World) -> None:
    bad = Path(os.fsdecode(os.fsencode(world.root) + b"/caf\xe9"))
    world.drop("a.mp4", inbox=bad)
    (bad / "preset.toml").write_text("scalle = 2\n")
    world.drop("b.mp4")
    world.settle()
    assert world.names() == ["b.mp4"]
    assert world.watcher.problems[bad]
    assert world.watcher.last_progress == world.now


def test_one_file_that_the_queue_cannot_take_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = Intake._insert

    def insert(self: Intake, source: object, start: object) -> int:
        if getattr(source, "relative", "") == "bad.mp4":
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        return real(self, source, start)  # type: ignore[arg-type]

    monkeypatch.setattr(Intake, "_insert", insert)
    for name in ("a.mp4", "bad.mp4", "c.mp4"):
        world.drop(name)
    world.settle()
    assert world.names() == ["a.mp4", "c.mp4"]
    for _ in range(3):
        world.scan(POLL)
    assert "OverflowError" in world.watcher.problems[world.inbox]
    assert "bad.mp4" in world.watcher.problems[world.inbox]
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1
    monkeypatch.setattr(Intake, "_insert", real)
    world.step(POLL)
    assert world.names() == ["a.mp4", "bad.mp4", "c.mp4"]


def test_a_date_that_cannot_be_stored_is_told_and_mended_by_a_touch(world: World, tmp_path: Path) -> None:
    path = world.drop("future.mp4")
    world.drop("b.mp4")
    os.utime(path, (FAR_FUTURE, FAR_FUTURE))
    if path.stat().st_mtime < FAR_FUTURE:
        pytest.skip("this file system keeps no such date")
    world.settle()
    assert world.names() == ["b.mp4"]
    assert "impossible dates" in world.watcher.problems[world.inbox]
    os.utime(path)
    world.settle()
    assert world.names() == ["b.mp4", "future.mp4"]


def test_a_path_that_is_too_long_is_told_once_and_not_retried(world: World) -> None:
    top = os.open(world.inbox, os.O_RDONLY)
    for _ in range(20):  # 20 of 250 bytes: more than the kernel takes in one path
        os.mkdir("d" * 250, dir_fd=top)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=top)
        os.close(top)
        top = inner
        os.close(os.open("a.mp4", os.O_WRONLY | os.O_CREAT, dir_fd=top))
        with os.fdopen(os.open("a.mp4", os.O_WRONLY, dir_fd=top), "wb") as file:
            file.write(b"video")
    os.close(top)
    world.settle()
    world.scan(POLL)
    assert len(world.names()) > 10  # those further up are done
    assert len(world.watcher._settler) == 0
    text = " ".join(world.watcher.problems.values())
    assert "bytes and is not looked into" in text
    assert len(text) < 10_000


@pytest.mark.slow
def test_many_complaints_about_one_inbox_hide_nothing_of_the_others(world: World) -> None:
    for number in range(300):
        deep = world.inbox.joinpath(f"{number}", *["d"] * 64)
        deep.mkdir(parents=True)
    other = world.root / "other"
    other.mkdir()
    (other / "preset.toml").write_text("scale = 99\n")
    world.scan()
    assert "scale" in world.watcher.problems[other]
    assert len(world.watcher.problems) < 100
    assert "280 more" in world.watcher.problems[world.inbox]


def test_what_fails_outside_an_inbox_is_no_progress_until_all_is_done_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drop("a.mp4")
    world.scan()
    began = world.now
    real = Shares.stray_files

    def fail(*_: object) -> None:
        raise RuntimeError("nobody knows why")

    monkeypatch.setattr(Shares, "stray_files", fail)
    for _ in range(20):
        try:
            world.step(POLL)
        except RuntimeError:
            continue
    assert world.watcher.last_progress == began
    monkeypatch.setattr(Shares, "stray_files", real)
    world.step(POLL)
    assert world.watcher.last_progress == world.now
    assert world.names() == ["a.mp4"]  # what was settling was not forgotten


@pytest.mark.parametrize(("error", "healthy"), [(Transient("locked"), False), (NoSpace("full"), True)])
def test_a_queue_that_does_not_answer_is_no_progress_unless_the_disk_is_full(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Transient,
    healthy: bool,
) -> None:
    world.drop("a.mp4")
    world.scan()
    began = world.now

    def fail(*_: object) -> list[Job]:
        raise error

    monkeypatch.setattr(world.queue.intake, "add_many", fail)
    for _ in range(12):
        world.step(POLL / 2)
    assert (world.watcher.last_progress >= world.now - POLL) is healthy
    assert healthy or world.watcher.last_progress == began
    assert caplog.messages == [str(error)]
    assert world.watcher.problems[world.queue.path] == str(error)
    monkeypatch.undo()
    world.step(POLL)
    assert world.watcher.last_progress == world.now
    assert world.names() == ["a.mp4"]


def test_a_long_poll_does_not_make_a_hiccup_of_the_queue_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.config = replace(world.config, watch=replace(world.config.watch, poll_seconds=86_400))
    world.restart()
    world.drop("a.mp4")
    world.scan()
    with monkeypatch.context() as patch:
        patch.setattr(world.queue.intake, "add_many", lambda *_: (_ for _ in ()).throw(Transient("locked")))
        world.step(SETTLE)
    assert world.names() == []
    world.step(POLL)
    assert world.names() == ["a.mp4"]


def test_a_wrong_preset_is_parsed_once_until_it_or_its_explanation_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[Path] = []
    real = check_inbox_preset

    def counting(trees: Trees, inbox: Path, quality: int) -> object:
        parsed.append(inbox)
        return real(trees, inbox, quality)

    monkeypatch.setattr(presets, "check_inbox_preset", counting)
    bad = world.root / "bad"
    bad.mkdir()
    (bad / "preset.toml").write_text("scale = 99\n")
    for _ in range(4):
        world.scan(POLL)
    assert sorted(parsed) == sorted([bad, world.inbox, world.config.extra_inboxes[0].path])
    assert "scale" in world.watcher.problems[bad]  # said all the same
    world.drop("a.mp4", inbox=bad)
    world.settle()
    world.scan()
    assert world.names("held") == ["a.mp4"]
    (bad / "preset.error.txt").unlink()
    world.scan()
    assert (bad / "preset.error.txt").exists()
    (bad / "preset.toml").write_text("scale = 3\n")
    world.scan()
    assert world.names() == ["a.mp4"]
    assert parsed.count(bad) == 3


def test_a_preset_that_cannot_be_read_at_the_moment_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.inbox / "preset.toml").write_text("scale = 3\n")
    real = texts.read_up_to

    def stale(descriptor: int, limit: int) -> bytes:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(texts, "read_up_to", stale)
    world.scan()
    assert "Stale" in world.watcher.problems[world.inbox]
    monkeypatch.setattr(texts, "read_up_to", real)
    world.scan()
    assert world.watcher.problems == {}
