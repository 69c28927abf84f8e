"""Residual addition and LayerNorm in one pass over the tokens: one program per row, the row stays in registers.

Each tensor (T, D) is read once and written once; gate, weight and bias (D,) come from the first-level cache.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.gpu.row_shape import row_shape


def residual_norm(
    x: Tensor,
    update: Tensor | None,
    gate: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    dtype: torch.dtype,
) -> Tensor:
    """See the plain form: `x += gate * update` in place, then `layer_norm(x) * weight + bias` of `dtype`."""
    rows, dim = x.shape
    out = torch.empty(rows, dim, dtype=dtype, device=x.device)
    block, warps = row_shape(dim)
    _residual_norm[(rows,)](x, update, gate, weight, bias, out, eps, dim, block, num_warps=warps)
    return out


@triton.jit
def _residual_norm(
    x,
    update,
    gate,
    weight,
    bias,
    out,
    eps,
    dim: tl.constexpr,
    block: tl.constexpr,
):
    column = tl.arange(0, block)
    valid = column < dim
    place = tl.program_id(0).to(tl.int64) * dim + column

    total = tl.load(x + place, mask=valid, other=0.0).to(tl.float32)
    if update is not None:
        change = tl.load(update + place, mask=valid, other=0.0).to(tl.float32)
        if gate is not None:
            change = change * tl.load(gate + column, mask=valid, other=0.0, eviction_policy="evict_last")
        total += change
        tl.store(x + place, total.to(x.dtype.element_ty), mask=valid)

    mean = tl.sum(total) / dim
    centred = tl.where(valid, total - mean, 0.0)
    scale = tl.rsqrt(tl.sum(centred * centred) / dim + eps)
    factor = tl.load(weight + column, mask=valid, other=0.0, eviction_policy="evict_last")
    addend = tl.load(bias + column, mask=valid, other=0.0, eviction_policy="evict_last")
    tl.store(out + place, (centred * scale * factor + addend).to(out.dtype.element_ty), mask=valid)
