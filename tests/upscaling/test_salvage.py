"""The partial video of a job that goes no further."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.errors import Cancelled
from flashvsr.files.trees import NO_LINKS
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.settings.processing_tables import Chunks
from flashvsr.upscaling.salvage import salvage
from flashvsr.upscaling.task import Task
from flashvsr.video.chunks import stored_chunks
from kits.chain import Watching, chain, played
from kits.damages import DAMAGES, flip
from kits.videos import number_of, numbered, write_video

FRAMES, SIZE = 60, 16
CONFIG = Config(chunks=Chunks(size=SIZE))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", [numbered(n) for n in range(FRAMES)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flipped", "cut", "gone"])
def test_a_partial_video_ends_at_the_damage(kind: str, tmp_path: Path, clip: Path) -> None:
    with pytest.raises(Cancelled):
        chain(clip, tmp_path, CONFIG, Watching(stop_at=FRAMES - 5, error=Cancelled("cancelled")))
    DAMAGES[kind](stored_chunks(tmp_path / "work")[2].path)
    task = Task(clip, tmp_path / "out" / "clip.mp4", Preset(), tmp_path / "work", 1, NO_LINKS)
    partial = salvage(task, CONFIG, "cancelled")
    assert partial is not None
    assert [number_of(picture) for picture in played(partial).pictures] == list(range(2 * SIZE))


def test_no_partial_video_of_nothing(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(Cancelled):
        chain(clip, tmp_path, CONFIG, Watching(stop_at=FRAMES - 5, error=Cancelled("cancelled")))
    flip(stored_chunks(tmp_path / "work")[0].path)
    task = Task(clip, tmp_path / "out" / "clip.mp4", Preset(), tmp_path / "work", 1, NO_LINKS)
    assert salvage(task, CONFIG, "cancelled") is None
