"""inotify for real: what it notices at once, and that nothing depends on it."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from inbox_world import SETTLE, World
from watchdog.observers.inotify import InotifyObserver

from flashvsr.inbox import notifier
from flashvsr.inbox.watch import InboxWatcher


@pytest.fixture
def live(world: World) -> Iterator[World]:
    """A world whose periodic scan never comes by itself."""
    world.config = replace(world.config, watch=replace(world.config.watch, observer="auto", poll_seconds=1_000_000))
    world.restart()
    world.step()
    yield world
    world.watcher.stop()


def until(world: World, condition: Callable[[], bool]) -> None:
    """Step until something is noticed; the test's clock stands still but for the pause between scans."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "not noticed"
        time.sleep(0.02)
        world.step(0.05)


def waits(world: World, path: Path) -> Callable[[], bool]:
    return lambda: path in world.watcher._settler


def test_a_new_file_a_renamed_file_and_a_dropped_tree_are_noticed(live: World, tmp_path: Path) -> None:
    path = live.drop("a.mp4")
    until(live, waits(live, path))
    renamed = live.drop(".b.mp4.Xy12").rename(live.inbox / "b.mp4")
    until(live, waits(live, renamed))
    tree = live.drop("t/season/c.mp4", inbox=tmp_path / "elsewhere").parents[1]
    tree.rename(live.inbox / "t")
    until(live, waits(live, live.inbox / "t" / "season" / "c.mp4"))
    live.step(SETTLE)
    assert live.names() == ["a.mp4", "b.mp4", "t/season/c.mp4"]


def test_a_new_inbox_and_a_preset_edit_are_noticed(live: World) -> None:
    path = live.drop("a.mp4", inbox=live.root / "new")
    until(live, waits(live, path))
    (live.root / "new" / "preset.toml").write_text("scale = 99\n")
    until(live, lambda: live.root / "new" in live.watcher.problems)


def test_a_share_mounted_later_is_watched(live: World) -> None:
    away = live.root.rename(live.root.with_name("away"))
    live.scan()
    assert live.root in live.watcher.problems
    away.rename(live.root)
    live.scan()
    path = live.drop("a.mp4")
    until(live, waits(live, path))


def test_a_network_share_is_only_scanned(world: World, tmp_path: Path) -> None:
    world.config = replace(world.config, watch=replace(world.config.watch, observer="auto"))
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text("1 0 8:1 / / rw - nfs4 nas:/x rw\n")
    world.watcher = InboxWatcher(world.config, world.queue, lambda: world.now, mountinfo)
    assert world.watcher._notifier._observer is None
    world.drop("a.mp4")
    world.settle()
    assert world.names() == ["a.mp4"]


@pytest.mark.parametrize(
    ("code", "sysctl"),
    [(errno.ENOSPC, "fs.inotify.max_user_watches"), (errno.EMFILE, "fs.inotify.max_user_instances")],
)
def test_without_inotify_the_scan_does_it(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int, sysctl: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(code, "inotify limit reached")

    monkeypatch.setattr(InotifyObserver, "schedule", refuse)
    world.config = replace(world.config, watch=replace(world.config.watch, observer="inotify"))
    caplog.set_level(logging.WARNING, "flashvsr")
    world.restart()
    world.drop("a.mp4")
    world.settle()
    world.scan()
    world.watcher.stop()
    assert world.names() == ["a.mp4"]
    warnings = [message for message in caplog.messages if sysctl in message]
    assert len(warnings) == 2  # the root and the extra inbox, each once


def test_more_directories_than_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "limit"
    limit.write_text("3\n")
    monkeypatch.setattr(notifier, "_MAX_WATCHES", limit)
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
    notifier._check_limit(tmp_path / "in")
    (tmp_path / "in" / "c").mkdir()
    with pytest.raises(OSError, match="watch limit"):
        notifier._check_limit(tmp_path / "in")


def test_a_flood_of_hints_becomes_one_scan(tmp_path: Path) -> None:
    collector = notifier._Collector()
    for index in range(5000):
        collector.on_any_event(notifier.FileCreatedEvent(str(tmp_path / f"{index}.mp4")))
    hints = collector.take()
    assert hints.scan
    assert len(hints.paths) == notifier._MOST_PATHS
    assert collector.take() == notifier.Hints(frozenset(), False)


def test_what_watchdog_says_while_watching_ends_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    watchdog = logging.getLogger("watchdog.observers.inotify")
    watchdog.error("InotifyEmitter.queue_events() called when the thread is inactive")
    watchdog.error("something else")
    assert caplog.messages == ["something else"]
