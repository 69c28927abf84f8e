"""RMSNorm, RoPE, block means and the way into the ring, in one pass over q|k|v (T, 3*D).

A program takes 16 tokens of q, of k or of v and goes through them head by head, twice: for the sum of squares, and,
out of the caches, for the rotation. It leaves the sums of its tokens; a second, small kernel adds those of a block up
in a fixed order, so the same input always gives the same bits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.gpu.row_shape import row_shape
from flashvsr.kernels.rotate_blocks import Ring
from flashvsr.kernels.shapes import BLOCK_TOKENS, HEAD_DIM

TOKENS = 16  # of one program; divides a block
WARPS = 2


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
        heads, TOKENS, num_warps=WARPS,
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
    tokens: tl.constexpr,
):
    part = tl.program_id(0)
    first = part * tokens  # a group is whole blocks, so these tokens are all of one group
    source = qkv + first.to(tl.int64) * (3 * heads * 128)
    sums += part.to(tl.int64) * (heads * 128)
    cos += first.to(tl.int64) * 64
    sin += first.to(tl.int64) * 64
    if tl.program_id(1) == 0:
        target = q + first.to(tl.int64) * (heads * 128)
        _rotate_tokens(source, norm_q, cos, sin, eps, target, sums, heads, tokens)
    else:
        slot = tl.load(slots + first // group_tokens)
        row = slot.to(tl.int64) * group_tokens + first % group_tokens
        if tl.program_id(1) == 1:
            sums += tl.num_programs(0).to(tl.int64) * (heads * 128)
            target = keys + row * (heads * 128)
            _rotate_tokens(source + heads * 128, norm_k, cos, sin, eps, target, sums, heads, tokens)
        else:
            _copy_tokens(source + 2 * heads * 128, values + row * (heads * 128), heads, tokens)


@triton.jit
def _rotate_tokens(
    source,
    weight,
    cos,
    sin,
    eps,
    target,
    sums,
    heads: tl.constexpr,
    tokens: tl.constexpr,
):
    token = tl.arange(0, tokens)[:, None]
    channel = tl.arange(0, 128)
    place = token * (3 * heads * 128) + channel[None, :]
    squares = tl.zeros((tokens, 128), tl.float32)
    for head in tl.static_range(heads):
        x = tl.load(source + place + head * 128).to(tl.float32)
        squares += x * x
    scale = tl.rsqrt(tl.sum(squares, axis=1) / (heads * 128) + eps)[:, None]

    angle = token * 64 + tl.arange(0, 64)[None, :]
    c = tl.load(cos + angle)  # (tokens, 64)
    s = tl.load(sin + angle)
    for head in range(heads):
        x = tl.load(source + place + head * 128).to(tl.float32)
        factor = tl.load(weight + head * 128 + channel).to(tl.float32)
        x = x * scale * factor[None, :]
        # A thread has whole pairs of channels in its registers: nothing moves between threads here.
        real, imaginary = tl.split(tl.reshape(x, (tokens, 64, 2)))
        x = tl.reshape(tl.join(real * c - imaginary * s, real * s + imaginary * c), (tokens, 128))
        tl.store(target + token * (heads * 128) + head * 128 + channel[None, :], x.to(target.dtype.element_ty))
        tl.store(sums + head * 128 + channel, tl.sum(x, axis=0))


@triton.jit
def _copy_tokens(source, target, heads: tl.constexpr, tokens: tl.constexpr):
    token = tl.arange(0, tokens)[:, None]
    channel = tl.arange(0, 128)[None, :]
    for head in tl.static_range(heads):
        x = tl.load(source + token * (3 * heads * 128) + head * 128 + channel)
        tl.store(target + token * (heads * 128) + head * 128 + channel, x.to(target.dtype.element_ty))


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
