"""What lies in a folder of done sources is not looked at, whatever becomes of sources now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flashvsr.settings.service_tables import ExtraInbox
from kits.inbox_world import World


@pytest.mark.parametrize("action", ["keep", "done", "archive", "delete"])
def test_done_sources_are_not_done_again(world: World, action: str) -> None:
    films = world.root.parent / "films"
    watch = replace(world.config.watch, on_success=action)
    extra = (ExtraInbox(films, world.root.parent / "larger"),)
    world.config = replace(world.config, watch=watch, extra_inboxes=extra)
    world.restart()
    world.drop("trip/a.mp4", inbox=world.root / "done" / "default")
    world.drop("done/b.mp4", inbox=films)
    world.drop("done/c.mp4")  # a folder of that name in an ordinary inbox is a person's own
    world.drop("e.mp4", inbox=films)
    world.settle()
    assert sorted(job.relative for job in world.queue.jobs.select()) == ["done/c.mp4", "e.mp4"]
    assert not (world.root / "done" / "preset.toml").exists()
