"""The training loop of the correction, and its loss."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from flashvsr.bench.luma import luma_of
from flashvsr.training.correction import Correction, CorrectionParams
from flashvsr.training.data import ClipSampler, Footage, enlarge
from flashvsr.training.degrade import Degradation, add_grain, degrade
from flashvsr.training.initial_decoder import MARGIN, SPAN, TOP_LEFT

ERROR_FLOOR = (0.3 / 255) ** 2  # about the error of 8-bit rounding: nothing to gain below it
REPORT_STEPS = 500


@dataclass(frozen=True)
class Plan:
    """How long, how fast and on what to train.

    Attributes:
        steps: steps of the optimizer.
        rate: peak step of Adam.
        clips: clips of a step.
        side: pixels of a clip along rows and columns.
        frames: frames of a clip.
        photo_share: of clips that show photos.
        compressed_share: of the others, those that were compressed.
        grain_share: of all but the compressed ones, those with a camera's noise added.
        steadiness: weight of the error of frame differences.
        warmup: share of the run in which the steps grow.
        rounding: share of the run, at its end, that computes with weights rounded to bfloat16.
        average: decay of the running average of the weights.
        degradation: what happens to clips that are not compressed.
        seed: of the starting weights, the clips and the noise.
    """

    steps: int = 15000
    rate: float = 2e-3
    clips: int = 16
    side: int = 256
    frames: int = 5
    photo_share: float = 0.4
    compressed_share: float = 0.15
    grain_share: float = 0.25
    steadiness: float = 0.3
    warmup: float = 0.02
    rounding: float = 0.3
    average: float = 0.999
    degradation: Degradation = field(default_factory=Degradation)
    seed: int = 0


def train(footage: Footage, params: CorrectionParams, plan: Plan, device: torch.device) -> Correction:
    """Train a correction from random weights and return the running average of its weights."""
    torch.manual_seed(plan.seed)
    model = Correction(params).to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    parameters, averages = list(model.parameters()), list(average.parameters())
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.99), fused=device.type == "cuda")
    sampler = ClipSampler(footage, plan.side, plan.frames, plan.photo_share, plan.compressed_share, plan.seed)
    report = _Report(plan.steps)
    for step in range(plan.steps):
        done = step / plan.steps
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _schedule(done, plan.warmup)
        kinds, low, high = _draw(sampler, plan)
        carried = MARGIN + SPAN * F.avg_pool2d(low.flatten(0, 1)[:, None], 2)
        error = enlarge_linearly(carried) + model(carried, rounded=done > 1 - plan.rounding) - MARGIN
        error = (error / SPAN).unflatten(0, low.shape[:2]) - _cells(high)
        logs, changes = log_error(error), log_error(error.diff(dim=1))
        optimizer.zero_grad(set_to_none=True)
        (logs.mean() + plan.steadiness * changes.mean()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, parameters, 1 - min(plan.average, step / (step + 10)))
            report.add(step, kinds, log_error(_cells(low) - _cells(high)), logs)
    return average


def enlarge_linearly(carried: Tensor) -> Tensor:
    """What the decoder does without a correction: (n, 1, h, w) -> (n, 4, h, w), the pixels of each 2x2 cell."""
    corner = torch.tensor(TOP_LEFT, device=carried.device)
    kernels = torch.stack([corner, corner.flip(1), corner.flip(0), corner.flip(0, 1)])[:, None]
    return F.conv2d(F.pad(carried, (1, 1, 1, 1), mode="replicate"), kernels)


def log_error(error: Tensor) -> Tensor:
    """Per clip the log of the mean squared error: each clip's PSNR counts alike, flat or busy."""
    return (error.square().flatten(1).mean(dim=1) + ERROR_FLOOR).log()


def _cells(luma: Tensor) -> Tensor:
    """(clips, frames, H, W) -> (clips, frames, 4, H/2, W/2)."""
    return rearrange(luma, "b f (h y) (w x) -> b f (y x) h w", y=2, x=2)


def _draw(sampler: ClipSampler, plan: Plan) -> tuple[list[str], Tensor, Tensor]:
    """Kinds of degradation, and lumas of degraded and original clips: (clips, frames, H, W) in [0, 1]."""
    kinds, lows, highs = [], [], []
    for _ in range(plan.clips):
        high, low = sampler.clip()
        if low is not None:
            kind, low = "compressed", enlarge(low, 2)
        else:
            if sampler.random.random() < plan.grain_share:
                high = add_grain(high, sampler.random)
            kind, low = degrade(high, plan.degradation, sampler.random)
        kinds.append(kind)
        lows.append(low)
        highs.append(high)
    return kinds, _luma(torch.stack(lows)), _luma(torch.stack(highs))


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
