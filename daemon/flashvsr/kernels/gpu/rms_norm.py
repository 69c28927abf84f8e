"""RMSNorm in one pass over the tokens (T, D): one program per row, the row stays in registers.

The result is rounded once, at the end; the plain form also rounds before the weight.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.gpu.row_shape import row_shape


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See the plain form: x / rms(x) * weight over the last axis of (T, D), a new tensor."""
    rows, dim = x.shape
    out = torch.empty_like(x)
    block, warps = row_shape(dim)
    _rms_norm[(rows,)](x, weight, out, eps, dim, block, num_warps=warps)
    return out


@triton.jit
def _rms_norm(x, weight, out, eps, dim: tl.constexpr, block: tl.constexpr):
    column = tl.arange(0, block)
    valid = column < dim
    place = tl.program_id(0).to(tl.int64) * dim + column
    values = tl.load(x + place, mask=valid, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values) / dim + eps)
    factor = tl.load(weight + column, mask=valid, other=0.0, eviction_policy="evict_last").to(tl.float32)
    tl.store(out + place, (values * scale * factor).to(out.dtype.element_ty), mask=valid)
