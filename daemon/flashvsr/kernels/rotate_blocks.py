"""From one product q|k|v to what sparse attention needs: RMSNorm, RoPE, block means, and the ring of kept groups.

Tokens are in block order: 128 consecutive ones are a block, n blocks are a group. The steps all pass over the same
tokens, and what the window attends to goes straight to its place in the ring.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels.shapes import BLOCK_TOKENS, HEAD_DIM


@dataclass(frozen=True)
class Ring:
    """Keys, values and key block means of the last groups of one layer, in S slots.

    Attributes:
        keys: (S*n*128, D), token by token.
        values: (S*n*128, D).
        means: (S*n, heads, 128) float32.
    """

    keys: Tensor
    values: Tensor
    means: Tensor


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
    """Normalise q and k over all heads, rotate them per head, average them per block, and put k and v into the ring.

    Everything is float32 inside and rounded once. The means are those of the numbers before rounding.

    Args:
        qkv: (T, 3*D) queries, keys and values of a window of G groups.
        norm_q: (D,) weight of the norm of q.
        norm_k: (D,) weight of the norm of k.
        cos: (T, 64) float32 cosines, one for each pair of adjacent channels of a head.
        sin: (T, 64) float32 sines.
        eps: added to the mean square.
        slots: (G,) int32, the slot each group goes to.
        ring: where it goes; only those slots change.

    Returns:
        q (T, D) of the format of qkv, and its block means (G*n, heads, 128) float32.
    """
    q, k, v = qkv.chunk(3, dim=-1)
    q = _normalise_and_rotate(q, norm_q, cos, sin, eps)
    k = _normalise_and_rotate(k, norm_k, cos, sin, eps)
    groups = len(slots)
    slots = slots.long()
    ring.keys.unflatten(0, (-1, len(k) // groups))[slots] = k.flatten(1).to(ring.keys.dtype).unflatten(0, (groups, -1))
    ring.values.unflatten(0, (-1, len(v) // groups))[slots] = v.to(ring.values.dtype).unflatten(0, (groups, -1))
    k_means = _block_means(k)
    ring.means.unflatten(0, (-1, len(k_means) // groups))[slots] = k_means.unflatten(0, (groups, -1))
    return q.flatten(1).to(qkv.dtype), _block_means(q)


def _normalise_and_rotate(x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, eps: float) -> Tensor:
    """(T, D) -> (T, heads, 128) float32."""
    x = F.rms_norm(x.float(), weight.shape, weight.float(), eps)
    real, imaginary = x.unflatten(-1, (-1, HEAD_DIM // 2, 2)).unbind(-1)  # (T, heads, 64) each
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=-1).flatten(-2)


def _block_means(x: Tensor) -> Tensor:
    """(T, heads, 128) -> (blocks, heads, 128)."""
    return x.unflatten(0, (-1, BLOCK_TOKENS)).mean(dim=1)
