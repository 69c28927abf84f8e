"""Attention between blocks of 128 tokens, only where a block mask allows it: plain PyTorch.

Cost and memory follow the number of kept block pairs, never the whole picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GATHER_ELEMENTS = 1 << 25  # keys gathered at once (and as many values): bounds the extra memory


def block_sparse_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, key_blocks: Tensor) -> Tensor:
    """Softmax attention of each query block over the key blocks kept for it.

    Args:
        q: (heads, Q, 128, D) query blocks.
        k: (heads, S, 128, D) stored key blocks.
        v: (heads, S, 128, D) stored value blocks.
        mask: (heads, Q, K) bool, true where a pair is kept. All -inf rows of a usual mask are simply empty here.
        key_blocks: (K,) int64, the stored block behind each column of the mask.

    Returns:
        (heads, Q, 128, D); zero for a query block that keeps no key block.
    """
    heads, query_blocks, block, dim = q.shape
    stored = k.shape[1]
    out = torch.zeros_like(q).flatten(0, 1)  # (heads*Q, 128, D)
    q, k, v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)

    counts = mask.sum(-1).flatten()  # (heads*Q,)
    order = counts.argsort(descending=True)
    lengths = counts[order].tolist()
    # Kept columns of each row first, in their own order; beyond the row's count the entries are padding.
    columns = mask.flatten(0, 1).to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    head = torch.arange(heads, device=q.device).repeat_interleave(query_blocks)
    lists = head[:, None] * stored + key_blocks[columns]  # (heads*Q, K) rows of the flattened k and v

    start = 0
    while start < len(lengths) and lengths[start] > 0:
        longest = lengths[start]
        stop = min(len(lengths), start + max(1, GATHER_ELEMENTS // (longest * block * dim)))
        rows = order[start:stop]
        rows = rows[: sum(length > 0 for length in lengths[start:stop])]
        keys = lists[rows, :longest]  # (rows, longest)
        valid = torch.arange(longest, device=q.device) < counts[rows, None]
        bias = None
        if lengths[start + len(rows) - 1] < longest:
            bias = valid.repeat_interleave(block, dim=1)[:, None, None]  # (rows, 1, 1, longest*128)
        out[rows] = F.scaled_dot_product_attention(
            q[rows, None],
            k[keys].flatten(1, 2)[:, None],
            v[keys].flatten(1, 2)[:, None],
            attn_mask=bias,
        )[:, 0]
        start += len(rows)
    return out.unflatten(0, (heads, query_blocks))
