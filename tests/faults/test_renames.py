"""A source that gets another name while its job waits or runs: it is done once, without a start anew, and the result
has the new name. Real workers; the rename happens at a named moment.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from flashvsr.jobs.intake import Source
from flashvsr.jobs.queue import Queue
from kits.crashes import CHUNK, FRAMES, PRESET, Workers, World, is_whole

BEFORE, AFTER = False, True
UPSCALE, CHUNKS = "flashvsr.upscaling", "flashvsr.video.chunks"


@dataclass(frozen=True)
class Kind:
    """`old` and `new`: what is renamed, below the inbox root. Then where the source is, and where its result goes."""

    old: str
    new: str
    source: str
    result: str

    def pairs(self, world: World) -> list[tuple[Path, Path]]:
        root = world.root / "inbox"
        return [(root / self.old, root / self.new)]


FILE = Kind("clips/a/clip.mp4", "clips/a/film.mp4", "clips/a/film.mp4", "clips/a/film.mp4")
EXTENSION = Kind("clips/a/clip.mp4", "clips/a/clip.m4v", "clips/a/clip.m4v", "clips/a/clip.mp4")
PARENT = Kind("clips/a", "clips/b", "clips/b/clip.mp4", "clips/b/clip.mp4")
MOVED = Kind("clips/a/clip.mp4", "other/clip.mp4", "other/clip.mp4", "other/clip.mp4")
INBOX = Kind("clips", "films", "films/a/clip.mp4", "films/a/clip.mp4")
OTHERS = {"file": FILE, "extension": EXTENSION, "other inbox": MOVED, "inbox": INBOX}

MOMENTS = {
    "chosen": ("flashvsr.worker.loop:WorkerLoop._take", 1, BEFORE),
    "about to be claimed": ("flashvsr.jobs.claims:Claims.claim", 1, BEFORE),
    "claimed": ("flashvsr.jobs.claims:Claims.claim", 1, AFTER),
    "opened": ("flashvsr.upscaling.prober:Prober.probe", 1, BEFORE),
    "looked at": ("flashvsr.upscaling.prober:Prober.probe", 1, AFTER),
    "decoding": (f"{UPSCALE}.frames:place", 3, AFTER),
    "two chunks are durable": (f"{CHUNKS}:ChunkWriter.close", 2, AFTER),
    "about to join": (f"{UPSCALE}.file:assemble", 1, BEFORE),
    "joining": ("flashvsr.video.mux:_Assembly._write", 5, AFTER),
    "checked": (f"{UPSCALE}.file:verify", 1, AFTER),
    "about to be recorded": ("flashvsr.files.made:Made.sync", 1, AFTER),
}


@pytest.fixture
def make(tmp_path: Path, clip: Path) -> Callable[..., World]:
    def make(on_success: str = "archive") -> World:
        extra = f'[watch]\non_success = "{on_success}"\n'
        world = World(tmp_path / "world", tmp_path / "notes", clip, name="a/clip.mp4", extra=extra)
        other = world.root / "inbox" / "other"
        other.mkdir()
        (other / "preset.toml").write_text(PRESET)
        return world

    return make


def made(world: World) -> list[int]:
    """First frames of the chunks that were made, in the order of their making."""
    return [int(first) for first in world.notes.read_text().split()]


def is_done_once(world: World, kind: Kind) -> None:
    job = world.job()
    assert (job.state, job.attempts, job.error) == ("done", 1, None)
    assert job.source == str(world.root / "inbox" / kind.source)
    assert job.result == str(world.outbox / kind.result)
    assert list(world.visible()) == [kind.result]
    assert not [path for path in world.outbox.rglob(".*")]
    is_whole(world.outbox / kind.result)
    assert made(world) == list(range(0, FRAMES, CHUNK))
    assert not list((world.state / "jobs").iterdir())


def is_archived(world: World, kind: Kind) -> None:
    archived = world.state / "archive" / kind.source
    assert archived.exists()
    assert world.job().archived == str(archived)
    assert not (world.root / "inbox" / kind.source).exists()


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_directory_renamed_at_each_moment(
    workers: Workers, make: Callable[..., World], moment: tuple[str, int, bool]
) -> None:
    """As programs do that unpack what they downloaded."""
    world = make()
    assert workers.run(world, moment, renames=PARENT.pairs(world)) == 0
    is_done_once(world, PARENT)
    is_archived(world, PARENT)


@pytest.mark.parametrize("kind", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("moment", ["chosen", "decoding", "about to be recorded"])
def test_other_renames(workers: Workers, make: Callable[..., World], kind: Kind, moment: str) -> None:
    world = make()
    assert workers.run(world, MOMENTS[moment], renames=kind.pairs(world)) == 0
    is_done_once(world, kind)
    is_archived(world, kind)


@pytest.mark.parametrize(
    "moment",
    [
        ("flashvsr.files.made:Made.give_name", 1, BEFORE),
        ("flashvsr.files.made:Made.give_name", 1, AFTER),
        ("flashvsr.jobs.claims:Claims.finish", 1, AFTER),
    ],
    ids=["about to be named", "named", "done"],
)
@pytest.mark.parametrize(
    ("action", "kind"),
    [("archive", PARENT), ("archive", MOVED), ("delete", PARENT), ("keep", PARENT)],
    ids=["archive", "archive from another inbox", "delete", "keep"],
)
def test_a_rename_between_the_record_of_the_result_and_the_end_of_the_source(
    workers: Workers, make: Callable[..., World], kind: Kind, moment: tuple[str, int, bool], action: str
) -> None:
    """The result has the name by then; the source is treated as it should be, wherever it is."""
    world = make(action)
    assert workers.run(world, moment, renames=kind.pairs(world)) == 0
    job = world.job()
    assert (job.state, job.result) == ("done", str(world.outbox / "clips" / "a" / "clip.mp4"))
    assert job.settled is not None
    source = world.root / "inbox" / kind.source
    assert source.exists() == (action == "keep")
    if action == "archive":
        is_archived(world, kind)
    if action == "keep":  # and is not done again under its new name
        found = Source.of(world.inbox, source, "b/clip.mp4", source.lstat())
        with closing(Queue(world.state)) as queue:
            assert queue.intake.add_many([found]) == [None]
            assert len(queue.jobs.select()) == 1


def test_a_worker_that_dies_keeps_its_chunks_under_the_new_name(workers: Workers, make: Callable[..., World]) -> None:
    world = make()
    assert workers.run(world, MOMENTS["two chunks are durable"]) == -signal.SIGKILL
    (world.inbox / "a").rename(world.inbox / "b")
    world.restart()
    assert workers.run(world) == 0
    assert world.job().attempts == 2
    assert list(world.visible()) == ["clips/b/clip.mp4"]
    is_whole(world.outbox / "clips" / "b" / "clip.mp4")
    assert made(world) == list(range(0, FRAMES, CHUNK))
    is_archived(world, PARENT)


@pytest.mark.parametrize("moment", ["decoding", "about to join"])
def test_an_inbox_that_is_taken_away_while_a_job_runs(
    workers: Workers, make: Callable[..., World], moment: str
) -> None:
    world = make()
    assert workers.run(world, MOMENTS[moment], renames=[(world.inbox, world.root / "elsewhere")]) == 0
    job = world.job()
    assert (job.state, job.result) == ("done", str(world.outbox / "clips" / "a" / "clip.mp4"))
    assert job.settled is None  # it may be a share that comes back
    assert (world.root / "elsewhere" / "a" / "clip.mp4").exists()


@pytest.mark.parametrize("moment", ["decoding", "about to join"])
def test_a_file_that_is_taken_away_while_it_runs_has_its_result(
    workers: Workers, make: Callable[..., World], moment: str
) -> None:
    """Whoever takes it away, or gives it a name that is no video's, did not ask for the work to be thrown away."""
    world = make()
    gone = [(world.source, world.root / "elsewhere.mp4")]
    assert workers.run(world, MOMENTS[moment], renames=gone) == 0
    job = world.job()
    assert (job.state, job.result) == ("done", str(world.outbox / "clips" / "a" / "clip.mp4"))
    is_whole(world.outbox / "clips" / "a" / "clip.mp4")
    assert gone[0][1].exists()
    assert job.archived is None


@pytest.mark.parametrize("new", ["clips/a/clip.mp4.bak", "clips/a/.clip.mp4"], ids=["no video", "hidden"])
def test_a_name_that_is_no_videos_ends_a_job_that_waits(workers: Workers, make: Callable[..., World], new: str) -> None:
    world = make()
    world.source.rename(world.root / "inbox" / new)
    assert workers.run(world) == 0
    assert (world.job().state, world.job().error_kind) == ("failed", "bad_input.gone")
    assert "the file is gone" in world.job().error


def test_a_hard_link_takes_the_place_of_a_name_that_is_removed(workers: Workers, make: Callable[..., World]) -> None:
    world = make()
    (world.inbox / "b").mkdir()
    (world.inbox / "b" / "clip.mp4").hardlink_to(world.source)
    assert workers.run(world, MOMENTS["chosen"], renames=[(world.source, world.root / "removed.mp4")]) == 0
    (world.root / "removed.mp4").unlink()
    is_done_once(world, PARENT)
    is_archived(world, PARENT)


def test_the_outbox_is_made_anew_where_it_was_renamed(workers: Workers, make: Callable[..., World]) -> None:
    world = make()
    out = world.outbox / "clips"
    out.mkdir()
    assert workers.run(world, MOMENTS["decoding"], renames=[(out, world.outbox / "old")]) == 0
    assert list(world.visible()) == ["clips/a/clip.mp4"]
    assert (world.job().state, world.job().attempts) == ("done", 1)
