"""Film grain and a camera's noise, added to originals: they teach not to sharpen what is no detail."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

COARSENESS = (0.3, 1.6)  # deviation of the grain's blur in pixels
STRENGTH = (0.5, 5.0)  # deviation of the grain in 8-bit levels


def add_grain(clip: Tensor, random: np.random.Generator) -> Tensor:
    """Grain of one coarseness and strength, new in each frame: (n, 3, H, W) in 0...255, whole numbers."""
    grain = blur(noise(clip, random), random.uniform(*COARSENESS))
    return (clip + random.uniform(*STRENGTH) * grain / grain.std()).round().clamp(0, 255)


def blur(clip: Tensor, deviation: float) -> Tensor:
    """(n, 3, H, W) blurred by a Gaussian of that deviation in pixels."""
    reach = math.ceil(3 * deviation)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=clip.device) / deviation) ** 2)
    taps = (taps / taps.sum()).view(1, 1, 1, -1)
    planes = F.pad(clip.flatten(0, 1)[:, None], (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(F.conv2d(planes, taps), taps.mT)[:, 0].view_as(clip)


def noise(like: Tensor, random: np.random.Generator) -> Tensor:
    """Normal noise of deviation 1, of the shape and on the device of `like`."""
    generator = torch.Generator(like.device).manual_seed(int(random.integers(2**31)))
    return torch.randn(like.shape, generator=generator, device=like.device)
