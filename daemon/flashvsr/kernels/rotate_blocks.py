"""From one product q|k|v to what sparse attention needs: RMSNorm, RoPE, block means, and the ring of kept groups.

Tokens are in block order: 128 consecutive ones are a block, n blocks are a group. The steps all pass over the same
tokens, and what the window attends to goes straight to its place in the ring.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels.fp8_attention import FORMAT, LARGEST, Factors, round_values
from flashvsr.kernels.shapes import BLOCK_TOKENS, HEAD_DIM


@dataclass(frozen=True)
class Ring:
    """Keys, values and key block means of the last groups of one layer, in S slots.

    Attributes:
        keys: (S*n*128, D), token by token.
        values: (S*n*128, D). In 8 bits they are blocks as `round_values` makes them, one behind the other.
        means: (S*n, heads, 128) float32.
        value_scales: (S*n, heads) float32 of values in 8 bits; else None.
    """

    keys: Tensor
    values: Tensor
    means: Tensor
    value_scales: Tensor | None = None

    @property
    def value_blocks(self) -> Tensor:
        """View (S*n, heads, 128, 128) of values in 8 bits."""
        return self.values.view(*self.means.shape, BLOCK_TOKENS)


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
    _put(ring.keys, slots, k.flatten(1).to(ring.keys.dtype))
    _put(ring.values, slots, v.to(ring.values.dtype))
    _put(ring.means, slots, _block_means(k))
    return q.flatten(1).to(qkv.dtype), _block_means(q)


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
    """Do the same for attention in 8 bits; `factors` bring queries and keys into the format's range.

    The ring is one in 8 bits. The means are those of the numbers before factors and rounding, as above.

    Returns:
        q (T, D) float8, multiplied by its factors, and its block means (G*n, heads, 128) float32.
    """
    q, k, v = qkv.chunk(3, dim=-1)
    q = _normalise_and_rotate(q, norm_q, cos, sin, eps)
    k = _normalise_and_rotate(k, norm_k, cos, sin, eps)
    values, value_scales = round_values(v.unflatten(-1, (-1, HEAD_DIM)))
    assert ring.value_scales is not None
    _put(ring.keys, slots, _rounded(k, factors.k))
    _put(ring.values, slots, values.view(v.shape))
    _put(ring.value_scales, slots, value_scales)
    _put(ring.means, slots, _block_means(k))
    return _rounded(q, factors.q), _block_means(q)


def _rounded(x: Tensor, factors: Tensor) -> Tensor:
    """(T, heads, 128) -> (T, D) float8."""
    return (x * factors[:, None]).clamp(-LARGEST, LARGEST).to(FORMAT).flatten(1)


def _put(stored: Tensor, slots: Tensor, rows: Tensor) -> None:
    """Write the rows of G groups into their slots. As bytes, since PyTorch does not index float8."""
    if stored.dtype == FORMAT:
        stored, rows = stored.view(torch.uint8), rows.view(torch.uint8)
    groups = len(slots)
    stored.unflatten(0, (-1, len(rows) // groups))[slots.long()] = rows.unflatten(0, (groups, -1))


def _normalise_and_rotate(x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, eps: float) -> Tensor:
    """(T, D) -> (T, heads, 128) float32."""
    x = F.rms_norm(x.float(), weight.shape, weight.float(), eps)
    real, imaginary = x.unflatten(-1, (-1, HEAD_DIM // 2, 2)).unbind(-1)  # (T, heads, 64) each
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=-1).flatten(-2)


def _block_means(x: Tensor) -> Tensor:
    """(T, heads, 128) -> (blocks, heads, 128)."""
    return x.unflatten(0, (-1, BLOCK_TOKENS)).mean(dim=1)
