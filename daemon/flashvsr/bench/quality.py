"""How good the product's pictures are: a video is made smaller, enlarged in several ways and compared with itself.

    source -> cut to size -> made smaller -> the worker's own stream, and other enlargers -> compared, frame by frame

Frames go through one by one; memory does not depend on the length of the video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from flashvsr.bench.enlargers import Enlarger
from flashvsr.bench.luma import luma_of
from flashvsr.bench.metrics import Scores, psnr, ssim
from flashvsr.bench.shrink import shrink
from flashvsr.errors import BadInput
from flashvsr.model.stream import StreamOptions
from flashvsr.model.windows import FRAMES_PER_WINDOW, window
from flashvsr.settings.preset import Preset
from flashvsr.upscaling.engine import Engine
from flashvsr.upscaling.frames import from_model, to_model
from flashvsr.upscaling.pairing import Tagged, through
from flashvsr.video.decode import DecodeOptions, Rgb, decode
from flashvsr.video.geometry import BLOCK, Geometry, Size, plan
from flashvsr.video.probe import SourceInfo

MODEL, BICUBIC = "model", "bicubic"
AREA = "area"
FILTERS = (AREA, BICUBIC)
LEAST_SIDE = 32  # pixels: of less there is nothing to say
LEAST_FRAMES = 2  # one alone has no steadiness


@dataclass(frozen=True)
class Comparison:
    """What to measure of one video.

    Attributes:
        info: the video.
        size: (width, height) of the part in its middle that is measured.
        scale: it is made so many times smaller, 2 or 4.
        filter: how: "area" takes averages, "bicubic" the bicubic filter.
        start: first frame.
        frames: how many, None for all.
    """

    info: SourceInfo
    size: Size
    scale: int
    filter: str
    start: int = 0
    frames: int | None = None

    @property
    def geometry(self) -> Geometry:
        """What the product does with the small frames: pictures too small for the model are extended and cut back."""
        width, height = self.size
        return plan(width // self.scale, height // self.scale, Preset(width=0, scale=self.scale, fit="pad"))


@dataclass(frozen=True)
class ComparedFrame:
    """One source frame and what became of it, by name: each (3, H, W) uint8."""

    index: int
    source: Tensor
    enlarged: Mapping[str, Tensor]


@dataclass(frozen=True)
class Measured:
    """One video: the scores of each way to enlarge it, and what was wrong with the file."""

    task: Comparison
    scores: Mapping[str, Scores]
    warnings: list[str]

    @property
    def frames(self) -> int:
        """How many were compared."""
        return len(self.scores[MODEL].error)

    def gains(self, over: str = BICUBIC) -> dict[str, float]:
        """By how much the model is better than another way, in each of the summary's measures."""
        mine, others = self.scores[MODEL].summary(), self.scores[over].summary()
        return {name: mine[name] - others[name] for name in mine}

    def frame_gains(self) -> np.typing.NDArray[np.float64]:
        """PSNR-Y of the model above bicubic's in dB, frame by frame."""
        return psnr(self.scores[MODEL].error) - psnr(self.scores[BICUBIC].error)

    def window_start_gain(self) -> float | None:
        """First frames of windows against the frames just before and after: mean difference of the gains in dB.

        None where no window begins within the video.
        """
        gains = self.frame_gains()
        starts = np.arange(window(1).output[0], len(gains) - 1, FRAMES_PER_WINDOW)
        if not len(starts):
            return None
        return float((gains[starts] - (gains[starts - 1] + gains[starts + 1]) / 2).mean())


def measured_size(info: SourceInfo, scale: int, at_most: Size | None = None) -> Size:
    """The size of the part of a video that is measured: in multiples of the model's blocks where it is that large.

    `at_most`: (width, height) that it must not exceed. Raises BadInput for pictures too small to measure.
    """
    sides = [min(pair) for pair in zip((info.width, info.height), at_most or (info.width, info.height), strict=True)]
    multiple = BLOCK if min(sides) >= BLOCK else 2 * scale  # the small frames need even sides
    width, height = (side // multiple * multiple for side in sides)
    if min(width, height) < LEAST_SIDE:
        raise BadInput(
            f"{info.path}: {sides[0]}x{sides[1]} pixels are too small to be measured; "
            f"{LEAST_SIDE}x{LEAST_SIDE} are the least"
        )
    return width, height


@torch.inference_mode()
def restored(
    task: Comparison, engine: Engine, enlargers: Mapping[str, Enlarger], sources: Iterable[Tensor]
) -> Iterator[ComparedFrame]:
    """Make source frames (3, H, W) uint8 smaller, and enlarge them by the model and the others."""
    geometry, device = task.geometry, engine.device

    def inputs() -> Iterator[Tagged[Tensor, tuple[Tensor, Tensor]]]:
        for source in sources:
            low = shrink(source[None].float(), task.scale, task.filter == BICUBIC)[0].to(torch.uint8)
            yield Tagged(to_model(low.permute(1, 2, 0).cpu().numpy(), geometry, device), (source, low))

    stream = engine.stream(geometry.model, StreamOptions(), 0)
    index = task.start
    for batch in through(stream, inputs()):
        for pixels, (source, low) in zip(from_model(batch.pixels, geometry), batch.tags, strict=True):
            enlarged = {name: enlarger(low, task.scale) for name, enlarger in enlargers.items()}
            enlarged[MODEL] = torch.from_numpy(pixels).permute(2, 0, 1).to(device)
            yield ComparedFrame(index, source, enlarged)
            index += 1


def measure(
    task: Comparison, engine: Engine, enlargers: Mapping[str, Enlarger], on_frame: Callable[[ComparedFrame], None]
) -> Measured:
    """Measure one video; `on_frame` sees every frame, and may raise to stop.

    Raises:
        BadInput: it has fewer than two frames from the start on, or nothing can be decoded.
        Transient: reading it failed.
    """
    decoder = decode(task.info, (task.info.width, task.info.height), DecodeOptions(task.start))
    sources = (_cut(frame.rgb, task.size, engine.device) for frame in islice(decoder, task.frames))
    tallies: dict[str, _Tally] = {name: _Tally() for name in (*enlargers, MODEL)}
    count = 0
    try:
        for frame in restored(task, engine, enlargers, sources):
            truth = luma_of(frame.source.float())
            lumas = torch.stack([luma_of(frame.enlarged[name].float()) for name in tallies])
            for tally, error, likeness in zip(tallies.values(), lumas - truth, ssim(lumas, truth), strict=True):
                tally.add(error, likeness)
            count += 1
            on_frame(frame)
    finally:
        decoder.close()
    if count < LEAST_FRAMES:
        raise BadInput(
            f"{task.info.path}: {'one frame' if count else 'no frame'} from frame {task.start} on; to see how "
            f"steady a video is takes {LEAST_FRAMES}: give a longer one, or start earlier"
        )
    return Measured(task, {name: tally.scores() for name, tally in tallies.items()}, decoder.warnings)


def _cut(rgb: Rgb, size: Size, device: torch.device) -> Tensor:
    """The middle of a frame (h, w, 3), as (3, H, W) on the device; of 8 bits, whatever the source's depth."""
    if rgb.dtype == np.uint16:
        rgb = np.rint(rgb / 257).astype(np.uint8)
    (height, width), (new_width, new_height) = rgb.shape[:2], size
    top, left = (height - new_height) // 2, (width - new_width) // 2
    return torch.from_numpy(rgb[top : top + new_height, left : left + new_width]).to(device).permute(2, 0, 1)


class _Tally:
    """Collects the scores of one way to enlarge."""

    def __init__(self) -> None:
        self._errors: list[float] = []
        self._changes: list[float] = []
        self._likeness: list[float] = []
        self._before: Tensor | None = None

    def add(self, error: Tensor, likeness: float) -> None:
        """Take in the next frame's errors of luma (H, W) and its SSIM."""
        self._errors.append(float(error.square().mean()))
        self._likeness.append(likeness)
        if self._before is not None:
            # The error of a frame difference is the difference of the errors.
            self._changes.append(float((error - self._before).square().mean()))
        self._before = error

    def scores(self) -> Scores:
        """All frames taken in."""
        return Scores(*(np.array(values) for values in (self._errors, self._changes, self._likeness)))
