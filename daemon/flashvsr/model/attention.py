"""Locality-constrained sparse self-attention with kept keys and values, and cross-attention to the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashvsr.kernels.block_sparse_attention import block_sparse_attention
from flashvsr.kernels.select_blocks import select_blocks
from flashvsr.kernels.shapes import BLOCK_TOKENS, HEAD_DIM
from flashvsr.model.rope import apply_rope


@dataclass(frozen=True)
class Sparsity:
    """Which block pairs may attend to each other, for one picture shape.

    Attributes:
        allowed: (n, n) bool, true where two blocks of the picture's grid are near enough.
        budget: pairs kept per head and query group; does not grow with the kept groups.
    """

    allowed: Tensor
    budget: int

    @classmethod
    def for_grid(cls, rows: int, columns: int, topk_ratio: float, local_range: int, device: torch.device) -> Sparsity:
        """Build the rule for a grid of rows x columns blocks."""
        reach = local_range // 2
        row = torch.arange(rows, device=device).repeat_interleave(columns)
        column = torch.arange(columns, device=device).repeat(rows)
        near = ((row[:, None] - row).abs() <= reach) & ((column[:, None] - column).abs() <= reach)
        blocks = rows * columns
        return cls(near, int(blocks * blocks * topk_ratio))


class WindowContext(NamedTuple):
    """What the layers need to know about a window besides its tokens.

    All that tells one window from another is in tensors, so that the work on a window can be recorded and replayed.

    Attributes:
        cos: (tokens, 64) float32, cosines of the tokens' positions.
        sin: (tokens, 64) float32, sines.
        written: (groups,) int32, slots of the rings that its own groups go to.
        attended: (key groups,) int32, slots that it attends to, oldest first.
    """

    cos: Tensor
    sin: Tensor
    written: Tensor
    attended: Tensor


class KeyValueRing:
    """Keys, values and key block means of the last groups of one layer, in slots that are written in turn.

    Attention does not depend on the order of key blocks, so nothing is ever moved: the newest group overwrites the
    oldest one. With `offload`, keys and values stay in host memory
    and come to the device for the time of one layer.
    """

    def __init__(
        self,
        heads: int,
        blocks: int,
        slots: int,
        dtype: torch.dtype,
        device: torch.device,
        offload: bool = False,
    ) -> None:
        shape = (heads, slots, blocks, BLOCK_TOKENS, HEAD_DIM)
        pinned = offload and device.type == "cuda"  # pinned memory is copied at the full rate of the bus
        kept = torch.device("cpu") if offload else device
        self.device = device
        self.keys = torch.empty(shape, dtype=dtype, device=kept, pin_memory=pinned)
        self.values = torch.empty(shape, dtype=dtype, device=kept, pin_memory=pinned)
        self.means = torch.empty((heads, slots, blocks, HEAD_DIM), dtype=dtype, device=device)

    def write(self, slot: int, keys: Tensor, values: Tensor, means: Tensor) -> None:
        """Store a group: keys and values (heads, n, 128, 128), means (heads, n, 128)."""
        self.keys[:, slot], self.values[:, slot], self.means[:, slot] = keys, values, means

    def stored(self) -> tuple[Tensor, Tensor]:
        """All keys and all values on the device, (slots*n*128, heads, 128) each; a head's tokens lie together."""
        keys, values = (x.to(self.device).flatten(1, 3).transpose(0, 1) for x in (self.keys, self.values))
        return keys, values

    def stored_means(self) -> Tensor:
        """The mean key of each stored block, (slots*n, heads, 128)."""
        return self.means.flatten(1, 2).transpose(0, 1)


class _Projections(nn.Module):
    """q, k, v, o and the norms of q and k over the full width, float32 inside."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q = RMSNorm(dim, eps)
        self.norm_k = RMSNorm(dim, eps)


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis, computed in float32."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, eps=self.eps).to(x.dtype) * self.weight


class SelfAttention(_Projections):
    """Sparse self-attention between a window's tokens and those of the kept groups."""

    def forward(self, x: Tensor, window: WindowContext, sparsity: Sparsity, ring: KeyValueRing) -> Tensor:
        """Attend.

        Args:
            x: (tokens, dim) tokens of the window in block order.
            window: positions of the tokens and slots of their groups; `written` is in host memory.
            sparsity: which blocks may attend to each other.
            ring: this layer's kept keys and values; the window's own are added to it.

        Returns:
            (tokens, dim).
        """
        q = apply_rope(self.norm_q(self.q(x)).unflatten(-1, (-1, HEAD_DIM)), window.cos, window.sin)
        k = apply_rope(self.norm_k(self.k(x)).unflatten(-1, (-1, HEAD_DIM)), window.cos, window.sin)
        v = self.v(x).unflatten(-1, (-1, HEAD_DIM))
        # (blocks, heads, 128) each
        query_means, key_means = (t.unflatten(0, (-1, BLOCK_TOKENS)).mean(dim=1) for t in (q, k))
        slots = window.written.tolist()
        keys, values = (_split_blocks(t, len(slots)) for t in (k, v))  # (heads, groups, n, 128, 128)
        means = key_means.unflatten(0, (len(slots), -1)).permute(2, 0, 1, 3)  # (heads, groups, n, 128)
        for i, slot in enumerate(slots):
            ring.write(slot, keys[:, i], values[:, i], means[:, i])

        chosen = select_blocks(query_means, ring.stored_means(), window.attended, sparsity.allowed, sparsity.budget)
        return self.o(block_sparse_attention(q, *ring.stored(), chosen).flatten(1))


def _split_blocks(x: Tensor, groups: int) -> Tensor:
    """(tokens, heads, 128) -> (heads, groups, n, 128 tokens, 128)."""
    return x.unflatten(0, (groups, -1, BLOCK_TOKENS)).permute(3, 0, 1, 2, 4)


class CrossAttention(_Projections):
    """Attention to the prompt, whose keys and values are the same for every window."""

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Project the prompt (ctx, dim) once: keys and values, each (heads, ctx, 128)."""
        k = self.norm_k(self.k(context)).unflatten(-1, (-1, HEAD_DIM)).transpose(0, 1)
        v = self.v(context).unflatten(-1, (-1, HEAD_DIM)).transpose(0, 1)
        return k, v

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor]) -> Tensor:
        """Attend from the tokens (tokens, dim) to the prompt."""
        q = self.norm_q(self.q(x)).unflatten(-1, (-1, HEAD_DIM)).transpose(0, 1)  # (heads, tokens, 128)
        out = F.scaled_dot_product_attention(q[None], keys_values[0][None], keys_values[1][None])[0]
        return self.o(out.transpose(0, 1).flatten(1))
