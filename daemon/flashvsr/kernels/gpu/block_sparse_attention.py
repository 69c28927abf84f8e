"""Attention between blocks of 128 tokens, only over listed key blocks: one Triton program per query tile.

A program reads the list of its query block and streams those key and value blocks through an online softmax. Tiles are
fetched by tensor descriptors (the copy engine from compute capability 9.0 on, plain loads before). Rows with the
longest lists start first, so that no long row is left over at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from flashvsr.kernels.gpu.large_tiles import takes_large_tiles
from flashvsr.kernels.select_blocks import BlockLists
from flashvsr.kernels.shapes import BLOCK_TOKENS

LOG2_E = 1.4426950408889634


@dataclass(frozen=True)
class AttentionTile:
    """Queries of one program and keys of one step."""

    rows: int = 128
    columns: int = 128
    warps: int = 8
    stages: int = 2


TILE = AttentionTile()
THROUGH_REGISTERS = AttentionTile(columns=32)  # where large tiles do not fit: larger ones spill


def block_sparse_attention(
    q: Tensor, k: Tensor, v: Tensor, selection: BlockLists, tile: AttentionTile | None = None
) -> Tensor:
    """See the plain form: q (T, heads, 128), k and v (S*128, heads, 128) -> (T, heads, 128), all contiguous.

    `tile`: how the work is cut, by default as the device likes it.
    """
    tile = tile or (TILE if takes_large_tiles(q.device) else THROUGH_REGISTERS)
    tokens, heads, dim = q.shape
    out = torch.empty_like(q)
    q_tiles, k_tiles, v_tiles = (
        TensorDescriptor.from_tensor(x.view(-1, heads * dim), [rows, dim])
        for x, rows in ((q, tile.rows), (k, tile.columns), (v, tile.columns))
    )
    _attend[(selection.order.numel() * (BLOCK_TOKENS // tile.rows),)](
        q_tiles,
        k_tiles,
        v_tiles,
        out,
        selection.lists,
        selection.counts,
        selection.order,
        selection.lists.shape[-1],
        tokens // BLOCK_TOKENS,
        LOG2_E / dim**0.5,
        heads * dim,
        dim,
        tile.rows,
        tile.columns,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return out


@triton.jit(do_not_specialize=["width", "blocks"])
def _attend(
    q_tiles,
    k_tiles,
    v_tiles,
    out,
    lists,
    counts,
    order,
    width,
    blocks,
    scale,
    CHANNELS: tl.constexpr,
    DIM: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    SPLIT: tl.constexpr = 128 // ROWS
    PARTS: tl.constexpr = 128 // COLUMNS
    program = tl.program_id(0)
    row = tl.load(order + program // SPLIT)
    first = (row % blocks) * 128 + (program % SPLIT) * ROWS
    channel = (row // blocks) * DIM
    steps = tl.load(counts + row) * PARTS
    lists += row * width

    q = q_tiles.load([first, channel])
    acc = tl.zeros([ROWS, DIM], tl.float32)
    peak = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    block = tl.load(lists, mask=steps > 0, other=0)
    for i in range(0, steps):
        key = block * 128 + (i % PARTS) * COLUMNS
        # The next index is fetched a step ahead of the tile that it names.
        block = tl.load(lists + (i + 1) // PARTS, mask=i + 1 < steps, other=0)
        k = k_tiles.load([key, channel])
        scores = tl.dot(q, k.T)
        higher = tl.maximum(peak, tl.max(scores, 1) * scale)
        p = tl.math.exp2(scores * scale - higher[:, None])
        shrink = tl.math.exp2(peak - higher)
        total = total * shrink + tl.sum(p, 1)
        acc = acc * shrink[:, None]
        v = v_tiles.load([key, channel])
        acc = tl.dot(p.to(v.dtype), v, acc)
        peak = higher
    acc = acc / tl.where(total > 0, total, 1.0)[:, None]
    out += first.to(tl.int64) * CHANNELS + channel
    offsets = tl.arange(0, ROWS)[:, None] * CHANNELS + tl.arange(0, DIM)[None, :]
    tl.store(out + offsets, acc.to(out.dtype.element_ty))
