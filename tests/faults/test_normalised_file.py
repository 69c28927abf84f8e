"""`preprocess.mode = "file"`: right results, and no such file is left by any ending."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from kits.crashes import FRAMES, Workers, World, goes_on_well, is_whole
from kits.media_facts import facts
from kits.videos import frames_of, number_of

BEFORE, AFTER = False, True
NORMALISE = "flashvsr.video.normalise"
CHUNK_IS_DURABLE = ("flashvsr.video.chunks:ChunkWriter.close", 1, AFTER)
FILE = '[preprocess]\nmode = "file"\npreset = "ultrafast"\n'


@pytest.fixture
def make(tmp_path: Path, clip: Path) -> Callable[..., World]:
    def make(queue: str = "") -> World:
        return World(tmp_path / "world", tmp_path / "notes", clip, extra=queue + FILE)

    return make


def normalised(world: World) -> list[str]:
    """The kinds of such files that are there."""
    return sorted(path.suffix for path in world.root.rglob("normalised-*"))


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ((f"{NORMALISE}:StreamWriter.write", 5, AFTER), [".tmp"]),
        ((f"{NORMALISE}:StreamWriter.finish", 1, AFTER), [".tmp"]),
        (("pathlib:Path.replace", 1, BEFORE), [".digest", ".tmp"]),
        (("pathlib:Path.replace", 1, AFTER), [".digest", ".mp4"]),
        (CHUNK_IS_DURABLE, [".digest", ".mp4"]),
    ],
    ids=["it is written", "it is complete", "about to be named", "named", "a chunk is durable"],
)
def test_kill_9(
    workers: Workers, clip: Path, make: Callable[..., World], moment: tuple[str, int, bool], left: list[str]
) -> None:
    world = make()
    assert workers.run(world, moment) == -signal.SIGKILL
    assert normalised(world) == left, "it is there when nobody is left to take it away"
    goes_on_well(world, workers, clip)
    assert not normalised(world)
    before, after = facts(clip), facts(world.outbox / "clips" / "clip.mp4")
    assert after.video_times == pytest.approx(before.video_times, abs=0.0015)
    (codec, *heard), (kept, *heard_before) = after.audio[0], before.audio[0]
    assert (len(after.audio), codec) == (1, kept)
    assert heard == pytest.approx(heard_before, abs=0.001)


def test_a_job_that_goes_no_further(workers: Workers, make: Callable[..., World]) -> None:
    """The frames that are done come back as a partial video with their sound; the normalised file does not stay."""
    world = make("max_attempts = 1\n")
    assert workers.run(world, CHUNK_IS_DURABLE) == -signal.SIGKILL
    world.restart()
    assert workers.run(world) == 0
    assert world.job().state == "failed"
    partial = Path(world.job().result)
    numbers = [number_of(picture) for _, picture in frames_of(partial)]
    assert numbers == list(range(len(numbers)))
    assert 8 <= len(numbers) < FRAMES
    assert len(facts(partial).audio) == 1
    assert not normalised(world)
    assert world.source.exists()
    assert not list((world.state / "jobs").iterdir())


def test_stopping_in_good_order_and_another_mode_after_it(workers: Workers, make: Callable[..., World]) -> None:
    """Kept for the attempt that goes on, and gone when that one has no use for it."""
    world = make()
    assert workers.run(world, CHUNK_IS_DURABLE, number=signal.SIGTERM) == 0
    assert (world.job().state, world.job().attempts) == ("queued", 0)
    assert normalised(world) == [".digest", ".mp4"]
    world.config.write_text(world.config.read_text().replace(FILE, ""))
    assert workers.run(world) == 0
    assert world.job().state == "done"
    is_whole(world.outbox / "clips" / "clip.mp4")
    assert not normalised(world)
