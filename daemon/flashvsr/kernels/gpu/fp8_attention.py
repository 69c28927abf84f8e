"""Attention in 8-bit floating point between blocks of 128 tokens, only over listed key blocks; compute capability 9.x.

The roles are those of `hopper_attention`. Two things differ. Values lie channel by channel, as products of 8 bits want
them, and their tokens in an order that makes the weights of one product the operand of the next without moving between
lanes (`flashvsr.kernels.fp8_attention.token_order`). And the tensor cores of these chips keep only some 13 bits of a
sum of 8-bit products: after a hundred blocks it would be a fifth too small. So the product of each block begins at
zero, and its result is added in float32, in the same step that shrinks the older sums.
"""

from __future__ import annotations

import torch
from torch import Tensor
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import mbarrier, warpgroup_mma, warpgroup_mma_wait
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

from flashvsr.kernels.gpu.hopper_attention import (
    LOG2_E,
    WARPS,
    load_tiles,
    make_barriers,
    next_stage,
    soft_weights,
)
from flashvsr.kernels.select_blocks import BlockLists
from flashvsr.kernels.shapes import BLOCK_TOKENS, HEAD_DIM

WORKERS = 2
STAGES = 2
SHIFT = gl.constexpr(8)  # weights of up to 256: small ones are then no subnormal numbers


def fp8_attention(
    q: Tensor,
    k: Tensor,
    values: Tensor,
    value_scales: Tensor,
    scales: Tensor,
    selection: BlockLists,
    dtype: torch.dtype,
) -> Tensor:
    """See the plain form."""
    tokens, heads, dim = q.shape
    out = torch.empty(q.shape, dtype=dtype, device=q.device)
    _attend[(selection.order.numel(),)](
        _tiles(q.view(tokens, -1), BLOCK_TOKENS // WORKERS),
        _tiles(k.view(len(k), -1), BLOCK_TOKENS),
        _tiles(values.view(-1, BLOCK_TOKENS), HEAD_DIM),
        out,
        value_scales,
        scales,
        selection.lists,
        selection.counts,
        selection.order,
        selection.lists.shape[-1],
        tokens // BLOCK_TOKENS,
        LOG2_E / dim**0.5,
        heads,
        WORKERS,
        STAGES,
        num_warps=WARPS // WORKERS,
    )
    return out


def _tiles(x: Tensor, rows: int) -> TensorDescriptor:
    layout = gl.NVMMASharedLayout(swizzle_byte_width=128, element_bitwidth=8, rank=2)
    return TensorDescriptor.from_tensor(x, [rows, 128], layout)


@gluon.jit(do_not_specialize=["width", "blocks"])
def _attend(
    q_tiles,
    k_tiles,
    v_tiles,
    out,
    v_scales,
    scales,
    lists,
    counts,
    order,
    width,
    blocks,
    scale,
    HEADS: gl.constexpr,
    WORKERS: gl.constexpr,
    STAGES: gl.constexpr,
):
    row = gl.load(order + gl.program_id(0))
    count = gl.load(counts + row)
    first = (row % blocks) * 128
    head = row // blocks
    channel = head * 128
    # A row that sees nothing computes one tile all the same and then stores zeros: no branch in the roles.
    steps = gl.maximum(count, 1)
    scale *= gl.load(scales + head)

    q = gl.allocate_shared_memory(q_tiles.dtype, [WORKERS, 128 // WORKERS, 128], q_tiles.layout)
    k = gl.allocate_shared_memory(k_tiles.dtype, [STAGES, 128, 128], k_tiles.layout)
    v = gl.allocate_shared_memory(v_tiles.dtype, [STAGES, 128, 128], v_tiles.layout)
    barriers = make_barriers(WORKERS, STAGES)
    list_ = lists + row * width
    load = (q_tiles, k_tiles, v_tiles, q, k, v, barriers, list_, count, steps, first, channel, HEADS * 128, channel, 0)
    work = (out + channel, q, k, v, barriers, list_, v_scales + head, count, steps, first, scale, HEADS)
    gl.warp_specialize([(_work_first, work), (_work_second, work), (load_tiles, load)], [4, 1], [240, 24])


@gluon.jit
def _operand(weights, never, OPERAND: gl.constexpr):
    """Round weights to 8 bits, in the order of the stored values: a lane keeps what it has.

    The store never happens, which only the hardware knows: without it ptxas would put the rounding off to a place
    where the weights, in 32 bits until then, have no registers left.
    """
    ROWS: gl.constexpr = weights.shape[0]
    ordered = weights.reshape([ROWS, 8, 2, 4, 2]).permute((0, 1, 3, 2, 4)).reshape([ROWS, 128])
    return gl.inline_asm_elementwise(
        """{
            .reg .b16 low, high;
            .reg .pred stored;
            cvt.rn.satfinite.e4m3x2.f32 low, $2, $1;
            cvt.rn.satfinite.e4m3x2.f32 high, $4, $3;
            mov.b32 $0, {low, high};
            setp.ne.s32 stored, $5, 0;
            @stored st.shared.b32 [$5], $0;
        }""",
        "=r,r,r,r,r,r,r,r,r",
        [gl.convert_layout(ordered, OPERAND), gl.full([ROWS, 128], never, gl.int32, OPERAND)],
        dtype=gl.float8e4nv,
        is_pure=False,
        pack=4,
    )


@gluon.jit
def _work_first(out, q, k, v, barriers, list_, v_scales, count, steps, first, scale, HEADS: gl.constexpr):
    _work(out, q, k, v, barriers, list_, v_scales, count, steps, first, scale, HEADS, 0)


@gluon.jit
def _work_second(out, q, k, v, barriers, list_, v_scales, count, steps, first, scale, HEADS: gl.constexpr):
    _work(out, q, k, v, barriers, list_, v_scales, count, steps, first, scale, HEADS, 1)


@gluon.jit
def _work(
    out,
    q,
    k,
    v,
    barriers,
    list_,
    v_scales,
    count,
    steps,
    first,
    scale,
    HEADS: gl.constexpr,
    WORKER: gl.constexpr,
):
    q_ready, k_ready, v_ready, k_empty, v_empty, _ = barriers
    STAGES: gl.constexpr = k.shape[0]
    ROWS: gl.constexpr = q.shape[1]
    # Scores and outputs are both 128 columns wide, so one layout serves both products.
    PRODUCT: gl.constexpr = gl.NVMMADistributedLayout(
        version=[3, 0], warps_per_cta=[gl.num_warps(), 1], instr_shape=[16, 128, 32]
    )
    OPERAND: gl.constexpr = gl.DotOperandLayout(operand_index=0, parent=PRODUCT, k_width=4)
    ROW: gl.constexpr = gl.SliceLayout(1, PRODUCT)
    own = q.index(WORKER)
    never = count >> 31  # counts are not negative

    zeros = gl.zeros([ROWS, 128], gl.float32, PRODUCT)
    acc = gl.zeros([ROWS, 128], gl.float32, PRODUCT)
    peak = gl.full([ROWS], float("-inf"), gl.float32, ROW)
    total = 0.0
    # Sums are in units of the last block's values, so that a block's scale costs nothing for each number. It is
    # fetched a step ahead of its use, and its index a step ahead of that.
    block = gl.load(list_, mask=count > 0, other=0)
    unit = gl.load(v_scales + block * HEADS)
    block = gl.load(list_ + 1, mask=steps > 1, other=0)
    keep = gl.full([ROWS], 0.0, gl.float32, ROW)

    mbarrier.wait(q_ready.index(0), 0)
    mbarrier.wait(k_ready.index(0), 0)
    scores = warpgroup_mma(own, k.index(0).permute((1, 0)), zeros, use_acc=False, is_async=True)
    scores = warpgroup_mma_wait(0, deps=[scores])
    mbarrier.arrive(k_empty.index(0), count=1)
    weights, shrink, peak, total = soft_weights(scores, peak, total, scale, SHIFT)

    v_stage = 0
    v_phase = 0
    k_stage, k_phase = next_stage(v_stage, v_phase, STAGES)
    mbarrier.wait(k_ready.index(k_stage), k_phase, pred=steps > 1)
    for i in range(1, steps):
        operand = _operand(weights, never, OPERAND)
        mbarrier.wait(k_ready.index(k_stage), k_phase)  # it is there: ptxas moves no product up over a branch
        unit_before = unit
        unit = gl.load(v_scales + block * HEADS)
        block = gl.load(list_ + i + 1, mask=i + 1 < steps, other=0)
        scores = warpgroup_mma(own, k.index(k_stage).permute((1, 0)), zeros, use_acc=False, is_async=True)
        mbarrier.wait(v_ready.index(v_stage), v_phase)
        part = warpgroup_mma(operand, v.index(v_stage).permute((1, 0)), zeros, use_acc=False, is_async=True)
        scores = warpgroup_mma_wait(1, deps=[scores])
        mbarrier.arrive(k_empty.index(k_stage), count=1)
        weights, shrink, peak, total = soft_weights(scores, peak, total, scale, SHIFT)
        last_v = v_stage
        v_stage, v_phase = k_stage, k_phase
        k_stage, k_phase = next_stage(k_stage, k_phase, STAGES)
        # See `hopper_attention`: it keeps the wait for the second product behind the weights.
        mbarrier.wait(k_ready.index(k_stage), k_phase, pred=i + 1 < steps)
        part = warpgroup_mma_wait(0, deps=[part])
        mbarrier.arrive(v_empty.index(last_v), count=1)
        acc = acc * gl.expand_dims(keep, 1) + part
        keep = shrink * (unit_before / unit)

    operand = _operand(weights, never, OPERAND)
    mbarrier.wait(v_ready.index(v_stage), v_phase)
    part = warpgroup_mma(operand, v.index(v_stage).permute((1, 0)), zeros, use_acc=False, is_async=True)
    part = warpgroup_mma_wait(0, deps=[part])
    acc = acc * gl.expand_dims(keep, 1) + part
    total = gl.convert_layout(gl.sum(total, 1), ROW, assert_trivial=True)
    share = gl.where(count > 0, unit / total, 0.0)
    acc = gl.where(count > 0, acc * gl.expand_dims(share, 1), 0.0)
    row = (first + WORKER * ROWS).to(gl.int64) + gl.arange(0, ROWS, ROW)
    column = gl.arange(0, 128, gl.SliceLayout(0, PRODUCT))
    place = gl.expand_dims(row, 1) * (HEADS * 128) + gl.expand_dims(column, 0)
    gl.store(out + place, acc.to(out.dtype.element_ty))
