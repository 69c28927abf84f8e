"""How fast the worker makes a whole file: decode, enlarge, model, encode, join, check, publish."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.bench.clip import write_clip
from flashvsr.bench.shows_source import ShowsSource
from flashvsr.bench.speed import OnFrames
from flashvsr.settings.preset import Preset
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.engine import AnyEngine
from flashvsr.upscaling.file import upscale_file
from flashvsr.upscaling.task import Task
from flashvsr.video.geometry import Size, plan

if TYPE_CHECKING:
    from flashvsr.settings.config import Config


@dataclass(frozen=True)
class FileRun:
    """A clip of a size and what is to be made of it."""

    clip: Size
    preset: Preset

    @property
    def size(self) -> Size:
        """The model's picture."""
        return plan(*self.clip, self.preset).model


# What people send most: 720p, made 960 wide and doubled, to 1920x1024.
USUAL = FileRun((1280, 720), Preset(width=960, scale=2, limit="", fit="crop", encoder="software"))


def doubling(size: Size) -> FileRun:
    """A clip of half the size in each direction, doubled."""
    return FileRun((size[0] // 2, size[1] // 2), Preset(width=0, scale=2, limit="", fit="crop", encoder="software"))


@dataclass(frozen=True)
class Done:
    """What came of it. `seconds`: from opening the source to the published result, with a loaded model.

    `shows`: "model" where the model's own frames were encoded, "source" where the enlarged source's were in their
    place, since random weights make noise, which keeps an encoder many times busier than any picture.
    """

    job: FileRun
    shows: str
    frames: int
    seconds: float
    encoder: str
    warnings: list[str]

    @property
    def frames_per_second(self) -> float:
        """Of the whole job."""
        return self.frames / self.seconds


def measure_job(
    engine: AnyEngine, config: Config, job: FileRun, frames: int, on_frames: OnFrames, *, shows_source: bool = False
) -> Done:
    """Make a clip of so many frames, and time the worker's own code on it. `shows_source`: see `Done`."""
    with tempfile.TemporaryDirectory(prefix="flashvsr-bench-") as name:
        folder = Path(name)
        for part in ("work", "outbox"):
            (folder / part).mkdir()
        source = folder / "clip.mp4"
        write_clip(source, *job.clip, frames)
        task = Task(source, folder / "outbox" / "clip.mp4", job.preset, folder / "work", 0, config.trees())
        started = time.perf_counter()
        report = upscale_file(task, ShowsSource(engine) if shows_source else engine, config, _Counting(on_frames))
        seconds = time.perf_counter() - started
    return Done(job, "source" if shows_source else "model", report.frames, seconds, report.encoder, report.warnings)


class _Counting(Control):
    """Hears of progress; nothing else can come in between."""

    def __init__(self, on_frames: OnFrames) -> None:
        self._on_frames = on_frames

    def progress(self, done: int, total: int | None, fps: float) -> None:
        self._on_frames(done)
