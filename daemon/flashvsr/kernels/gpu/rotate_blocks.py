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

from flashvsr.kernels.fp8_attention import FORMAT, LARGEST, SMALLEST_SCALE, Factors
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
    return _launch(qkv, norm_q, norm_k, cos, sin, eps, slots, ring, None)


def normalise_rotate_and_round(
    qkv: Tensor,
    norm_q: Tensor,
    norm_k: Tensor,
    cos: Tensor,
    sin: Tensor,
    eps: float,
    slots: Tensor,
    ring: Ring,
    factors: Factors,
) -> tuple[Tensor, Tensor]:
    """See the plain form: all of it in 8 bits, but for the means."""
    q, q_means = _launch(qkv, norm_q, norm_k, cos, sin, eps, slots, ring, factors)
    blocks, heads, _ = q_means.shape
    _round_values[(blocks, heads)](
        qkv, slots, blocks // len(slots), ring.values, ring.value_scales, heads, LARGEST, SMALLEST_SCALE, num_warps=8
    )
    return q, q_means


def _launch(
    qkv: Tensor,
    norm_q: Tensor,
    norm_k: Tensor,
    cos: Tensor,
    sin: Tensor,
    eps: float,
    slots: Tensor,
    ring: Ring,
    factors: Factors | None,
) -> tuple[Tensor, Tensor]:
    """Queries and keys, with `factors` in 8 bits; values only without."""
    tokens, dim = qkv.shape[0], qkv.shape[1] // 3
    blocks, heads = tokens // BLOCK_TOKENS, dim // HEAD_DIM
    per_group = blocks // len(slots)
    q = torch.empty(tokens, dim, dtype=FORMAT if factors else qkv.dtype, device=qkv.device)
    q_means = torch.empty(blocks, heads, HEAD_DIM, dtype=torch.float32, device=qkv.device)
    parts = tokens // TOKENS
    sums = torch.empty(2, parts, dim, dtype=torch.float32, device=qkv.device)
    _rotate[(parts, 2 if factors else 3)](
        qkv, norm_q, norm_k, cos, sin, eps, slots, per_group * BLOCK_TOKENS, q, ring.keys, ring.values, sums,
        factors and factors.q, factors and factors.k, heads, TOKENS, num_warps=WARPS,
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
    q_factors,
    k_factors,
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
        _rotate_tokens(source, norm_q, cos, sin, eps, target, sums, q_factors, heads, tokens)
    else:
        slot = tl.load(slots + first // group_tokens)
        row = slot.to(tl.int64) * group_tokens + first % group_tokens
        if tl.program_id(1) == 1:
            sums += tl.num_programs(0).to(tl.int64) * (heads * 128)
            target = keys + row * (heads * 128)
            _rotate_tokens(source + heads * 128, norm_k, cos, sin, eps, target, sums, k_factors, heads, tokens)
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
    factors,
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
        rounded = x
        if factors is not None:
            rounded = x * tl.load(factors + head)
        tl.store(target + token * (heads * 128) + head * 128 + channel[None, :], rounded.to(target.dtype.element_ty))
        tl.store(sums + head * 128 + channel, tl.sum(x, axis=0))


@triton.jit
def _copy_tokens(source, target, heads: tl.constexpr, tokens: tl.constexpr):
    token = tl.arange(0, tokens)[:, None]
    channel = tl.arange(0, 128)[None, :]
    for head in tl.static_range(heads):
        x = tl.load(source + token * (3 * heads * 128) + head * 128 + channel)
        tl.store(target + token * (heads * 128) + head * 128 + channel, x.to(target.dtype.element_ty))


@triton.jit
def _round_values(
    qkv,
    slots,
    group_blocks,
    values,
    scales,
    heads: tl.constexpr,
    largest: tl.constexpr,
    smallest_scale: tl.constexpr,
):
    """The values of a block and head: scaled, channel by channel, tokens in the order of `token_order`."""
    number, head = tl.program_id(0), tl.program_id(1)
    token = tl.arange(0, 128)[:, None]
    channel = tl.arange(0, 128)[None, :]
    source = qkv + number.to(tl.int64) * (128 * 3 * heads * 128) + (2 * heads + head) * 128
    x = tl.load(source + token * (3 * heads * 128) + channel).to(tl.float32)
    scale = tl.maximum(tl.max(tl.max(tl.abs(x), axis=1), axis=0) / largest, smallest_scale)
    x = tl.trans(x / scale)  # (channels, tokens)
    x = tl.reshape(tl.permute(tl.reshape(x, (128, 8, 2, 4, 2)), (0, 1, 3, 2, 4)), (128, 128))
    row = tl.load(slots + number // group_blocks) * group_blocks + number % group_blocks
    target = values + (row * heads + head).to(tl.int64) * (128 * 128)
    tl.store(target + token * 128 + channel, x.to(values.dtype.element_ty))
    tl.store(scales + row * heads + head, scale)


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
