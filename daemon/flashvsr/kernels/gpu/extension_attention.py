"""Attention between chosen blocks by the Block-Sparse-Attention CUDA extension, for whoever has built it.

Source: block_sparse_attn_func of https://github.com/mit-han-lab/Block-Sparse-Attention
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from flashvsr.kernels.select_blocks import BlockLists
from flashvsr.kernels.shapes import BLOCK_TOKENS

MODULE = "block_sparse_attn"
INSTALL = "third_party/install_block_sparse_attn"


class ExtensionMissing(ImportError):
    """The extension is not installed, or was built for another PyTorch. The message says what to do."""


def load_extension() -> Any:
    """Import the extension. Raises ExtensionMissing."""
    try:
        return import_module(MODULE)
    except ImportError as error:
        raise ExtensionMissing(
            f"the Block-Sparse-Attention extension cannot be imported ({error}); build it with {INSTALL}, with "
            "--force if PyTorch has changed since"
        ) from error


def block_sparse_attention(q: Tensor, k: Tensor, v: Tensor, selection: BlockLists) -> Tensor:
    """Softmax attention of each query block over the stored blocks chosen for it.

    Args:
        q: (T, heads, 128) queries in block order, bfloat16 or float16 on a GPU. T = Q*128.
        k: (S*128, heads, 128) stored keys.
        v: (S*128, heads, 128) stored values.
        selection: the chosen blocks.

    Returns:
        (T, heads, 128); zero for a query block that keeps nothing.

    Raises:
        ExtensionMissing: it cannot be imported.
    """
    extension = load_extension()
    (tokens, heads, _), stored = q.shape, len(k)
    queries_from, keys_from, masked, unused = _constants(tokens, stored, heads, q.device)
    out: Tensor = extension.block_sparse_attn_func(
        q,
        k,
        v,
        queries_from,
        keys_from,
        masked,
        unused,
        selection.mask(stored // BLOCK_TOKENS)[None],
        tokens,
        stored,
        0.0,  # dropout
    )
    # Nothing is promised of the rows of a block without keys.
    empty = (selection.counts == 0).T[:, None, :, None]  # (Q, 1, heads, 1)
    return out.view(-1, BLOCK_TOKENS, heads, out.shape[-1]).masked_fill_(empty, 0).view_as(out)


@lru_cache(maxsize=8)
def _constants(tokens: int, stored: int, heads: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the extension wants to know of one sequence: where queries and keys begin and end, that each head has a
    mask, and the sinks of streaming heads, of which there are none. Made once, since it waits for the device.
    """
    queries_from = torch.tensor([0, tokens], dtype=torch.int32, device=device)
    keys_from = torch.tensor([0, stored], dtype=torch.int32, device=device)
    masked = torch.ones(heads, dtype=torch.int32, device=device)
    return queries_from, keys_from, masked, torch.zeros(2 * heads, dtype=torch.int32, device=device)
