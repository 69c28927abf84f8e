"""Residual addition and LayerNorm in one pass over the tokens: one program per row, the row stays in registers.

Each tensor (T, D) is read once and written once; gate, weight and bias (D,) come from the first-level cache.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.gpu.quantise_rows import round_row, row_scale
from flashvsr.kernels.gpu.row_shape import row_shape
from flashvsr.kernels.quantise_rows import LARGEST, SMALLEST_SCALE, Rows


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
    out = torch.empty(x.shape, dtype=dtype, device=x.device)
    _launch(x, update, gate, weight, bias, eps, out, None)
    return out


def residual_norm_rows(
    x: Tensor, update: Tensor | None, gate: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> Rows:
    """See the plain form."""
    out = torch.empty(x.shape, dtype=torch.int8, device=x.device)
    scales = torch.empty(len(x), dtype=torch.float32, device=x.device)
    _launch(x, update, gate, weight, bias, eps, out, scales)
    return Rows(out, scales)


def _launch(
    x: Tensor,
    update: Tensor | None,
    gate: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    out: Tensor,
    scales: Tensor | None,
) -> None:
    rows, dim = x.shape
    block, warps = row_shape(dim)
    _residual_norm[(rows,)](
        x, update, gate, weight, bias, out, scales, eps, dim, block, LARGEST, SMALLEST_SCALE, num_warps=warps
    )


@triton.jit
def _residual_norm(
    x,
    update,
    gate,
    weight,
    bias,
    out,
    scales,
    eps,
    dim: tl.constexpr,
    block: tl.constexpr,
    largest: tl.constexpr,
    smallest_scale: tl.constexpr,
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
    result = centred * scale * factor + addend  # zero behind the end of the row
    if scales is not None:
        scale_of_row = row_scale(result, largest, smallest_scale)
        tl.store(out + place, round_row(result, scale_of_row), mask=valid)
        tl.store(scales + tl.program_id(0), scale_of_row)
    else:
        tl.store(out + place, result.to(out.dtype.element_ty), mask=valid)
