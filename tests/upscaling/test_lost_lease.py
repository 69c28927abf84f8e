"""A worker that has lost its job leaves the chunks to the one that has it now; any other end keeps what is finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.errors import Cancelled, Interrupted, LeaseLost, Transient
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks
from flashvsr.video.chunks import stored_chunks
from kits.chain import Watching, chain
from kits.videos import numbered, write_video

FRAMES, STOP_AT = 240, 40
ONE_CHUNK = Config(chunks=Chunks(size=0))
THEIRS = b"frames of the worker that has the job now"


class TakenOver(Watching):
    """At frame `stop_at` another worker has the job and the chunk under its own name; this one hears of it then."""

    def __init__(self, folder: Path, stop_at: int, error: Exception) -> None:
        super().__init__(stop_at=stop_at, error=error)
        self._folder, self._lost_at = folder, stop_at
        self.found: dict[str, bytes] = {}

    def progress(self, done: int, total: int | None, fps: float) -> None:
        if done >= self._lost_at:
            (half,) = self._folder.glob("chunk-*.tmp")
            half.unlink()
            half.write_bytes(THEIRS)
            self.found = contents(self._folder)
        super().progress(done, total, fps)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", [numbered(number) for number in range(FRAMES)])


def test_a_lost_lease_leaves_the_chunks_untouched(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(Interrupted):
        chain(clip, tmp_path, ONE_CHUNK, Watching(stop_at=8, error=Interrupted("the service stops")))
    (finished,) = stored_chunks(tmp_path / "work")  # more than 8 frames: others were on their way
    assert finished.end < FRAMES // 2
    lost = LeaseLost("job 1 is no longer this worker's")
    control = TakenOver(tmp_path / "work", finished.end + 16, lost)
    with pytest.raises(LeaseLost):
        chain(clip, tmp_path, ONE_CHUNK, control)
    assert len(control.found) == 3, "a finished chunk, one in the making, and the fingerprint"
    assert contents(tmp_path / "work") == control.found
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("error", [Interrupted("stop"), Cancelled("cancelled"), Transient("no room"), ValueError("?")])
def test_any_other_end_keeps_the_finished_frames(error: Exception, tmp_path: Path, clip: Path) -> None:
    with pytest.raises(type(error)):
        chain(clip, tmp_path, ONE_CHUNK, Watching(stop_at=STOP_AT, error=error))
    (chunk,) = stored_chunks(tmp_path / "work")
    assert chunk.end >= STOP_AT
    chunk.check()
    assert sorted(contents(tmp_path / "work")) == sorted([chunk.path.name, "chunks.fingerprint"])
