"""The kernel for compute capability 9.x against attention written with plain PyTorch. Skipped on other devices."""

from __future__ import annotations

import pytest
import torch

if not torch.cuda.is_available() or torch.cuda.get_device_capability()[0] != 9:
    pytest.skip("needs a CUDA device of compute capability 9.x", allow_module_level=True)

from flashvsr.kernels.gpu.hopper_attention import TilePlan, block_sparse_attention
from flashvsr.kernels.select_blocks import BlockLists

pytestmark = pytest.mark.gpu
HEADS = 3
STORED = 16
COUNTS = (0, 1, 2, 3, 4, 5, 15, STORED, 7)
"""Kept key blocks of the query blocks, the same in every head."""


def _keep(generator: torch.Generator) -> torch.Tensor:
    """(HEADS, len(COUNTS), STORED) which blocks are kept: other ones in every row."""
    rank = torch.rand(HEADS, len(COUNTS), STORED, generator=generator).argsort(-1).argsort(-1)
    return rank < torch.tensor(COUNTS)[:, None]


def _selection(keep: torch.Tensor) -> BlockLists:
    counts = keep.sum(-1).int()
    lists = keep.to(torch.int8).argsort(dim=-1, descending=True, stable=True).int()
    order = counts.flatten().argsort(descending=True, stable=True).int()
    return BlockLists(lists.cuda(), counts.cuda(), order.cuda())


def _plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """The same in float64, one query block after the other."""
    out = torch.zeros(q.shape, dtype=torch.float64, device=q.device)
    for head in range(HEADS):
        for block in range(len(COUNTS)):
            listed = keep[head, block].nonzero()[:, 0].tolist()
            if listed:
                rows = slice(block * 128, block * 128 + 128)
                keys, values = (torch.cat([x[i * 128 : i * 128 + 128, head] for i in listed]).double() for x in (k, v))
                out[rows, head] = torch.softmax(q[rows, head].double() @ keys.T / 128**0.5, -1) @ values
    return out


@pytest.mark.parametrize("plan", [TilePlan(), TilePlan(stages=3), TilePlan(turns=False), TilePlan(workers=1)], ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_every_count_of_blocks_gives_plain_attention(plan: TilePlan, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    keep = _keep(generator)
    q, k, v = (
        torch.randn(blocks * 128, HEADS, 128, generator=generator).to("cuda", dtype)
        for blocks in (len(COUNTS), STORED, STORED)
    )
    selection = _selection(keep)

    out = block_sparse_attention(q, k, v, selection, plan)

    expected = _plain(q, k, v, keep)
    assert not out[:128].any()
    for block in range(1, len(COUNTS)):
        rows = slice(block * 128, block * 128 + 128)
        error = (out[rows].double() - expected[rows]).norm() / expected[rows].norm()
        assert error < 5e-3, f"{COUNTS[block]} blocks: {error}"
    for _ in range(5):
        assert torch.equal(block_sparse_attention(q, k, v, selection, plan), out)


def test_large_scores_do_not_overflow() -> None:
    generator = torch.Generator().manual_seed(2)
    keep = _keep(generator)
    q, k, v = (
        torch.randn(blocks * 128, HEADS, 128, generator=generator).to("cuda", torch.bfloat16)
        for blocks in (len(COUNTS), STORED, STORED)
    )
    q, k = q * 30, k * 30
    error = (block_sparse_attention(q, k, v, _selection(keep)).double() - _plain(q, k, v, keep)).abs().max()
    assert error < 0.05
