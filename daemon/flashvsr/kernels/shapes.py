"""Sizes that every kernel and the model agree on.

The kernels in `gpu/` are written for them: inside Triton's functions the same numbers stand as such.
"""

from __future__ import annotations

HEAD_DIM = 128  # channels of an attention head
BLOCK_FRAMES = 2  # latent frames of a block, which are those of a group
BLOCK_SIDE = 8  # tokens of a block along rows and columns
BLOCK_TOKENS = BLOCK_FRAMES * BLOCK_SIDE * BLOCK_SIDE
