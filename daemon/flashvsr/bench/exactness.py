"""How near an engine's results are to those of the plain model in float32, with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from flashvsr.bench.pictures import drifting
from flashvsr.model.resize import to_unit
from flashvsr.model.stages import Decode, plain_stages
from flashvsr.model.stream import Stream, StreamSpec
from flashvsr.model.windows import window

WINDOWS = 7  # long enough to see whether errors grow


@dataclass(frozen=True)
class MadeFrames:
    """What a stream made, window by window, in main memory: clean latents, and frames in [-1, 1]."""

    latents: list[Tensor]
    frames: list[Tensor]


@dataclass(frozen=True)
class Exactness:
    """Window by window: relative error of the latents, and PSNR of the frames in dB (None where they are equal)."""

    latent_errors: list[float]
    psnr: list[float | None]

    @property
    def drift(self) -> float | None:
        """dB by which the second half of the windows is worse than the first; None where some are equal."""
        known = [value for value in self.psnr if value is not None]
        half = len(self.psnr) // 2
        if len(known) < len(self.psnr) or not half:
            return None
        return sum(known[:half]) / half - sum(known[-half:]) / half


@torch.inference_mode()
def make(stream: Stream, device: torch.device, size: tuple[int, int], windows: int = WINDOWS) -> MadeFrames:
    """Send a drifting texture of the model's size through a stream on `device`, and keep what it makes."""
    width, height = size
    # Frames that end with a window, so that every window is whole.
    pictures = drifting(width, height, window(windows - 1).output[1])
    frames = (to_unit(torch.from_numpy(picture).to(device).permute(2, 0, 1).float()) for picture in pictures)
    with _kept_latents(stream) as latents:
        made = [output.float().cpu() for output in stream.run(frames)]
    return MadeFrames(latents, made)


def plain_stream(model: Any, size: tuple[int, int]) -> Stream:
    """The plain path in float32; `model` is changed to it. TF32 is off from here on."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return Stream(plain_stages(model.float(), StreamSpec(size[1], size[0])))


def compare(found: MadeFrames, exact: MadeFrames) -> Exactness:
    """Of each window, how far what was found is from what is exact."""
    return Exactness(
        [_relative_error(mine, true) for mine, true in zip(found.latents, exact.latents, strict=True)],
        [_psnr(mine, true) for mine, true in zip(found.frames, exact.frames, strict=True)],
    )


@contextmanager
def _kept_latents(stream: Stream) -> Iterator[list[Tensor]]:
    """The latents that a stream hands to its decoder, as long as the block runs."""
    latents: list[Tensor] = []
    before = stream.stages
    stream.stages = replace(before, decode=_Keeping(before.decode, latents))
    try:
        yield latents
    finally:
        stream.stages = before


class _Keeping:
    """A decoder that keeps what it is given."""

    def __init__(self, stage: Decode, latents: list[Tensor]) -> None:
        self._stage, self._latents, self.device = stage, latents, stage.device

    def __call__(self, latents: Tensor, condition: Tensor) -> Iterator[Tensor]:
        self._latents.append(latents.float().cpu())
        return self._stage(latents, condition)


def _relative_error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def _psnr(found: Tensor, exact: Tensor) -> float | None:
    """Of values in [-1, 1]."""
    error = float(((found - exact) / 2).double().square().mean())
    return None if error == 0 else -10 * float(torch.tensor(error).log10())
