"""A file whose work was interrupted and goes on: from which frame, with which warm-up, and with the same picture.

The small model is a real one, and the result lossless: what comes out is compared with a run that nobody interrupted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from flashvsr.errors import Interrupted
from flashvsr.model.stream import StreamOptions
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks
from flashvsr.upscaling.engine import Engine, engine_for
from flashvsr.upscaling.plan import WARM_UP_FRAMES
from flashvsr.video.chunks import stored_chunks
from kits.chain import IdentityEngine, IdentityStream, Watching, chain, played
from kits.golden_cases import formula_model, lq_video
from kits.models import TINY
from kits.videos import number_of, numbered, write_video

FRAMES = 165
# With 64 frames of warm-up the worst frame of this model has 63 dB, with 16 it has 28, and with a wrong origin 22.
LEAST_PSNR = 80.0


class RecordingEngine(IdentityEngine):
    """Passes on; keeps the origin of each stream, and the numbers on the frames that went into it."""

    def __init__(self) -> None:
        self.origins: list[int] = []
        self.frames: list[list[int]] = []

    def stream(self, size: tuple[int, int], options: StreamOptions, origin: int) -> RecordingStream:
        self.origins.append(origin)
        self.frames.append([])
        return RecordingStream(self.frames[-1])


class RecordingStream(IdentityStream):
    def __init__(self, seen: list[int]) -> None:
        self._seen = seen

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        return super().run(map(self._noted, frames))

    def _noted(self, frame: Tensor) -> Tensor:
        self._seen.append(number_of(((frame.permute(1, 2, 0) + 1) * 127.5).numpy()))
        return frame


def interrupt(source: Path, folder: Path, size: int, stop_at: int, **options: Any) -> int:
    """Do a part of the work, in chunks of `size` frames (0: one chunk); the first frame that is missing."""
    control = Watching(stop_at=stop_at, error=Interrupted("the service stops"))
    with pytest.raises(Interrupted):
        chain(source, folder, Config(chunks=Chunks(size=size)), control, **options)
    return stored_chunks(folder / "work")[-1].end


def keep_until(folder: Path, end: int) -> None:
    """Lose the chunks from frame `end` on, as if the interruption had come earlier."""
    for chunk in stored_chunks(folder / "work"):
        if chunk.first >= end:
            chunk.path.unlink()
    assert stored_chunks(folder / "work")[-1].end == end


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("numbered") / "clip.mp4"
    return write_video(path, [numbered(number) for number in range(FRAMES)])


@pytest.fixture(scope="module")
def interrupted(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """What is there of a run in chunks of so many frames that was interrupted at its end; made once for each size."""

    @cache
    def work(size: int) -> Path:
        folder = tmp_path_factory.mktemp("interrupted")
        assert interrupt(clip, folder, size, FRAMES) > FRAMES - size
        return folder / "work"

    return work


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "resumed_at", "origin"),
    [
        (7, 7, 0),
        (8, 128, 0),
        (7, 133, 0),
        (8, 136, 1),
        (13, 143, 1),
        (8, 144, 2),
        (7, 154, 3),
    ],
)
def test_the_model_gets_the_frames_of_its_warm_up(
    size: int, resumed_at: int, origin: int, clip: Path, interrupted: Callable[[int], Path], tmp_path: Path
) -> None:
    """128 frames at least, from the beginning of a window, and it is told which window that is."""
    shutil.copytree(interrupted(size), tmp_path / "work")
    keep_until(tmp_path, resumed_at)
    engine = RecordingEngine()
    report = chain(clip, tmp_path, Config(chunks=Chunks(size=size)), engine=engine)
    assert report.resumed_at == resumed_at
    assert engine.origins == [origin]
    assert engine.frames == [list(range(8 * origin, FRAMES))]
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(FRAMES))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_for(formula_model(TINY), "tiny", Config())


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video in which every frame differs from every other."""
    pictures = ((lq_video(FRAMES, 32, 32) + 1) * 127.5).byte().permute(1, 2, 3, 0).contiguous().numpy()
    return write_video(tmp_path_factory.mktemp("waves") / "clip.mp4", list(pictures), options={"crf": "10"})


def upscaled(waves: Path, folder: Path, engine: Engine) -> tuple[int, np.ndarray]:
    """Where the work began, and the frames that came out in the end."""
    report = chain(waves, folder, engine=engine, scale=4.0, quality=10)
    return report.resumed_at, np.array(played(report.result).pictures).astype(float)


@pytest.fixture(scope="module")
def uninterrupted(waves: Path, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    resumed_at, frames = upscaled(waves, tmp_path_factory.mktemp("uninterrupted"), engine)
    assert resumed_at == 0
    return frames


def least_psnr(frames: np.ndarray, others: np.ndarray) -> float:
    """Of the worst frame, in dB."""
    assert frames.shape == others.shape
    worst = ((frames - others) ** 2).mean(axis=(1, 2, 3)).max()
    return float(10 * np.log10(255**2 / max(worst, 1e-20)))


@pytest.mark.slow
def test_the_picture_is_that_of_an_uninterrupted_run(
    waves: Path, engine: Engine, uninterrupted: np.ndarray, tmp_path: Path
) -> None:
    """Interrupted twice: the model begins anew first at frame 0, and then behind it."""
    for stop, behind in ((30, False), (138, True)):
        end = interrupt(waves, tmp_path, 0, stop, engine=engine, scale=4.0, quality=10)
        assert stop <= end < FRAMES
        assert (end - WARM_UP_FRAMES >= FRAMES_PER_WINDOW) is behind
    resumed_at, frames = upscaled(waves, tmp_path, engine)
    assert resumed_at == end
    assert least_psnr(frames, uninterrupted) > LEAST_PSNR
