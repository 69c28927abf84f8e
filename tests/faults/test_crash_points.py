"""A worker killed, or the power cut, at each step of a job's life: afterwards there is one right result, made once."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flashvsr.jobs.queue import Queue
from kits.crashes import Disk, Workers, World, goes_on_well
from kits.mounts import Mounted

BEFORE, AFTER = False, True
MADE = "flashvsr.files.made"
PROBER = "flashvsr.upscaling.prober:Prober"
UPSCALE, CHUNKS, SOURCE = "flashvsr.upscaling", "flashvsr.video.chunks", "flashvsr.outbox.disposal"
MOMENTS = {
    "claimed": ("flashvsr.jobs.claims:Claims.claim", 1, AFTER),
    "the source was looked at": (f"{PROBER}.probe", 1, AFTER),
    "the chunks belong to this job": (f"{UPSCALE}.plan:ChunkStore", 1, AFTER),
    "decoding": (f"{UPSCALE}.frames:place", 3, AFTER),
    "window 0 is read": (f"{UPSCALE}.frames:place", 25, AFTER),
    "a frame is encoded": (f"{CHUNKS}:ChunkWriter.write", 5, BEFORE),
    "a chunk is full": (f"{CHUNKS}:ChunkWriter.close", 1, BEFORE),
    "a chunk is written": (f"{CHUNKS}:name_durably", 1, BEFORE),
    "a chunk is on the disk": ("pathlib:Path.replace", 1, BEFORE),
    "a chunk has its name": ("flashvsr.files.durable:sync_names", 1, BEFORE),
    "a chunk is durable": (f"{CHUNKS}:ChunkWriter.close", 1, AFTER),
    "the next chunk has begun": (f"{CHUNKS}:ChunkWriter.write", 10, AFTER),
    "two chunks are durable": (f"{CHUNKS}:ChunkWriter.close", 2, AFTER),
    "all chunks are durable": (f"{CHUNKS}:ChunkWriter.close", 4, AFTER),
    "the outbox was prepared": ("flashvsr.outbox.publish:Outbox.temporary_for", 1, AFTER),
    "about to join": (f"{UPSCALE}.file:assemble", 1, BEFORE),
    "joining": ("flashvsr.video.mux:_Assembly._write", 2, AFTER),
    "joined": (f"{UPSCALE}.file:assemble", 1, AFTER),
    "checked": (f"{UPSCALE}.file:verify", 1, AFTER),
    "the result is on the disk": (f"{MADE}:Made.sync", 1, AFTER),
    "its record is half made": ("flashvsr.jobs.ledger:Ledger.write", 1, AFTER),
    "its record is made": ("flashvsr.jobs.claims:Claims.publishing", 1, AFTER),
    "about to be named": (f"{MADE}:Made.give_name", 1, BEFORE),
    "named beside its hidden name": (f"{MADE}:_link", 1, AFTER),
    "named": (f"{MADE}:Made.give_name", 1, AFTER),
    "its name is on the disk": ("flashvsr.outbox.publish:sync_directory", 1, AFTER),
    "its end is half recorded": ("flashvsr.jobs.ledger:Ledger.write", 2, AFTER),
    "done": ("flashvsr.jobs.claims:Claims.finish", 1, AFTER),
    "about to be archived": (f"{SOURCE}:move_numbered", 1, BEFORE),
    "archived": (f"{SOURCE}:move_numbered", 1, AFTER),
    "the archive is on the disk": (f"{SOURCE}:sync_directory", 2, AFTER),
    "settled": ("flashvsr.jobs.history:History.settled", 1, AFTER),
    "tidied": ("flashvsr.outbox.publish:Outbox.remove_temporaries", 2, AFTER),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_killed(workers: Workers, clip: Path, tmp_path: Path, moment: tuple[str, int, bool]) -> None:
    world = World(tmp_path / "world", tmp_path / "notes", clip)
    assert workers.run(world, moment) == -signal.SIGKILL
    goes_on_well(world, workers, clip)


# Where the model works, or what it made is half there; at the others it has not begun or is through.
@pytest.mark.parametrize("name", ["window 0 is read", "the next chunk has begun", "two chunks are durable"])
def test_killed_with_the_model(workers: Workers, clip: Path, tmp_path: Path, name: str) -> None:
    world = World(tmp_path / "world", tmp_path / "notes", clip, model=True)
    assert workers.run(world, MOMENTS[name]) == -signal.SIGKILL
    goes_on_well(world, workers, clip)


# Nothing reached the disk since the moment before.
NOTHING_NEW = {
    "the source was looked at",
    "decoding",
    "window 0 is read",
    "a frame is encoded",
    "about to join",
    "joining",
    "checked",
    "about to be archived",
}
DURABLE = {name: moment for name, moment in MOMENTS.items() if name not in NOTHING_NEW}


@pytest.mark.parametrize("moment", DURABLE.values(), ids=DURABLE.keys())
def test_power_cut(workers: Workers, clip: Path, disk: Disk, tmp_path: Path, moment: tuple[str, int, bool]) -> None:
    world = World(disk.point / "world", tmp_path / "notes", clip)
    disk.sync()
    assert workers.run(world, moment) == -signal.SIGKILL
    disk.cut_power()
    goes_on_well(world, workers, clip)


GIVING_UP = {
    "given up": ("flashvsr.jobs.claims:Claims.claim", 1, AFTER),
    "about to tell why": ("flashvsr.outbox.publish:Outbox.write_error_text", 1, BEFORE),
    "told": ("flashvsr.outbox.publish:Outbox.write_error_text", 1, AFTER),
}


@pytest.mark.parametrize("moment", GIVING_UP.values(), ids=GIVING_UP.keys())
def test_killed_when_the_attempts_are_used_up(
    workers: Workers, clip: Path, tmp_path: Path, moment: tuple[str, int, bool]
) -> None:
    world = World(tmp_path / "world", tmp_path / "notes", clip)
    for deadly in (MOMENTS["two chunks are durable"], MOMENTS["claimed"], MOMENTS["claimed"], moment):
        assert workers.run(world, deadly) == -signal.SIGKILL
        world.restart()
    assert workers.run(world) == 0
    assert world.job().state == "failed"
    assert sorted(world.visible()) == ["clips/clip.mp4.error.txt", "clips/clip_partial.mp4"]
    assert "gave up after 3 attempts" in (world.outbox / "clips" / "clip.mp4.error.txt").read_text()
    assert world.job().result == str(world.outbox / "clips" / "clip_partial.mp4")
    assert world.source.read_bytes() == clip.read_bytes()
    assert not list((world.state / "jobs").iterdir())


COPYING = {
    "copying": (f"{SOURCE}:_writer", 1, AFTER),
    "copied": (f"{SOURCE}:shutil.copyfileobj", 1, AFTER),
    "the copy is on the disk": (f"{SOURCE}:move_numbered", 2, BEFORE),
    "the copy is named": (f"{SOURCE}:move_numbered", 2, AFTER),
    "its name is on the disk": (f"{SOURCE}:sync_directory", 1, AFTER),
    "the source is hidden": (f"{SOURCE}:move_new", 1, AFTER),
    "the source is removed": (f"{SOURCE}:delete", 1, AFTER),
}


@pytest.mark.parametrize("moment", COPYING.values(), ids=COPYING.keys())
def test_killed_while_archiving_to_another_file_system(
    workers: Workers, clip: Path, tmp_path: Path, mount: Callable[..., Mounted], moment: tuple[str, int, bool]
) -> None:
    mount(tmp_path / "world" / "inbox")
    world = World(tmp_path / "world", tmp_path / "notes", clip)
    assert workers.run(world, moment) == -signal.SIGKILL
    assert world.job().state == "done"
    goes_on_well(world, workers, clip)


READ = "flashvsr.video.counted:ReadFile.read"  # once each to decode, and for sound


@pytest.mark.parametrize(
    ("place", "call"),
    [
        (f"{PROBER}.probe", 1),
        (f"{PROBER}.examine", 1),
        (READ, 1),
        (READ, 2),
        ("flashvsr.outbox.publish:make_directories", 1),
        (f"{CHUNKS}:name_durably", 1),
        (f"{MADE}:Made.sync", 1),
        (f"{MADE}:Made.give_name", 1),
        ("flashvsr.outbox.publish:sync_directory", 1),
        (f"{SOURCE}:move_numbered", 1),
    ],
)
def test_a_share_that_fails_is_waited_for(workers: Workers, clip: Path, tmp_path: Path, place: str, call: int) -> None:
    """What a share says whose server was started anew, whose quota is used up, whose disk is sick."""
    world = World(tmp_path / "world", tmp_path / "notes", clip)
    code = (errno.ESTALE, errno.EDQUOT, errno.EIO)[(len(place) + call) % 3]
    assert workers.run(world, (place, call, BEFORE), code) == 0
    job = world.job()
    assert job.attempts <= (job.state == "done")  # it cost none
    assert world.source.exists()
    with closing(Queue(world.state)) as queue, queue.store.writing():
        queue.jobs.change(job.id, not_before=0.0)
    goes_on_well(world, workers, clip)
