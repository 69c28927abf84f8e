"""Attention between blocks of 128 tokens in 8-bit floating point: the number formats, and the plain form.

Queries and keys have been normalised over all heads, which bounds them: a factor for each head, known beforehand,
brings them into the format's range, whatever the video. Values have no such bound; each block of a head has a scale of
its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flashvsr.kernels.block_sparse_attention import block_sparse_attention
from flashvsr.kernels.select_blocks import BlockLists
from flashvsr.kernels.shapes import BLOCK_TOKENS, HEAD_DIM

FORMAT = torch.float8_e4m3fn
LARGEST = 448.0  # of that format
SMALLEST_SCALE = 1e-12  # of a block of zeros


@dataclass(frozen=True)
class Factors:
    """What queries and keys are multiplied by before they are rounded, for each head (heads,) float32."""

    q: Tensor
    k: Tensor
    scales: Tensor
    """What the products of both are to be multiplied by, likewise: it takes the factors back."""

    @classmethod
    def of(cls, norm_q: Tensor, norm_k: Tensor) -> Factors:
        """Those for these weights (D,) of the norms: no query and no key can then exceed the format's range.

        A normalised token has a root mean square of 1, so none of its D numbers exceeds the root of D; the rotation
        turns pairs of them, and no pair is longer than that. Powers of two, so that they round nothing.
        """
        q, k = (_factors(weight) for weight in (norm_q, norm_k))
        return cls(q, k, 1 / (q * k))


def _factors(weight: Tensor) -> Tensor:
    largest = weight.float().abs().unflatten(0, (-1, HEAD_DIM)).amax(1).clamp_min(SMALLEST_SCALE)
    return torch.exp2((LARGEST / (len(weight) ** 0.5 * largest)).log2().floor())


def token_order() -> Tensor:
    """(128,) which token of a block has each place in stored values.

    Within every 16 tokens those come together whose weights one lane of a warp holds after the product before: so
    weights go from one product into the next without moving between lanes.
    """
    place = torch.arange(BLOCK_TOKENS)
    part, lane, index = place // 16, place % 16 // 4, place % 4
    return 16 * part + 8 * (index // 2) + 2 * lane + index % 2


def round_values(values: Tensor) -> tuple[Tensor, Tensor]:
    """Round values as they are stored.

    Args:
        values: (S*128, heads, 128) of any format.

    Returns:
        (S, heads, 128 channels, 128 tokens in `token_order`) float8, and (S, heads) float32 to multiply them by.
    """
    blocks = values.float().unflatten(0, (-1, BLOCK_TOKENS)).permute(0, 2, 3, 1)
    scales = (blocks.abs().amax((2, 3)) / LARGEST).clamp_min(SMALLEST_SCALE)
    ordered = blocks[..., token_order().to(values.device)] / scales[..., None, None]
    return ordered.clamp(-LARGEST, LARGEST).to(FORMAT), scales


def fp8_attention(
    q: Tensor,
    k: Tensor,
    values: Tensor,
    value_scales: Tensor,
    scales: Tensor,
    selection: BlockLists,
    dtype: torch.dtype,
) -> Tensor:
    """Softmax attention of each query block over the key blocks listed for it.

    Args:
        q: (T, heads, 128) float8 queries, multiplied by their factor.
        k: (S*128, heads, 128) float8 keys, likewise.
        values: (S, heads, 128, 128) float8, as `round_values` makes them.
        value_scales: (S, heads) their scales.
        scales: (heads,) of the products of queries and keys, see `Factors`.
        selection: which stored blocks each query block sees.
        dtype: number format of the result.

    Returns:
        (T, heads, 128); zero for a query block that sees none.
    """
    wide = torch.empty_like(values, dtype=torch.float32)
    wide[..., token_order().to(values.device)] = values.float() * value_scales[..., None, None]
    v = wide.permute(0, 3, 1, 2).flatten(0, 1)
    return block_sparse_attention(q.float() * scales[:, None], k.float(), v, selection).to(dtype)
