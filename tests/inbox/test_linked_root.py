"""The root of the inboxes may be a link, an administrator's."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.jobs.queue import Queue
from flashvsr.settings.config import Config
from kits.inbox_world import World


@pytest.fixture
def linked(world: World, tmp_path: Path, queue: Queue) -> World:
    """The same behind a link."""
    (tmp_path / "link").symlink_to(tmp_path)
    link = tmp_path / "link"
    paths = replace(world.config.paths, inbox=link / "inbox", outbox=link / "outbox")
    config: Config = replace(world.config, paths=paths, extra_inboxes=())
    return World(link / "inbox", queue, config)


def test_files_become_jobs(linked: World) -> None:
    linked.drop("season/a.mp4")
    linked.settle()
    assert linked.names() == ["season/a.mp4"]
    assert not any(path for path in linked.watcher.problems if "link" in path.parts)
    assert (linked.inbox / "preset.toml").is_file()


def test_a_second_name_is_told_from_a_new_one(linked: World) -> None:
    path = linked.drop("a.mp4")
    linked.settle()
    os.link(path, path.with_name("b.mp4"))
    linked.settle()
    assert linked.names() == ["a.mp4"]
    path.unlink()
    path.with_name("b.mp4").rename(path.with_name("c.mp4"))
    linked.settle()
    assert linked.names() == ["c.mp4"]
