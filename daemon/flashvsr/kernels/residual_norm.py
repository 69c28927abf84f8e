"""Add a layer's output to the residual stream and normalise the sum for what comes next.

Between two matrix products of the transformer lie a gate, an addition, a LayerNorm and its scale and shift. One by one
they read and write the tokens (T, D) five times over; together, once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels.quantise_rows import Rows, quantise_rows


def residual_norm(
    x: Tensor,
    update: Tensor | None,
    gate: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    dtype: torch.dtype,
) -> Tensor:
    """Do `x += gate * update` in place, then return `layer_norm(x) * weight + bias`; float32 inside.

    The norm is that of the float32 sum, before it is rounded to the format of x.

    Args:
        x: (T, D) residual stream, changed in place.
        update: (T, D) what to add; None to add nothing.
        gate: (D,) float32 factor of the update; None for 1.
        weight: (D,) float32 factor of the normalised stream.
        bias: (D,) float32 addend.
        eps: added to the population variance.
        dtype: number format of the result.

    Returns:
        (T, D) of `dtype`.
    """
    total = x.float()
    if update is not None:
        total = total + (update.float() if gate is None else gate * update.float())
        x.copy_(total)
    return (F.layer_norm(total, total.shape[-1:], eps=eps) * weight + bias).to(dtype)


def residual_norm_rows(
    x: Tensor, update: Tensor | None, gate: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> Rows:
    """Do the same, and round the result to 8 bits."""
    return quantise_rows(residual_norm(x, update, gate, weight, bias, eps, torch.float32))
