"""The way to the Block-Sparse-Attention extension, with one in its place that computes from what it is given."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from flashvsr.kernels.block_sparse_attention import block_sparse_attention as plain_attention
from flashvsr.kernels.gpu.extension_attention import ExtensionMissing, block_sparse_attention
from flashvsr.kernels.select_blocks import BlockLists
from flashvsr.kernels.shapes import BLOCK_TOKENS as BLOCK
from flashvsr.kernels.shapes import HEAD_DIM as DIM


def stand_in(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    head_mask_type: Tensor,
    streaming_info: Tensor,
    base_blockmask: Tensor,
    max_seqlen_q_: int,
    max_seqlen_k_: int,
    p_dropout: float,
    deterministic: bool = False,
    softmax_scale: float | None = None,
    is_causal: bool = False,
    exact_streaming: bool = False,
    return_attn_probs: bool = False,
) -> Tensor:
    """The extension's function and its own checks; rows without keys come out as garbage."""
    heads = q.shape[1]
    assert (q.ndim, k.shape, v.shape[1:]) == (3, v.shape, (heads, DIM))
    for lengths, x, most in ((cu_seqlens_q, q, max_seqlen_q_), (cu_seqlens_k, k, max_seqlen_k_)):
        assert lengths.dtype == torch.int32
        assert lengths.tolist() == [0, len(x)]
        assert most == len(x)
    assert (head_mask_type.dtype, head_mask_type.tolist()) == (torch.int32, [1] * heads)
    assert (streaming_info.dtype, streaming_info.shape) == (torch.int32, (2 * heads,))
    assert base_blockmask.shape == (1, heads, len(q) // BLOCK, len(k) // BLOCK)
    assert (p_dropout, is_causal, exact_streaming, return_attn_probs) == (0.0, False, False, False)
    allowed = base_blockmask[0].repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
    scores = torch.einsum("qhd,khd->hqk", q, k) * (softmax_scale or DIM**-0.5)
    weights = scores.masked_fill(~allowed.bool(), -torch.inf).softmax(-1)
    return torch.einsum("hqk,khd->qhd", weights, v).contiguous()


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("block_sparse_attn")
    module.block_sparse_attn_func = stand_in
    monkeypatch.setitem(sys.modules, "block_sparse_attn", module)


def lists_of(mask: Tensor, junk: int) -> BlockLists:
    """A mask (heads, Q, S) as lists; what follows the kept ones is `junk`."""
    heads, queries, stored = mask.shape
    lists = torch.full((heads, queries, stored), junk, dtype=torch.int32)
    for head in range(heads):
        for query in range(queries):
            kept = mask[head, query].nonzero()[:, 0].flip(0)  # in any order
            lists[head, query, : len(kept)] = kept
    counts = mask.sum(-1, dtype=torch.int32)
    return BlockLists(lists, counts, counts.flatten().argsort(descending=True).int())


@pytest.fixture
def mask() -> Tensor:
    """2 heads, 3 query blocks, 5 stored blocks; one row keeps nothing, one all."""
    mask = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(3)) < 0.5
    mask[0, 1], mask[1, 2] = False, True
    return mask


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize("junk", [0, 4, 2**30])
def test_what_follows_the_kept_ones_means_nothing(mask: Tensor, junk: int) -> None:
    q, k = torch.randn(3 * BLOCK, 2, DIM), torch.randn(5 * BLOCK, 2, DIM)
    expected = block_sparse_attention(q, k, k, lists_of(mask, 1))
    assert torch.equal(block_sparse_attention(q, k, k, lists_of(mask, junk)), expected)


@pytest.mark.usefixtures("extension")
def test_it_computes_what_the_plain_form_does(mask: Tensor) -> None:
    generator = torch.Generator().manual_seed(1)
    q = torch.randn(3 * BLOCK, 2, DIM, generator=generator)
    k, v = (torch.randn(5 * BLOCK, 2, DIM, generator=generator) for _ in range(2))
    out = block_sparse_attention(q, k, v, lists_of(mask, 0))
    assert out.shape == q.shape
    assert torch.allclose(out, plain_attention(q, k, v, lists_of(mask, 0)), atol=1e-5)
    assert not out[BLOCK : 2 * BLOCK, 0].any()  # the row that keeps nothing


@pytest.mark.usefixtures("extension")
def test_another_length_is_told_to_the_extension(mask: Tensor) -> None:
    """The numbers it is told are kept from call to call: those of another call must not come back."""
    for queries, stored in ((3, 5), (1, 5), (3, 4)):
        q, k = torch.randn(queries * BLOCK, 2, DIM), torch.randn(stored * BLOCK, 2, DIM)
        lists = lists_of(mask[:, :queries, :stored], 0)
        assert block_sparse_attention(q, k, k, lists).shape == q.shape


def test_without_the_extension_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, mask: Tensor) -> None:
    monkeypatch.setitem(sys.modules, "block_sparse_attn", None)
    x = torch.zeros(3 * BLOCK, 2, DIM)
    with pytest.raises(ExtensionMissing, match="third_party/install_block_sparse_attn"):
        block_sparse_attention(x, x, x, lists_of(mask, 0))
