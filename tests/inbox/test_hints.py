"""inotify for real: what it notices at once, and that nothing depends on it."""

from __future__ import annotations

import errno
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.files.trees import NO_LINKS
from flashvsr.inbox import hints as notifier
from flashvsr.inbox.inotify import Inotify
from flashvsr.inbox.watch import InboxWatcher
from kits.inbox_world import POLL, SETTLE, World
from kits.nesting import nested


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
    world.drop("a.mp4")
    world.settle()
    assert world.watcher._notifier._inotify is None
    assert world.names() == ["a.mp4"]


@pytest.mark.parametrize(
    ("code", "sysctl"),
    [(errno.ENOSPC, "fs.inotify.max_user_watches"), (errno.EMFILE, "fs.inotify.max_user_instances")],
)
def test_without_inotify_the_scan_does_it(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int, sysctl: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, "inotify limit reached")

    monkeypatch.setattr(Inotify, "add", refuse)
    world.config = replace(world.config, watch=replace(world.config.watch, observer="inotify"))
    caplog.set_level(logging.WARNING, "flashvsr")
    world.restart()
    world.drop("a.mp4")
    world.settle()
    world.scan()
    world.watcher.stop()
    assert world.names() == ["a.mp4"]
    assert len([message for message in caplog.messages if sysctl in message]) == 1


def test_more_directories_than_watches(
    live: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "flashvsr")
    real, left = Inotify.add, iter(range(3))

    def add(self: Inotify, directory: int) -> int:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, directory)

    monkeypatch.setattr(Inotify, "add", add)
    for number in range(9):
        live.drop("a.mp4", inbox=live.inbox / f"season {number}")
    live.settle()
    assert len(live.names()) == 9
    assert len([message for message in caplog.messages if "max_user_watches" in message]) == 1
    monkeypatch.setattr(Inotify, "add", real)  # raised by somebody
    live.scan()
    path = live.drop("b.mp4", inbox=live.inbox / "season 8")
    until(live, waits(live, path))


def test_a_flood_of_hints_becomes_one_scan(tmp_path: Path) -> None:
    watches = notifier.Listener()
    with NO_LINKS.directory(tmp_path) as opened:
        watches.begin()
        watches.listen(tmp_path, opened)
        watches.end()
    for index in range(3000):
        (tmp_path / f"{index}.mp4").touch()
    hints = watches.drain()
    assert hints.scan
    assert len(hints.paths) == notifier._MOST_PATHS
    assert watches.drain() == notifier.Hints(frozenset(), False)
    watches.stop()


def test_a_renamed_directory_is_watched_under_its_new_name_and_one_that_left_no_more(
    live: World, tmp_path: Path
) -> None:
    live.drop("season/a.mp4")
    live.drop("other/a.mp4")
    live.scan()
    before = len(live.watcher._notifier._places)
    (live.inbox / "season").rename(live.inbox / "season 1")
    (live.inbox / "other").rename(tmp_path / "elsewhere")
    until(live, waits(live, live.inbox / "season 1" / "a.mp4"))
    path = live.drop("season 1/b.mp4")
    until(live, waits(live, path))
    assert len(live.watcher._notifier._places) == before - 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["d", "deep enough"])
def test_a_tree_deeper_than_python_recurses_and_paths_are_long(live: World, name: str) -> None:
    """1,500 directories: recursion ended the watcher, and the thread of the library that listened."""
    live.drop("a.mp4")
    with nested(live.inbox, name=name):
        until(live, lambda: any("deeper than" in text for text in live.watcher.problems.values()))
        path = live.drop("b.mp4", inbox=live.root / "other")  # noticed, and not by the periodic scan
        until(live, waits(live, path))
        live.step(SETTLE)
        assert live.names() == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(("observer", "polls"), [("inotify", 6), ("poll", 1)])
def test_where_all_is_announced_long_scans_are_rarer(
    world: World, monkeypatch: pytest.MonkeyPatch, observer: str, polls: int
) -> None:
    spent = itertools.count(0, 60)  # seconds of a core that each scan takes
    monkeypatch.setattr(time, "thread_time", lambda: float(next(spent)))
    world.config = replace(world.config, watch=replace(world.config.watch, observer=observer))
    world.restart()
    world.step()
    assert world.watcher._next_scan == world.now + polls * POLL
    world.watcher.stop()
