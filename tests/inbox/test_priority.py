"""The priority of an inbox, by its preset: which videos come first."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from flashvsr.settings.preset import PRESET_NAME
from kits.inbox_world import World


def edit(inbox: Path, priority: object) -> None:
    (inbox / PRESET_NAME).write_text(f"priority = {priority}\n")


@pytest.fixture
def urgent(world: World) -> Path:
    inbox = world.root / "urgent"
    inbox.mkdir()
    edit(inbox, 3)
    return inbox


def waiting(world: World) -> list[str]:
    return [job.relative for job in world.queue.forecasts.waiting(99)]


def test_a_higher_priority_comes_first_and_then_who_came_first(world: World, urgent: Path) -> None:
    world.drop("1.mp4")
    world.settle()
    world.drop("2.mp4", inbox=urgent)
    world.settle()
    world.drop("3.mp4", inbox=urgent)
    world.settle()
    assert waiting(world) == ["2.mp4", "3.mp4", "1.mp4"]
    first = world.queue.claims.next_candidate(0.0)
    assert first is not None
    assert first.relative == "2.mp4"


def test_a_changed_preset_reorders_what_waits(world: World, urgent: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world.drop("1.mp4")
    world.drop("2.mp4", inbox=urgent)
    world.settle()
    edit(urgent, -1)
    world.scan()
    assert waiting(world) == ["1.mp4", "2.mp4"]
    assert "1 jobs have the priority -1 now" in caplog.text
    caplog.clear()
    world.scan()
    assert "priority" not in caplog.text
    edit(urgent, 10)
    world.restart()
    world.scan()
    assert waiting(world) == ["2.mp4", "1.mp4"]


def test_a_wrong_preset_changes_no_order_until_it_is_right(world: World, urgent: Path) -> None:
    world.drop("1.mp4")
    world.drop("2.mp4", inbox=urgent)
    world.settle()
    edit(urgent, 11)
    world.scan()
    assert world.names("held") == ["2.mp4"]
    edit(urgent, -10)
    world.scan()
    assert waiting(world) == ["1.mp4", "2.mp4"]


def test_a_file_moved_to_another_inbox_takes_its_priority(world: World, urgent: Path) -> None:
    world.drop("1.mp4")
    moved = world.drop("2.mp4")
    world.settle()
    moved.rename(urgent / "2.mp4")
    world.settle()
    assert waiting(world) == ["2.mp4", "1.mp4"]


def test_a_job_that_waits_again_has_the_priority_of_now(world: World, urgent: Path) -> None:
    world.drop("1.mp4")
    world.drop("2.mp4", inbox=urgent)
    world.settle()
    (number,) = [job.id for job in world.queue.jobs.select() if job.relative == "2.mp4"]
    world.queue.requests.cancel(number)
    edit(urgent, -1)
    world.scan()
    world.queue.requests.retry(number)
    world.scan()
    assert waiting(world) == ["1.mp4", "2.mp4"]


def test_a_priority_alone_is_no_reason_to_look_at_skipped_videos_again(world: World) -> None:
    world.drop("1.mp4")
    world.settle()
    (job,) = world.queue.jobs.select()
    with world.queue.store.writing():
        world.queue.jobs.change(job.id, state="skipped", preset='{"scale": 2.0}')
    edit(world.inbox, 5)
    world.scan()
    assert world.names("skipped") == ["1.mp4"]
    (world.inbox / PRESET_NAME).write_text("scale = 3.0\n")
    world.scan()
    assert world.names("queued") == ["1.mp4"]
