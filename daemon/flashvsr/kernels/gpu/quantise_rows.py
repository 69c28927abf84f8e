"""Scale, GELU and rounding to 8 bits in one pass over a row, which stays in registers."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.gpu.row_shape import row_shape
from flashvsr.kernels.quantise_rows import FORMAT, LARGEST, SMALLEST_SCALE


def quantise_rows(x: Tensor, gelu: bool = False) -> tuple[Tensor, Tensor]:
    """See the plain form: (T, D) float8_e4m3fn and its scales (T, 1)."""
    rows, dim = x.shape
    values = torch.empty(rows, dim, dtype=FORMAT, device=x.device)
    scales = torch.empty(rows, 1, dtype=torch.float32, device=x.device)
    block, warps = row_shape(dim)
    _quantise[(rows,)](x, values, scales, dim, block, gelu, LARGEST, SMALLEST_SCALE, num_warps=warps)
    return values, scales


@triton.jit
def _quantise(
    x,
    values,
    scales,
    dim: tl.constexpr,
    block: tl.constexpr,
    gelu: tl.constexpr,
    largest: tl.constexpr,
    smallest_scale: tl.constexpr,
):
    row = tl.program_id(0)
    column = tl.arange(0, block)
    valid = column < dim
    place = row.to(tl.int64) * dim + column
    value = tl.load(x + place, mask=valid, other=0.0).to(tl.float32)
    if gelu:
        # tanh(u) = 2 * sigmoid(2u) - 1, so 0.5 * x * (1 + tanh(u)) = x * sigmoid(2u)
        value = value * tl.sigmoid(1.5957691216057308 * (value + 0.044715 * value * value * value))
    scale = tl.maximum(tl.max(tl.abs(value), axis=0) / largest, smallest_scale)
    tl.store(values + place, (value / scale).to(values.dtype.element_ty), mask=valid)
    tl.store(scales + row, scale)
