"""Tokens as 8-bit floating point numbers with one scale each, for matrix products of twice the speed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FORMAT = torch.float8_e4m3fn
LARGEST = 448.0  # of that format
SMALLEST_SCALE = 1e-12  # of a row of zeros


def quantise_rows(x: Tensor, gelu: bool = False) -> tuple[Tensor, Tensor]:
    """Scale each row so that its largest value is the largest of the format.

    Args:
        x: (T, D).
        gelu: whether GELU (tanh) is applied first.

    Returns:
        (T, D) float8_e4m3fn, and (T, 1) float32 to multiply it by.
    """
    wide = x.float()
    if gelu:
        wide = F.gelu(wide, approximate="tanh")
    scale = (wide.abs().amax(dim=1, keepdim=True) / LARGEST).clamp_min(SMALLEST_SCALE)
    return (wide / scale).to(FORMAT), scale
