"""The training loop: restore a picture, compare, step; and the loss."""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor, nn

from flashvsr.model.network import FlashVSR
from flashvsr.model.stream import MULTIPLE, Stream, StreamOptions
from flashvsr.model.windows import LOOKAHEAD, MIN_INPUT_FRAMES, window, window_count
from flashvsr.training.initial_decoder import free_rows
from flashvsr.training.luma import luma_of
from flashvsr.training.optimizer import GuardedAdam

ERROR_FLOOR = (0.3 / 127.5) ** 2  # about the error of 8-bit rounding: nothing to gain below it
REPORT_STEPS = 100
SEAM = 16  # pixels on either side of a border between tiles that do not count


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Attributes:
        steps: steps, when `minutes` is None.
        minutes: time to spend; the schedule then follows the clock, and the result is not reproducible.
        rate: peak step.
        flat_share: how much of a step remains where it would change what flat pictures become.
        warmup: share of the run in which the steps grow.
        rounding: share of the run, at its end, that computes with weights rounded to bfloat16.
        average: decay of the running average of the weights.
        seed: of the starting weights, the clips and the noise.
    """

    steps: int = 1500
    minutes: float | None = None
    rate: float = 4e-5
    flat_share: float = 0.03
    warmup: float = 0.05
    rounding: float = 0.4
    average: float = 0.998
    seed: int = 0


class PictureSource(Protocol):
    """Where training pictures come from."""

    grid: tuple[int, int]

    def draw(self) -> tuple[Tensor, Tensor]:
        """(degraded, original), each (3, frames, H, W) in [-1, 1], a grid of equal tiles."""
        ...


def train(model: FlashVSR, source: PictureSource, plan: Plan) -> FlashVSR:
    """Train `model` in place and return the running average of its weights."""
    model.requires_grad_(False)

    def show(color: Tensor) -> None:
        restore(model, color.to(model.device)[:, None, None, None].expand(3, MIN_INPUT_FRAMES, MULTIPLE, MULTIPLE))

    optimizer = GuardedAdam(free_rows(model.decoder), show, plan.flat_share)
    average = copy.deepcopy(model)
    parameters, averages = (list(m.decoder.parameters()) for m in (model, average))
    torch.manual_seed(plan.seed)
    report = _Report()
    step = 0
    while (done := _done(plan, report.minutes, step)) < 1:
        rate = plan.rate * _schedule(done, plan.warmup)
        low, high = source.draw()
        target, condition = high[:, :-LOOKAHEAD], low[:, :-LOOKAHEAD]
        with _rounded(parameters, done > 1 - plan.rounding):
            # The result is compared at a fraction of an 8-bit level, which TF32 does not resolve; gradients may be
            # coarse.
            _set_tf32(False)
            output = restore(model, low)
            loss = loss_of(output - target, source.grid)
            _set_tf32(True)
            loss.backward()
        optimizer.step(rate)
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(averages, parameters, 1 - min(plan.average, step / (step + 10)))
            errors = (_log_error(luma_of(x.detach() - target), source.grid) for x in (output, condition))
            report.add(step, rate, *errors)
    _set_tf32(False)
    return average


def restore(model: FlashVSR, low: Tensor) -> Tensor:
    """Run the stream's stages over (3, F, H, W) and return its F - 4 frames, with gradients."""
    stream = Stream(model, low.shape[2], low.shape[3], StreamOptions())
    latents = []
    with torch.no_grad():
        for index in range(window_count(low.shape[1])):
            step = window(index)
            noise = torch.randn(stream.noise_shape(step), device=low.device)
            latents.append(stream.denoise(step, low[:, slice(*step.lq)], noise))
    # The decoder remembers one step only, so that all windows at once are the same as one after the other.
    return stream.decode(torch.cat(latents, dim=1), low[:, :-LOOKAHEAD])


def loss_of(error: Tensor, tiles: tuple[int, int]) -> Tensor:
    """Mean over tiles of the log of the squared error: each tile's PSNR counts alike, flat or busy."""
    luma = luma_of(error)
    colors = torch.stack([_log_error(channel, tiles) for channel in error])
    return _log_error(luma, tiles) + 0.15 * colors.mean() + 0.2 * _log_error(luma.diff(dim=0), tiles)


def _log_error(error: Tensor, tiles: tuple[int, int]) -> Tensor:
    """(frames, H, W) -> scalar. Where tiles meet, nothing like it exists in real pictures: that is left out."""
    square = rearrange(error.square(), "f (r h) (q w) -> (r q) f h w", r=tiles[0], q=tiles[1])
    weight = _inside(square.shape[2], square.shape[3], tiles, error.device)
    mean = (square * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
    return (mean + ERROR_FLOOR).log().mean()


@functools.cache
def _inside(height: int, width: int, tiles: tuple[int, int], device: torch.device) -> Tensor:
    """(tiles, 1, h, w): 1, but 0 near an edge that a tile shares with another; the picture's own edges count."""
    weight = torch.ones(tiles[0] * height, tiles[1] * width, device=device)
    for row in range(1, tiles[0]):
        weight[row * height - SEAM : row * height + SEAM] = 0
    for column in range(1, tiles[1]):
        weight[:, column * width - SEAM : column * width + SEAM] = 0
    return rearrange(weight, "(r h) (q w) -> (r q) 1 h w", r=tiles[0], q=tiles[1])


def _done(plan: Plan, minutes: float, step: int) -> float:
    return step / plan.steps if plan.minutes is None else minutes / plan.minutes


def _schedule(done: float, warmup: float) -> float:
    """Linear rise, then a cosine down to nothing."""
    if done < warmup:
        return max(done, 0.02 * warmup) / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _set_tf32(allowed: bool) -> None:
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed


@contextmanager
def _rounded(parameters: list[nn.Parameter], rounded: bool) -> Iterator[None]:
    """Inside, the weights are what bfloat16 can hold; the gradients then move the exact ones."""
    if not rounded:
        yield
        return
    exact = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(parameter.to(torch.bfloat16))
    yield
    with torch.no_grad():
        torch._foreach_copy_(parameters, exact)


class _Report:
    """Prints how it goes: PSNR-Y of restored and of merely enlarged clips, over the last steps."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.errors: list[tuple[Tensor, Tensor]] = []

    @property
    def minutes(self) -> float:
        """Since the start."""
        return (time.monotonic() - self.started) / 60

    def add(self, step: int, rate: float, restored: Tensor, enlarged: Tensor) -> None:
        """Take in the logarithms of squared errors of one step; nothing is read from the device until due."""
        self.errors.append((restored, enlarged))
        if step % REPORT_STEPS:
            return
        restored, enlarged = (
            10 * math.log10(4) - 10 / math.log(10) * torch.stack(e).mean() for e in zip(*self.errors, strict=True)
        )
        print(
            f"step {step:5}  {self.minutes:5.2f} min  PSNR-Y {restored.item():.2f} dB, "
            f"{restored.item() - enlarged.item():+.2f} over bicubic  rate {rate:.1e}",
            flush=True,
        )
        self.errors.clear()
