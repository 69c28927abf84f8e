"""The training loop of the corrections, and its loss."""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from flashvsr.bench.luma import luma_of
from flashvsr.training.cascade import Cascade
from flashvsr.training.channel_layout import MARGIN, SPAN
from flashvsr.training.data import Clip, ClipSampler, Footage, Proportions, enlarge
from flashvsr.training.degrade import Degradation, degrade
from flashvsr.training.grain import add_grain

ERROR_FLOOR = (0.3 / 255) ** 2  # about the error of 8-bit rounding: nothing to gain below it
REPORT_STEPS = 500
DRAWING_THREADS, BATCHES_AHEAD = 6, 2


@dataclass(frozen=True)
class Schedule:
    """How long, how fast and on what to train.

    Attributes:
        steps: steps of the optimizer.
        clips: clips of a step.
        frames: frames of a clip.
        side: pixels of a clip along rows and columns.
        rate: peak step of Adam.
        shares: what clips are taken from.
        grain_share: of all but the compressed and the grainy ones, those with grain added.
        steadiness: weight of the error of frame differences.
        grain_steadiness: the same for clips with grain, where more is to be lost.
        patience: share of the run in which clips at 1/2 size count for less, and more and more.
        halves: what they count for at its beginning.
        warmup: share of the run in which the steps grow.
        rounding: share of the run, at its end, that computes with weights rounded to bfloat16.
        average: decay of the running average of the weights.
        degradation: what happens to clips that are not compressed.
        seed: of the starting weights, the clips and the noise.
    """

    steps: int
    clips: int
    frames: int
    side: int = 256
    rate: float = 2e-3
    shares: Proportions = field(default_factory=Proportions)
    grain_share: float = 0.2
    steadiness: float = 0.3
    grain_steadiness: float = 1.0
    patience: float = 0.5
    halves: float = 1.0
    warmup: float = 0.02
    rounding: float = 0.3
    average: float = 0.999
    degradation: Degradation = field(default_factory=Degradation)
    seed: int = 0


@dataclass(frozen=True)
class _Drawn:
    """One clip: kind of degradation, by how much it was smaller, weight of frame differences, degraded, original."""

    kind: str
    factor: int
    steadiness: float
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class _Batch:
    """What one step trains on.

    Attributes:
        kinds: what was done to each clip.
        at_half: which clips are at 1/2 size, (clips,).
        steadiness: weight of the error of frame differences, (clips,).
        low, high: lumas of degraded and original clips, (clips, frames, H, W) in [0, 1].
    """

    kinds: list[str]
    at_half: Tensor
    steadiness: Tensor
    low: Tensor
    high: Tensor


def train(model: Cascade, footage: Footage, plan: Schedule, device: torch.device) -> Cascade:
    """Train the corrections, as far as they are not fixed, and return the running average of their weights."""
    model = model.to(device)
    average = copy.deepcopy(model)
    learned = [parameter.requires_grad for parameter in model.parameters()]
    parameters, averages = (list(compress(network.parameters(), learned)) for network in (model, average))
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.99), fused=device.type == "cuda")
    report = _Report(plan.steps)
    for step, batch in enumerate(_batches(footage, plan)):
        done = step / plan.steps
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _schedule(done, plan.warmup)
        carried = MARGIN + SPAN * F.avg_pool2d(batch.low.flatten(0, 1)[:, None], 2)
        error = (model(carried, rounded=done > 1 - plan.rounding) - MARGIN) / SPAN
        error = error.unflatten(0, batch.low.shape[:2]) - _cells(batch.high)
        logs, changes = log_error(error), log_error(error.diff(dim=1))
        optimizer.zero_grad(set_to_none=True)
        # What is right at 1/4 size is wrong at 1/2 size, by more decibels. With equal weights from the start, it is not
        # learned at all, before what tells the two apart is.
        weight = torch.where(batch.at_half, min(1.0, plan.halves + (1 - plan.halves) * done / plan.patience), 1.0)
        (weight * (logs + batch.steadiness * changes)).mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, parameters, 1 - min(plan.average, step / (step + 10)))
            report.add(step, batch.kinds, log_error(batch.low - batch.high), logs)
    return average


def log_error(error: Tensor) -> Tensor:
    """Per clip the log of the mean squared error: each clip's PSNR counts alike, flat or busy."""
    return (error.square().flatten(1).mean(dim=1) + ERROR_FLOOR).log()


def _cells(luma: Tensor) -> Tensor:
    """(clips, frames, H, W) -> (clips, frames, 4, H/2, W/2)."""
    return rearrange(luma, "b f (h y) (w x) -> b f (y x) h w", y=2, x=2)


def _batches(footage: Footage, plan: Schedule) -> Iterator[_Batch]:
    """One batch per step, drawn ahead by threads: a GPU waits for the many small operations of drawing otherwise."""
    sampler = ClipSampler(footage, plan.side, plan.frames, plan.shares)

    def draw(index: int) -> _Drawn:
        random = np.random.default_rng((plan.seed, index))
        return _draw_clip(sampler.clip(random), plan, random)

    with ThreadPoolExecutor(DRAWING_THREADS) as pool:
        ahead: deque[list[Future[_Drawn]]] = deque()
        for step in range(plan.steps + BATCHES_AHEAD):
            if step < plan.steps:
                ahead.append([pool.submit(draw, step * plan.clips + i) for i in range(plan.clips)])
            if step >= BATCHES_AHEAD:
                drawn = [future.result() for future in ahead.popleft()]
                low, high = (_luma(torch.stack(clips)) for clips in zip(*((c.low, c.high) for c in drawn), strict=True))
                at_half, steadiness = ([c.factor == 2 for c in drawn], [c.steadiness for c in drawn])
                flags = torch.tensor(at_half, device=low.device), torch.tensor(steadiness, device=low.device)
                yield _Batch([c.kind for c in drawn], *flags, low, high)


def _draw_clip(clip: Clip, plan: Schedule, random: np.random.Generator) -> _Drawn:
    high, grainy, factor = clip.high, clip.grainy, 2
    if clip.low is not None:
        kind, low = "compressed", enlarge(clip.low, 2)
    else:
        if not grainy and random.random() < plan.grain_share:
            high, grainy = add_grain(high, random), True
        kind, factor, low = degrade(high, plan.degradation, random)
    steadiness = plan.grain_steadiness if grainy else plan.steadiness
    return _Drawn(f"grainy {kind}" if grainy else kind, factor, steadiness, low, high)


def _luma(clips: Tensor) -> Tensor:
    return luma_of(clips.transpose(0, 2)).transpose(0, 1) / 255


def _schedule(done: float, warmup: float) -> float:
    """Linear rise, then a cosine down to nothing."""
    if done < warmup:
        return max(done, 0.02 * warmup) / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


class _Report:
    """Prints, now and then, the gain over bicubic in dB by kind of degradation."""

    def __init__(self, steps: int) -> None:
        self.steps, self.begin = steps, time.monotonic()
        self.rows: list[tuple[list[str], Tensor]] = []

    def add(self, step: int, kinds: list[str], before: Tensor, after: Tensor) -> None:
        self.rows.append((kinds, (before - after).detach()))
        if (step + 1) % REPORT_STEPS and step + 1 != self.steps:
            return
        gains: dict[str, list[float]] = {}
        for names, row in self.rows:
            for name, gain in zip(names, row.tolist(), strict=True):
                gains.setdefault(name, []).append(gain * 10 / math.log(10))
        self.rows.clear()
        table = ", ".join(f"{name} {sum(all_) / len(all_):+.2f}" for name, all_ in sorted(gains.items()))
        print(f"step {step + 1}, {time.monotonic() - self.begin:.0f} s: {table}", flush=True)
