"""Block order: the one order of tokens between patchify and head.

A *block* is 2 latent frames x 8 x 8 tokens. Tokens lie block by block, blocks row-major in (group, row, column),
tokens row-major inside a block. Everything but attention and RoPE is per token, so no layer regroups.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor

from flashvsr.kernels.shapes import BLOCK_FRAMES, BLOCK_SIDE, BLOCK_TOKENS

__all__ = ["BLOCK_FRAMES", "BLOCK_SIDE", "BLOCK_TOKENS", "from_blocks", "to_blocks"]


def to_blocks(x: Tensor) -> Tensor:
    """(frames, rows, columns, C) -> (tokens, C) in block order."""
    return rearrange(
        x,
        "(g f) (r y) (q x) c -> (g r q f y x) c",
        f=BLOCK_FRAMES,
        y=BLOCK_SIDE,
        x=BLOCK_SIDE,
    )


def from_blocks(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """(tokens, C) in block order -> (frames, rows, columns, C)."""
    return rearrange(
        tokens,
        "(g r q f y x) c -> (g f) (r y) (q x) c",
        r=rows // BLOCK_SIDE,
        q=columns // BLOCK_SIDE,
        f=BLOCK_FRAMES,
        y=BLOCK_SIDE,
        x=BLOCK_SIDE,
    )
