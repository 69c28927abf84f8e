"""What may have happened to a clip before it reaches us: grainy, blurred, made smaller, compressed, noisy; enlarged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.bench.shrink import shrink
from flashvsr.training.data import enlarge


@dataclass(frozen=True)
class Degradation:
    """How often what happens; the rest is plain halving.

    Attributes:
        four: share of clips at 1/4 of the size instead of 1/2.
        blurred: share blurred before they are made smaller, by up to `blur` pixels (deviation).
        noisy: share with noise of up to `noise` 8-bit levels (deviation) in the small picture.
    """

    four: float = 0.2
    blurred: float = 0.1
    blur: float = 1.2
    noisy: float = 0.05
    noise: float = 3.0


def add_grain(clip: Tensor, random: np.random.Generator) -> Tensor:
    """A camera's noise, slightly blurred, in the original: it teaches not to sharpen what is no detail."""
    noise = _blur(_noise(clip, random), random.uniform(0.3, 0.9))
    return (clip + random.uniform(0.5, 3.0) * noise / noise.std()).round().clamp(0, 255)


def degrade(clip: Tensor, how: Degradation, random: np.random.Generator) -> tuple[str, Tensor]:
    """(what was done, the clip made smaller and enlarged again), (n, 3, H, W) in 0...255."""
    factor = 4 if random.random() < how.four else 2
    bicubic = random.random() < 0.5
    kind = f"{'bicubic' if bicubic else 'area'} x{factor}"
    if random.random() < how.blurred:
        clip, kind = _blur(clip, random.uniform(0.3, how.blur)), "blurred"
    low = shrink(clip, factor, bicubic)
    if random.random() < how.noisy:
        strength = random.uniform(0.5, how.noise)
        low, kind = (low + strength * _noise(low, random)).round().clamp(0, 255), "noisy"
    return kind, enlarge(low, factor)


def _blur(clip: Tensor, deviation: float) -> Tensor:
    reach = math.ceil(3 * deviation)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=clip.device) / deviation) ** 2)
    taps = (taps / taps.sum()).view(1, 1, 1, -1)
    planes = F.pad(clip.flatten(0, 1)[:, None], (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(F.conv2d(planes, taps), taps.mT)[:, 0].view_as(clip)


def _noise(like: Tensor, random: np.random.Generator) -> Tensor:
    generator = torch.Generator(like.device).manual_seed(int(random.integers(2**31)))
    return torch.randn(like.shape, generator=generator, device=like.device)
