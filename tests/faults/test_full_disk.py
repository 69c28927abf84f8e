"""Disks that are really full, at whatever byte: the job waits for room without losing an attempt or what is done."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from flashvsr.jobs.queue import Queue
from kits.crashes import CHUNK, FRAMES, PRESET, Workers, World, is_whole
from kits.mounts import PAGE, MakeMount, fill


def make_due(world: World) -> None:
    with closing(Queue(world.state)) as queue, queue.store.writing():
        queue.jobs.change(1, not_before=0.0)


def waits(world: World, where: Path) -> bool:
    """Whether the job waits for room, and in good order if so."""
    job = world.job()
    if job.state == "done":
        return False
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "space"), job.error
    assert str(where) in job.error
    assert "No space left on device; free some space there" in job.error or "are needed" in job.error
    assert world.source.exists()
    assert not [path for path in world.outbox.rglob("*") if path.is_file() and path.name != "ballast"]
    make_due(world)
    return True


def made(world: World) -> list[int]:
    return [int(first) for first in world.notes.read_text().split()]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_an_outbox_that_is_full_at_any_byte(
    workers: Workers, clip: Path, tmp_path: Path, mount: MakeMount, container: str
) -> None:
    share = mount(tmp_path / "world" / "outbox", "1m")
    world = World(tmp_path / "world", tmp_path / "notes", clip)
    (world.inbox / "preset.toml").write_text(f'{PRESET}container = "{container}"\nreport = true\n')
    waited = 0
    for pages in range(24):  # the result has some 15 of them
        ballast = fill(share.point, pages * PAGE)
        assert workers.run(world) == 0
        ballast.unlink()
        if not waits(world, share.point):
            break
        waited += 1
    assert waited > 5
    job = world.job()
    assert (job.state, job.attempts) == ("done", 1)
    is_whole(world.outbox / "clips" / f"clip.{container}")
    assert made(world) == list(range(0, FRAMES, CHUNK))  # each frame once
    assert not [path for path in world.outbox.rglob(".*")]


def test_chunks_that_find_no_room(workers: Workers, clip: Path, tmp_path: Path, mount: MakeMount) -> None:
    disk = mount(tmp_path / "world" / "state" / "jobs", "1m")
    world = World(tmp_path / "world", tmp_path / "notes", clip)
    waited = 0
    for pages in range(40):  # the first ones are for the folder and its mark
        ballast = fill(disk.point, pages * PAGE)
        assert workers.run(world) == 0
        ballast.unlink()
        if not waits(world, disk.point):
            break
        waited += 1
    assert waited > 1
    assert (world.job().state, world.job().attempts) == ("done", 1)
    is_whole(world.outbox / "clips" / "clip.mp4")
