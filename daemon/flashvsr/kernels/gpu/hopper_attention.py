"""Attention between blocks of 128 tokens, only over listed key blocks, for compute capability 9.x.

The same function as `block_sparse_attention`, written in Gluon so that the warps of a program can have roles. One warp
(the loader) walks the list and keeps rings of key and value tiles full with the copy engine. The other warps (one or
two workers, each with its share of the 128 query rows) compute. A worker starts the product of its queries with the
next key tile and right behind it the product of its last weights with their value tile, and computes the new weights as
soon as the first product is there, while the second still runs. With two workers the tensor cores also have the one's
products to do while the other computes weights; they take turns in starting products so that they stay half a step
apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

from flashvsr.kernels.select_blocks import BlockLists
from flashvsr.kernels.shapes import BLOCK_TOKENS, HEAD_DIM

LOG2_E = 1.4426950408889634
WARPS = 8
"""Warps that compute, over all workers."""


@dataclass(frozen=True)
class TilePlan:
    """How the warps of a program share the work."""

    workers: int = 2
    """Groups of warps that compute: 1 of eight warps or 2 of four."""
    stages: int = 2
    """Key tiles, and value tiles, held in shared memory: 2 or 3."""
    turns: bool = False
    """Whether two workers take turns in starting products."""


PLAN = TilePlan()


def block_sparse_attention(q: Tensor, k: Tensor, v: Tensor, selection: BlockLists, plan: TilePlan = PLAN) -> Tensor:
    """See `block_sparse_attention`; bfloat16 or float16 alone. `plan`: how the warps share the work."""
    tokens, _, dim = q.shape
    out = torch.empty_like(q)
    rows = BLOCK_TOKENS // plan.workers
    q_tiles, out_tiles = (_tiles(x, rows) for x in (q, out))
    k_tiles, v_tiles = (_tiles(x, BLOCK_TOKENS) for x in (k, v))
    _attend[(selection.order.numel(),)](
        q_tiles,
        k_tiles,
        v_tiles,
        out_tiles,
        selection.lists,
        selection.counts,
        selection.order,
        selection.lists.shape[-1],
        tokens // BLOCK_TOKENS,
        LOG2_E / dim**0.5,
        plan.workers,
        plan.stages,
        plan.turns and plan.workers == 2,
        num_warps=WARPS // plan.workers,
    )
    return out


def _tiles(x: Tensor, rows: int) -> TensorDescriptor:
    """Tiles of some tokens by the channels of one head."""
    layout = gl.NVMMASharedLayout(swizzle_byte_width=128, element_bitwidth=16, rank=2)
    return TensorDescriptor.from_tensor(x.view(x.shape[0], -1), [rows, HEAD_DIM], layout)


@gluon.jit(do_not_specialize=["width", "blocks"])
def _attend(
    q_tiles,
    k_tiles,
    v_tiles,
    out_tiles,
    lists,
    counts,
    order,
    width,
    blocks,
    scale,
    WORKERS: gl.constexpr,
    STAGES: gl.constexpr,
    TURNS: gl.constexpr,
):
    row = gl.load(order + gl.program_id(0))
    count = gl.load(counts + row)
    first = (row % blocks) * 128
    channel = (row // blocks) * 128
    # A row that sees nothing computes one tile all the same and then stores zeros: no branch in the roles.
    steps = gl.maximum(count, 1)

    q = gl.allocate_shared_memory(q_tiles.dtype, [WORKERS, 128 // WORKERS, 128], q_tiles.layout)
    k = gl.allocate_shared_memory(k_tiles.dtype, [STAGES, 128, 128], k_tiles.layout)
    v = gl.allocate_shared_memory(v_tiles.dtype, [STAGES, 128, 128], v_tiles.layout)
    barriers = make_barriers(WORKERS, STAGES)
    list_ = lists + row * width
    load = (q_tiles, k_tiles, v_tiles, q, k, v, barriers, list_, count, steps, first, channel, 128, 0, channel)
    work = (out_tiles, q, k, v, barriers, count, steps, first, channel, scale, TURNS)
    # The first role runs in the warps of the launch and takes the registers that the others leave.
    if WORKERS == 2:
        gl.warp_specialize([(_work_first, work), (_work_second, work), (load_tiles, load)], [4, 1], [240, 24])
    else:
        gl.warp_specialize([(_work_first, work), (load_tiles, load)], [1], [24])


@gluon.jit
def make_barriers(WORKERS: gl.constexpr, STAGES: gl.constexpr):
    """Tiles that have come and that are free again: of queries, keys and values; and whose turn it is."""
    q_ready = gl.allocate_shared_memory(gl.int64, [1, 1], mbarrier.MBarrierLayout())
    k_ready = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    v_ready = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    k_empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    v_empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    turn = gl.allocate_shared_memory(gl.int64, [2, 1], mbarrier.MBarrierLayout())
    mbarrier.init(q_ready.index(0), count=1)
    for i in gl.static_range(STAGES):
        mbarrier.init(k_ready.index(i), count=1)
        mbarrier.init(v_ready.index(i), count=1)
        mbarrier.init(k_empty.index(i), count=WORKERS)
        mbarrier.init(v_empty.index(i), count=WORKERS)
    for i in gl.static_range(2):
        mbarrier.init(turn.index(i), count=1)
    fence_async_shared()
    return q_ready, k_ready, v_ready, k_empty, v_empty, turn


@gluon.jit
def next_stage(stage, phase, STAGES: gl.constexpr):
    """The stage of the ring after this one, and the parity of its barriers."""
    last = stage == STAGES - 1
    return gl.where(last, 0, stage + 1), gl.where(last, phase ^ 1, phase)


@gluon.jit
def load_tiles(
    q_tiles, k_tiles, v_tiles, q, k, v, barriers, list_, count, steps, first, channel, v_step, v_first, v_channel
):
    """Fetch the query tile once, then key tile i before value tile i - 1, the order in which the workers need them.

    The values of block b begin at row `v_first + b * v_step` and column `v_channel` of their tensor.
    """
    q_ready, k_ready, v_ready, k_empty, v_empty, _ = barriers
    WORKERS: gl.constexpr = q.shape[0]
    STAGES: gl.constexpr = k.shape[0]
    BYTES: gl.constexpr = k_tiles.block_type.nbytes
    block = gl.load(list_, mask=count > 0, other=0)
    mbarrier.expect(q_ready.index(0), WORKERS * q_tiles.block_type.nbytes)
    for i in gl.static_range(WORKERS):
        tma.async_copy_global_to_shared(q_tiles, [first + i * (128 // WORKERS), channel], q_ready.index(0), q.index(i))
    mbarrier.expect(k_ready.index(0), BYTES)
    tma.async_copy_global_to_shared(k_tiles, [block * 128, channel], k_ready.index(0), k.index(0))
    ahead = gl.load(list_ + 1, mask=steps > 1, other=0)
    v_stage = 0
    v_phase = 1
    k_stage, k_phase = next_stage(v_stage, v_phase, STAGES)
    for i in range(1, steps):
        before = block
        block = ahead
        # The next index is fetched a step ahead of the tile that it names.
        ahead = gl.load(list_ + i + 1, mask=i + 1 < steps, other=0)
        mbarrier.wait(k_empty.index(k_stage), k_phase)
        mbarrier.expect(k_ready.index(k_stage), BYTES)
        tma.async_copy_global_to_shared(k_tiles, [block * 128, channel], k_ready.index(k_stage), k.index(k_stage))
        mbarrier.wait(v_empty.index(v_stage), v_phase)
        mbarrier.expect(v_ready.index(v_stage), BYTES)
        tma.async_copy_global_to_shared(
            v_tiles, [v_first + before * v_step, v_channel], v_ready.index(v_stage), v.index(v_stage)
        )
        v_stage, v_phase = k_stage, k_phase
        k_stage, k_phase = next_stage(k_stage, k_phase, STAGES)
    mbarrier.wait(v_empty.index(v_stage), v_phase)
    mbarrier.expect(v_ready.index(v_stage), BYTES)
    tma.async_copy_global_to_shared(
        v_tiles, [v_first + block * v_step, v_channel], v_ready.index(v_stage), v.index(v_stage)
    )


@gluon.jit
def _split(x):
    """The columns of a product by where they lie: (rows, 4, 4, lanes of a row, 2); a lane holds 4 by 4 by 2."""
    return x.reshape([x.shape[0], 4, 4, 4, 2])


@gluon.jit
def soft_weights(scores, peak, total, scale, SHIFT: gl.constexpr):
    """Online softmax: unnormalised weights, how much older sums shrink, and the new row maxima and sums.

    The largest weight of a row is 2 to the power of SHIFT. Sums stay apart for the four lanes that share a row until
    the end.
    """
    # In small groups, as one chain of all maxima would wait for each in turn.
    highest = gl.max(gl.max(gl.max(gl.max(_split(scores), 4), 2), 1), 1)
    higher = gl.maximum(peak, gl.convert_layout(highest, peak.type.layout, assert_trivial=True) * scale)
    weights = gl.exp2(scores * scale - gl.expand_dims(higher - SHIFT, 1))
    shrink = gl.exp2(peak - higher)
    parts = gl.sum(gl.sum(gl.sum(_split(weights), 4), 2), 1)
    keep = gl.convert_layout(shrink, gl.SliceLayout(1, parts.type.layout), assert_trivial=True)
    return weights, shrink, higher, total * gl.expand_dims(keep, 1) + parts


@gluon.jit
def _work_first(out_tiles, q, k, v, barriers, count, steps, first, channel, scale, TURNS: gl.constexpr):
    _work(out_tiles, q, k, v, barriers, count, steps, first, channel, scale, TURNS, 0)


@gluon.jit
def _work_second(out_tiles, q, k, v, barriers, count, steps, first, channel, scale, TURNS: gl.constexpr):
    _work(out_tiles, q, k, v, barriers, count, steps, first, channel, scale, TURNS, 1)


@gluon.jit
def _work(out_tiles, q, k, v, barriers, count, steps, first, channel, scale, TURNS: gl.constexpr, WORKER: gl.constexpr):
    q_ready, k_ready, v_ready, k_empty, v_empty, turn = barriers
    STAGES: gl.constexpr = k.shape[0]
    ROWS: gl.constexpr = q.shape[1]
    dtype: gl.constexpr = q.dtype
    # Scores and outputs are both 128 columns wide, so one layout serves both products.
    PRODUCT: gl.constexpr = gl.NVMMADistributedLayout(
        version=[3, 0], warps_per_cta=[gl.num_warps(), 1], instr_shape=[16, 128, 16]
    )
    OPERAND: gl.constexpr = gl.DotOperandLayout(operand_index=0, parent=PRODUCT, k_width=2)
    ROW: gl.constexpr = gl.SliceLayout(1, PRODUCT)
    own = q.index(WORKER)
    mine = turn.index(WORKER)
    other = turn.index(1 - WORKER)

    zeros = gl.zeros([ROWS, 128], gl.float32, PRODUCT)
    acc = gl.zeros([ROWS, 128], gl.float32, PRODUCT)
    peak = gl.full([ROWS], float("-inf"), gl.float32, ROW)
    total = 0.0

    mbarrier.wait(q_ready.index(0), 0)
    mbarrier.wait(k_ready.index(0), 0)
    if TURNS:
        # The first worker's first turn is free: the barrier's phase before the first is complete.
        mbarrier.wait(mine, 1 - WORKER)
    scores = warpgroup_mma(own, k.index(0).permute((1, 0)), zeros, use_acc=False, is_async=True)
    if TURNS:
        mbarrier.arrive(other, count=1)
    scores = warpgroup_mma_wait(0, deps=[scores])
    mbarrier.arrive(k_empty.index(0), count=1)
    weights, shrink, peak, total = soft_weights(scores, peak, total, scale, 0)
    operand = gl.convert_layout(weights.to(dtype), OPERAND, assert_trivial=True)

    v_stage = 0
    v_phase = 0
    k_stage, k_phase = next_stage(v_stage, v_phase, STAGES)
    turn_phase = WORKER
    mbarrier.wait(k_ready.index(k_stage), k_phase, pred=steps > 1)
    for i in range(1, steps):
        if TURNS:
            mbarrier.wait(mine, turn_phase)
            turn_phase = turn_phase ^ 1
        scores = warpgroup_mma(own, k.index(k_stage).permute((1, 0)), zeros, use_acc=False, is_async=True)
        mbarrier.wait(v_ready.index(v_stage), v_phase)
        acc = warpgroup_mma(operand, v.index(v_stage), acc, is_async=True)
        if TURNS:
            mbarrier.arrive(other, count=1)
        scores = warpgroup_mma_wait(1, deps=[scores])
        mbarrier.arrive(k_empty.index(k_stage), count=1)
        weights, shrink, peak, total = soft_weights(scores, peak, total, scale, 0)
        last_v = v_stage
        v_stage, v_phase = k_stage, k_phase
        k_stage, k_phase = next_stage(k_stage, k_phase, STAGES)
        # Waiting for the next key tile here, and not at its use, keeps ptxas from moving the wait for the second
        # product up before the weights: it does not move that over a branch.
        mbarrier.wait(k_ready.index(k_stage), k_phase, pred=i + 1 < steps)
        acc, operand = warpgroup_mma_wait(0, deps=[acc, operand])
        mbarrier.arrive(v_empty.index(last_v), count=1)
        acc = acc * gl.expand_dims(shrink, 1)
        operand = gl.convert_layout(weights.to(dtype), OPERAND, assert_trivial=True)

    mbarrier.wait(v_ready.index(v_stage), v_phase)
    acc = warpgroup_mma(operand, v.index(v_stage), acc, is_async=True)
    acc = warpgroup_mma_wait(0, deps=[acc])
    total = gl.convert_layout(gl.sum(total, 1), ROW, assert_trivial=True)
    share = gl.where(count > 0, 1.0 / total, 0.0)
    acc = gl.where(count > 0, acc * gl.expand_dims(share, 1), 0.0)
    # The worker's query tile is read for the last time: its memory takes the result on its way out.
    own.store(acc.to(dtype))
    fence_async_shared()
    tma.async_copy_shared_to_global(out_tiles, [first + WORKER * ROWS, channel], own)
    tma.store_wait(0)
