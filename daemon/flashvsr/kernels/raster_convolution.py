"""Weights of convolutions in the order in which a raster meets them, and the folding of an enlargement."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def taps_first(weight: Tensor, channels: int | None = None) -> Tensor:
    """(O, C, *kernel) -> (taps * C, O), with C filled up to `channels` by zeros."""
    missing = (channels or weight.shape[1]) - weight.shape[1]
    weight = weight.flatten(2)  # (O, C, taps)
    if missing:
        weight = F.pad(weight, (0, 0, 0, missing))
    return weight.permute(2, 1, 0).flatten(0, 1).contiguous()


def fold_enlargement(point: Tensor, kernel: Tensor, slices: int) -> Tensor:
    """Fold a 1x1 convolution, nearest x2 and a 3x3 convolution into 2x2 kernels, one for each output phase.

    An output pixel of row phase 0 sees the enlarged lines 2y-1, 2y, 2y+1, which are the lines y-1, y, y: its kernel's
    lines are the first one, and the sum of the others. Phase 1 likewise, the other way round. Sums in float64.

    Args:
        point: (slices * M, C) of the 1x1 convolution.
        kernel: (O, M, 3, 3).
        slices: frames that the 1x1 convolution makes of one.

    Returns:
        (slices * 4 phases * 4 taps * C, O) in point's dtype; phase = 2*py + px, tap = 2*dy + dx.
    """
    wide = kernel.double()
    first, second = wide[..., :1], wide[..., 1:].sum(-1, keepdim=True)
    third, fourth = wide[..., :2].sum(-1, keepdim=True), wide[..., 2:]
    columns = torch.stack([torch.cat([first, second], -1), torch.cat([third, fourth], -1)])  # (px, O, M, 3, dx)
    first, second = columns[..., :1, :], columns[..., 1:, :].sum(-2, keepdim=True)
    third, fourth = columns[..., :2, :].sum(-2, keepdim=True), columns[..., 2:, :]
    both = torch.stack([torch.cat([first, second], -2), torch.cat([third, fourth], -2)])  # (py, px, O, M, dy, dx)
    maps = point.double().view(slices, -1, point.shape[1])
    folded = torch.einsum("pqomyx,smc->spqyxco", both, maps)
    return folded.reshape(-1, kernel.shape[0]).to(point.dtype).contiguous()
