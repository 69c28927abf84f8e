"""RMSNorm, RoPE, block means and the way into the ring, in one pass over q|k|v (T, 3*D).

A program holds 16 tokens of q, of k or of v in its registers. It leaves the sums of its tokens; a second, small kernel
adds those of a block up in a fixed order, so the same input always gives the same bits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.gpu.rows import row_shape
from flashvsr.kernels.rotate_blocks import BLOCK_TOKENS, HEAD_DIM, Ring

TOKENS = 16  # of one program; divides a block
WARPS = 16


def normalise_and_rotate(
    qkv: Tensor,
    norm_q: Tensor,
    norm_k: Tensor,
    cos: Tensor,
    sin: Tensor,
    eps: float,
    slots: Tensor,
    ring: Ring,
) -> tuple[Tensor, Tensor]:
    """See the plain form: q (T, D) and its block means (G*n, heads, 128); k, v and k's means go into the ring."""
    tokens, dim = qkv.shape[0], qkv.shape[1] // 3
    blocks, heads = tokens // BLOCK_TOKENS, dim // HEAD_DIM
    per_group = blocks // len(slots)
    q = torch.empty(tokens, dim, dtype=qkv.dtype, device=qkv.device)
    q_means = torch.empty(blocks, heads, HEAD_DIM, dtype=torch.float32, device=qkv.device)
    parts = tokens // TOKENS
    sums = torch.empty(2, parts, dim, dtype=torch.float32, device=qkv.device)
    _rotate[(parts, 3)](
        qkv, norm_q, norm_k, cos, sin, eps, slots, per_group * BLOCK_TOKENS, q, ring.keys, ring.values, sums,
        heads, triton.next_power_of_2(heads), TOKENS, num_warps=WARPS,
    )  # fmt: skip
    block, warps = row_shape(dim)
    _mean[(blocks, 2)](
        sums, slots, per_group, q_means, ring.means, dim, block, BLOCK_TOKENS // TOKENS, BLOCK_TOKENS, num_warps=warps
    )
    return q, q_means


@triton.jit
def _rotate(
    qkv,
    norm_q,
    norm_k,
    cos,
    sin,
    eps,
    slots,
    group_tokens,
    q,
    keys,
    values,
    sums,
    heads: tl.constexpr,
    span: tl.constexpr,
    tokens: tl.constexpr,
):
    part = tl.program_id(0)
    kind = tl.program_id(1)
    first = part * tokens  # a group is whole blocks, so these tokens are all of one group
    dim: tl.constexpr = heads * 128
    token = tl.arange(0, tokens)
    channel = tl.arange(0, span)[:, None] * 128 + tl.arange(0, 128)[None, :]  # (heads, 128)
    valid = channel < dim
    x = tl.load(
        qkv + first.to(tl.int64) * (3 * dim) + kind * dim + token[:, None, None] * (3 * dim) + channel[None],
        mask=valid[None],
        other=0.0,
    )
    slot = tl.load(slots + first // group_tokens)
    row = slot.to(tl.int64) * group_tokens + first % group_tokens
    place = token[:, None, None] * dim + channel[None]
    if kind == 2:
        tl.store(values + row * dim + place, x.to(values.dtype.element_ty), mask=valid[None])
    else:
        weight = norm_q if kind == 0 else norm_k
        wide = x.to(tl.float32)
        squares = tl.sum(tl.sum(wide * wide, axis=2), axis=1)
        scale = tl.rsqrt(squares / dim + eps)
        factor = tl.load(weight + channel, mask=valid, other=0.0).to(tl.float32)
        wide = wide * scale[:, None, None] * factor[None]
        angle = (first + token)[:, None] * 64 + tl.arange(0, 64)[None, :]
        c = tl.load(cos + angle)[:, None, :]
        s = tl.load(sin + angle)[:, None, :]
        # A thread has whole pairs of channels in its registers: nothing moves between threads here.
        real, imaginary = tl.split(tl.reshape(wide, (tokens, span, 64, 2)))
        turned = tl.reshape(tl.join(real * c - imaginary * s, real * s + imaginary * c), (tokens, span, 128))
        if kind == 0:
            tl.store(q + first.to(tl.int64) * dim + place, turned.to(q.dtype.element_ty), mask=valid[None])
        else:
            tl.store(keys + row * dim + place, turned.to(keys.dtype.element_ty), mask=valid[None])
        sums += (kind * tl.num_programs(0) + part).to(tl.int64) * dim
        tl.store(sums + channel, tl.sum(turned, axis=0), mask=valid)


@triton.jit
def _mean(
    sums,
    slots,
    group_blocks,
    q_means,
    k_means,
    dim: tl.constexpr,
    block: tl.constexpr,
    parts: tl.constexpr,
    count: tl.constexpr,
):
    number = tl.program_id(0)
    column = tl.arange(0, block)
    valid = column < dim
    keys = tl.program_id(1)
    sums += (keys * tl.num_programs(0) + number).to(tl.int64) * (parts * dim)
    total = tl.zeros((block,), tl.float32)
    for part in tl.static_range(parts):
        total += tl.load(sums + part * dim + column, mask=valid, other=0.0)
    if keys == 0:
        tl.store(q_means + number.to(tl.int64) * dim + column, total / count, mask=valid)
    else:
        row = tl.load(slots + number // group_blocks) * group_blocks + number % group_blocks
        tl.store(k_means + row.to(tl.int64) * dim + column, total / count, mask=valid)
