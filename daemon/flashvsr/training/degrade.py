"""What may have happened to a clip before it reaches us: blurred, made smaller, noisy; enlarged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from flashvsr.bench.shrink import shrink
from flashvsr.training.data import enlarge
from flashvsr.training.grain import blur, noise


@dataclass(frozen=True)
class Degradation:
    """How often what happens; the rest is plain halving.

    Attributes:
        four: share of clips at 1/4 of the size instead of 1/2.
        blurred: share blurred before they are made smaller, by up to `blur` pixels (deviation).
        noisy: share with noise of up to `noise` 8-bit levels (deviation) in the small picture.
    """

    four: float = 0.5
    blurred: float = 0.1
    blur: float = 1.2
    noisy: float = 0.05
    noise: float = 3.0


def degrade(clip: Tensor, how: Degradation, random: np.random.Generator) -> tuple[str, int, Tensor]:
    """(what was done, by how much the clip was made smaller, the clip enlarged again), (n, 3, H, W) in 0...255."""
    factor = 4 if random.random() < how.four else 2
    bicubic = random.random() < 0.5
    kind = f"{'bicubic' if bicubic else 'area'} x{factor}"
    if random.random() < how.blurred:
        clip, kind = blur(clip, random.uniform(0.3, how.blur)), "blurred"
    low = shrink(clip, factor, bicubic)
    if random.random() < how.noisy:
        strength = random.uniform(0.5, how.noise)
        low, kind = (low + strength * noise(low, random)).round().clamp(0, 255), "noisy"
    return kind, factor, enlarge(low, factor)
