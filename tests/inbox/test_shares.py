"""Inboxes and outboxes on real mounts that go away and come back."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from flashvsr.files.trees import NO_LINKS
from flashvsr.jobs.retention import prune
from kits.inbox_world import POLL, World
from kits.mounts import MakeMount


def test_an_unmounted_inbox_is_neither_empty_nor_written_to(world: World, mount: MakeMount, tmp_path: Path) -> None:
    share = mount(world.root)
    world.inbox.mkdir()
    world.restart()
    kept = world.drop("kept.mp4")
    world.drop("waiting.mp4")
    world.settle()
    (job,) = (job for job in world.queue.jobs.select() if job.source == str(kept))
    with world.queue.store.writing():
        world.queue.jobs.end(job.id, "done")
    share.detach()
    for restart in (False, True):
        if restart:
            world.restart()
        world.scan(POLL)
        assert "nothing is mounted at" in world.watcher.problems[world.root]
        assert list(world.root.rglob("*.*")) == []
    assert world.names() == ["waiting.mp4"]
    (world.inbox / "local.mp4").write_bytes(b"somebody else's")
    world.scan(POLL)
    world.step(POLL)
    assert world.names() == ["waiting.mp4"]
    # The history must remember what is done although its source cannot be seen.
    later = time.time() + 31 * 86400
    assert prune(NO_LINKS, world.queue, 30, later)["jobs"] == 0
    share.attach()
    world.scan(POLL)
    world.step(POLL)
    assert world.names() == ["waiting.mp4"]
    assert len(world.queue.jobs.select()) == 2
    assert world.watcher.problems == {}


def test_an_unmounted_outbox_is_said(world: World, mount: MakeMount, tmp_path: Path) -> None:
    share = mount(tmp_path / "outbox")
    world.config = replace(world.config)
    world.restart()
    world.scan()
    assert world.watcher.problems == {}
    share.detach()
    world.scan(POLL)
    assert "nothing is mounted at" in world.watcher.problems[tmp_path / "outbox" / "default"]
    world.drop("a.mp4")
    world.settle()
    assert world.names() == ["a.mp4"]  # it waits in the queue
    share.attach()
    world.scan(POLL)
    assert world.watcher.problems == {}


def test_an_outbox_that_cannot_be_written_is_said_before_there_is_a_job(
    world: World, mount: MakeMount, tmp_path: Path
) -> None:
    share = mount(tmp_path / "outbox")
    outbox = tmp_path / "outbox" / "default"
    share.read_only(True)
    for _ in range(2):
        world.scan(POLL)
        assert "it is mounted read-only" in world.watcher.problems[outbox]
    share.read_only(False)
    world.scan(POLL)
    assert world.watcher.problems == {}
    assert list(share.point.iterdir()) == []


def test_an_outbox_at_rest_is_not_written_to(world: World, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox" / "default"
    outbox.mkdir(parents=True)
    world.scan(POLL)
    touched = outbox.stat().st_mtime_ns
    for _ in range(3):
        world.scan(POLL)
    assert outbox.stat().st_mtime_ns == touched
    world.restart()  # as a reload does
    world.scan(POLL)
    assert outbox.stat().st_mtime_ns > touched


def test_a_file_in_the_place_of_the_root_is_said(world: World) -> None:
    world.inbox.rmdir()
    world.root.rmdir()
    world.root.write_text("something else")
    world.scan(POLL)
    assert "a file is in the way of a directory; move it away" in world.watcher.problems[world.root]
