"""Attention between blocks of 128 tokens, only over listed key blocks: plain PyTorch.

Cost and memory follow the number of kept block pairs, never the whole picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels.select_blocks import BlockLists

GATHER_ELEMENTS = 1 << 25  # keys gathered at once (and as many values): bounds the extra memory


def block_sparse_attention(q: Tensor, k: Tensor, v: Tensor, selection: BlockLists) -> Tensor:
    """Softmax attention of each query block over the key blocks listed for it.

    Strides are free; nothing is copied of keys and values where the tokens of one head lie together.

    Args:
        q: (T, heads, D) queries in block order; the Q query blocks of the selection are equally long.
        k: (S, heads, D) stored keys, in blocks of the same length.
        v: (S, heads, D) stored values.
        selection: which stored blocks each query block sees.

    Returns:
        (T, heads, D); zero for a query block that sees none.
    """
    heads, query_blocks = selection.counts.shape
    block, dim = len(q) // query_blocks, q.shape[-1]
    stored = len(k) // block
    q, k, v = (_by_head(x, block) for x in (q, k, v))  # (heads*blocks, block, D)
    out = q.new_zeros(q.shape)

    counts = selection.counts.flatten()  # (heads*Q,)
    order = counts.argsort(descending=True)
    lengths = counts[order].tolist()
    head = torch.arange(heads, device=q.device).repeat_interleave(query_blocks)
    lists = head[:, None] * stored + selection.lists.flatten(0, 1)  # (heads*Q, C) rows of k and v

    start = 0
    while start < len(lengths) and lengths[start] > 0:
        longest = lengths[start]
        stop = min(len(lengths), start + max(1, GATHER_ELEMENTS // (longest * block * dim)))
        rows = order[start:stop]
        rows = rows[: sum(length > 0 for length in lengths[start:stop])]
        valid = torch.arange(longest, device=q.device) < counts[rows, None]
        # What follows a row's own blocks means nothing: the first of them fills up, and is masked there.
        keys = lists[rows, :longest].where(valid, lists[rows, :1])  # (rows, longest)
        bias = None
        if lengths[start + len(rows) - 1] < longest:
            bias = valid.repeat_interleave(block, dim=1)[:, None, None]  # (rows, 1, 1, longest*block)
        out[rows] = F.scaled_dot_product_attention(
            q[rows, None],
            k[keys].flatten(1, 2)[:, None],
            v[keys].flatten(1, 2)[:, None],
            attn_mask=bias,
        )[:, 0]
        start += len(rows)
    return out.view(heads, -1, dim).transpose(0, 1)


def _by_head(x: Tensor, block: int) -> Tensor:
    """(blocks*block, heads, D) -> (heads*blocks, block, D), a view where the tokens of a head lie together."""
    return x.transpose(0, 1).unflatten(1, (-1, block)).flatten(0, 1)
