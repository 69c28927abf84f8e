"""Scale, GELU and rounding to 8 bits in one pass over a row, which stays in registers."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.gpu.row_shape import two_blocks
from flashvsr.kernels.quantise_rows import LARGEST, SMALLEST_SCALE, Rows


def quantise_rows(x: Tensor, gelu: bool = False) -> Rows:
    """See the plain form."""
    rows, dim = x.shape
    values = torch.empty(rows, dim, dtype=torch.int8, device=x.device)
    scales = torch.empty(rows, dtype=torch.float32, device=x.device)
    first, second, warps = two_blocks(dim)
    _quantise[(rows,)](x, values, scales, dim, first, second, gelu, LARGEST, SMALLEST_SCALE, num_warps=warps)
    return Rows(values, scales)


@triton.jit
def row_scale(value, largest: tl.constexpr, smallest_scale: tl.constexpr):
    """The scale of a row of float32 numbers, zeros behind its end."""
    return tl.maximum(tl.max(tl.abs(value), axis=0) * (1.0 / largest), smallest_scale)


@triton.jit
def round_row(value, scale):
    """A row by its scale, as 8-bit integers."""
    # A float32 number of this size has no room for fractions: the addition rounds, and the last bits are the integer.
    # Conversion instructions are few on a GPU.
    return (value * (1.0 / scale) + 12582912.0).to(tl.int32, bitcast=True).to(tl.int8)


@triton.jit
def _load(x, column, dim: tl.constexpr, gelu: tl.constexpr):
    value = tl.load(x + column, mask=column < dim, other=0.0).to(tl.float32)
    if gelu:
        # tanh(u) = 2 * sigmoid(2u) - 1, so 0.5 * x * (1 + tanh(u)) = x * sigmoid(2u) = x / (1 + 2^(-2u * log2(e))).
        # The square of a reciprocal root takes fewer instructions than a division.
        root = tl.rsqrt(1.0 + tl.exp2(value * (-2.302208198144325 - 0.1029432395800235 * (value * value))))
        value = value * root * root
    return value


@triton.jit
def _quantise(
    x,
    values,
    scales,
    dim: tl.constexpr,
    first: tl.constexpr,
    second: tl.constexpr,
    gelu: tl.constexpr,
    largest: tl.constexpr,
    smallest_scale: tl.constexpr,
):
    row = tl.program_id(0)
    x += row.to(tl.int64) * dim
    values += row.to(tl.int64) * dim
    column = tl.arange(0, first)
    value = _load(x, column, dim, gelu)
    scale = row_scale(value, largest, smallest_scale)
    if second > 0:
        more_columns = first + tl.arange(0, second)
        more = _load(x, more_columns, dim, gelu)
        scale = tl.maximum(scale, row_scale(more, largest, smallest_scale))
        tl.store(values + more_columns, round_row(more, scale), mask=more_columns < dim)
    tl.store(values + column, round_row(value, scale), mask=column < dim)
    tl.store(scales + row, scale)
