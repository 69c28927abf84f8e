"""Making pictures smaller, as is done to measure a model and to train one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def shrink(clip: Tensor, factor: int, bicubic: bool) -> Tensor:
    """1/factor of the size, by the bicubic filter or by averages, rounded to 8 bits: (n, 3, H, W) in 0...255."""
    if bicubic:
        low = F.interpolate(clip, scale_factor=1 / factor, mode="bicubic", antialias=True)
    else:
        low = F.avg_pool2d(clip, factor)
    return low.round().clamp(0, 255)
