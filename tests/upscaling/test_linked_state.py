"""The state directory may lie behind a link, an administrator's, also where none is followed to the source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import Cancelled
from flashvsr.files.trees import NO_LINKS
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks, Preprocess
from flashvsr.upscaling.file import upscale_file
from flashvsr.upscaling.salvage import salvage
from flashvsr.upscaling.task import Task
from kits.chain import SAME, IdentityEngine, Watching, played
from kits.videos import number_of, numbered, write_video

FRAMES, SIZE = 24, 8
CONFIG = Config(chunks=Chunks(size=SIZE, min_frames=1))


@pytest.fixture
def task(tmp_path: Path) -> Task:
    for name in ("out", "real"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("real")
    clip = write_video(tmp_path / "clip.mp4", [numbered(number) for number in range(FRAMES)])
    return Task(clip, tmp_path / "out" / "clip.mp4", SAME, tmp_path / "link" / "1", 1, NO_LINKS)


@pytest.mark.parametrize("mode", ["stream", "file"])
def test_a_file_is_done(task: Task, mode: str) -> None:
    config = replace(CONFIG, preprocess=Preprocess(mode=mode))
    report = upscale_file(task, IdentityEngine(), config, Watching())
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(FRAMES))


def test_what_is_finished_is_kept(task: Task) -> None:
    with pytest.raises(Cancelled):
        upscale_file(task, IdentityEngine(), CONFIG, Watching(stop_at=FRAMES - 3, error=Cancelled("cancelled")))
    partial = salvage(task, CONFIG, "cancelled")
    assert partial is not None
    assert partial.parent == task.target.parent
