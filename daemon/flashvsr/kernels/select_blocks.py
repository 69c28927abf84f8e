"""Choose the pairs of blocks that attend to each other, from the mean query and mean key of each block.

The choice (softmax, the k-th largest value of a whole group, lists for the attention kernel) runs once per layer of
every window and is small: what it must not do is wait for the host or launch dozens of kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from flashvsr.kernels.shapes import HEAD_DIM


@dataclass(frozen=True)
class BlockLists:
    """The chosen key blocks of each row; a row is one query block of one head.

    Attributes:
        lists: (heads, Q, C) int32, numbers of the stored blocks: slot*n + block. A row's chosen ones come first,
            in the order of the columns; what follows them means nothing.
        counts: (heads, Q) int32, how many a row has.
        order: (heads*Q,) int32, rows head*Q + q, head after head, so that the keys of few heads are in use at a
            time; within a head the longest first, and equally long ones by their number.
    """

    lists: Tensor
    counts: Tensor
    order: Tensor

    def mask(self, stored: int) -> Tensor:
        """The lists as (heads, Q, stored) bool, true for the stored blocks that are chosen."""
        kept = torch.arange(self.lists.shape[-1], device=self.lists.device) < self.counts[..., None]
        # What a list holds beyond its count goes into a column of its own, which is cut off.
        columns = torch.where(kept, self.lists, stored).long()
        mask = torch.zeros(*self.lists.shape[:-1], stored + 1, dtype=torch.bool, device=self.lists.device)
        return mask.scatter_(-1, columns, True)[..., :stored].contiguous()


def kept_pairs(budget: int, pairs: int) -> int:
    """How many of a group's `pairs` values are above the threshold, if no two are equal."""
    return max(0, min(budget - 1, pairs - 1))


def select_blocks(q_means: Tensor, k_means: Tensor, slots: Tensor, allowed: Tensor, budget: int) -> BlockLists:
    """Keep the strongest pairs of each head and query group.

    The softmax of a row runs over its C = K*n columns, with 0 where a pair is not allowed. Of the n*C values of a
    head and query group those stay that are strictly greater than the (kept+1)-th largest one. A row where nothing is
    allowed keeps nothing.

    Args:
        q_means: (G*n, heads, 128) mean query of each block of the window. Scores are computed in its number format,
            float32 for the kernel; the softmax is float32 in any case.
        k_means: (S*n, heads, 128) mean key of each stored block.
        slots: (K,) int32, the slots the window attends to, oldest first.
        allowed: (n, n) bool, true where two blocks of the picture are near enough.
        budget: pairs per head and query group; one less is kept, and fewer where values are equal.

    Returns:
        The lists. Q = G*n, C = K*n.
    """
    n = len(allowed)
    queries = len(q_means)
    stored = (slots[:, None] * n + torch.arange(n, device=slots.device)).flatten()  # (C,)
    q, k = q_means.transpose(0, 1), k_means.transpose(0, 1)[:, stored]  # (heads, Q, 128), (heads, C, 128)
    scores = q @ k.transpose(1, 2) / math.sqrt(HEAD_DIM)
    chosen = _strongest_pairs(scores, allowed, budget)
    counts = chosen.sum(-1, dtype=torch.int32)
    columns = chosen.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    heads = torch.arange(len(counts), device=counts.device)[:, None]
    order = (heads * queries + counts.argsort(dim=-1, descending=True, stable=True)).flatten()
    return BlockLists(stored[columns].int(), counts, order.int())


def _strongest_pairs(scores: Tensor, allowed: Tensor, budget: int) -> Tensor:
    """Those of scores (heads, G*n, K*n) that are kept: a mask of the same shape."""
    n = len(allowed)
    far = ~allowed.bool().repeat(scores.shape[1] // n, scores.shape[2] // n)
    p = scores.float().masked_fill(far, -math.inf).softmax(dim=-1).masked_fill(far, 0.0)  # an empty row is NaN before
    pairs = p.unflatten(1, (-1, n)).flatten(2)  # (heads, G, n*C)
    kept = kept_pairs(budget, pairs.shape[-1])
    threshold = pairs.kthvalue(pairs.shape[-1] - kept, dim=-1, keepdim=True).values  # the (kept+1)-th largest
    return (pairs > threshold).view(p.shape)
