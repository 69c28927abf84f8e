"""Block-sparse attention: the plain form against dense attention, the kernel for any GPU against gathered keys."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from flashvsr.kernels import block_sparse_attention as plain
from flashvsr.kernels.gpu.block_sparse_attention import AttentionTile, block_sparse_attention
from flashvsr.kernels.select_blocks import BlockLists
from flashvsr.kernels.shapes import BLOCK_TOKENS as BLOCK

STORED = 5
# Triton's interpreter takes the bits of bfloat16 for numbers where it multiplies matrices.
BF16 = pytest.mark.skipif(not torch.cuda.is_available(), reason="the interpreter cannot multiply bfloat16 matrices")


def expected(q: Tensor, k: Tensor, v: Tensor, chosen: BlockLists) -> Tensor:
    out = torch.zeros_like(q, dtype=torch.float32)
    for head, rows in enumerate(chosen.counts.tolist()):
        for block, count in enumerate(rows):
            if count:
                kept = chosen.lists[head, block, :count].long()
                keys, values = (t.unflatten(0, (-1, BLOCK))[kept, :, head].flatten(0, 1).float() for t in (k, v))
                here = slice(block * BLOCK, (block + 1) * BLOCK)
                p = (q[here, head].float() @ keys.T / q.shape[-1] ** 0.5).softmax(dim=-1)
                out[here, head] = p @ values
    return out


def chosen(counts: list[list[int]], device: torch.device) -> BlockLists:
    """Lists of different blocks, in no order; what lies behind a row's count would be out of bounds."""
    torch.manual_seed(0)
    lists = torch.stack([torch.stack([torch.randperm(STORED) for _ in row]) for row in counts]).int()
    number = torch.tensor(counts, dtype=torch.int32)
    lists[torch.arange(STORED) >= number[..., None]] = 1 << 20
    order = torch.cat([row.argsort(descending=True, stable=True) + i * len(row) for i, row in enumerate(number)]).int()
    return BlockLists(lists.to(device), number.to(device), order.to(device))


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns"), [(128, 128), (64, 32)])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-5), (torch.float16, 2e-3), pytest.param(torch.bfloat16, 1e-2, marks=BF16)],
)
def test_any_number_of_blocks(
    device: torch.device, rows: int, columns: int, dtype: torch.dtype, tolerance: float
) -> None:
    if device.type == "cuda" and dtype == torch.float32:
        pytest.skip("on a GPU the kernel is for 16 bits; its tiles of 32 do not fit")
    selection = chosen([[0, 1, 5], [3, 0, 2]], device)
    q = torch.randn(3 * BLOCK, 2, 128, device=device).to(dtype)
    k, v = torch.randn(2, STORED * BLOCK, 2, 128, device=device).to(dtype)
    out = block_sparse_attention(q, k, v, selection, AttentionTile(rows, columns, 8, 2))
    exact = expected(q, k, v, selection)
    assert (out.float() - exact).norm() <= tolerance * exact.norm()
    assert not out[:BLOCK, 0].any(), "a row that sees nothing"


def test_large_scores_do_not_overflow(device: torch.device) -> None:
    selection = chosen([[5]], device)
    q = 60 * torch.randn(BLOCK, 1, 128, device=device).half()
    k, v = 10 * torch.randn(2, STORED * BLOCK, 1, 128, device=device).half()
    out = block_sparse_attention(q, k, v, selection)
    exact = expected(q, k, v, selection)
    assert out.isfinite().all()
    assert (out.float() - exact).norm() <= 1e-2 * exact.norm()


def lists_of(mask: Tensor, columns: Tensor) -> BlockLists:
    """A mask (heads, Q, K) over the stored blocks `columns`; behind a row's own comes what is in no ring."""
    counts = mask.sum(-1, dtype=torch.int32)
    first = mask.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    lists = columns[first].masked_fill(torch.arange(mask.shape[-1]) >= counts[..., None], 1 << 20)
    return BlockLists(lists.int(), counts, torch.arange(counts.numel(), dtype=torch.int32))


def dense(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, columns: Tensor, block: int) -> Tensor:
    """The same by one product of everything with everything, in float64."""
    stored = torch.zeros(*mask.shape[:2], len(k) // block, dtype=torch.bool)
    stored[..., columns] = mask
    tokens = stored.repeat_interleave(block, 1).repeat_interleave(block, 2)
    scores = torch.einsum("qhd,khd->hqk", q.double(), k.double()) / math.sqrt(q.shape[-1])
    p = scores.masked_fill(~tokens, -math.inf).softmax(-1).nan_to_num(0)
    return torch.einsum("hqk,khd->qhd", p, v.double())


@pytest.mark.slow
@pytest.mark.parametrize("gathered", [plain.GATHER_ELEMENTS, 1, 5 * 16 * 8])
@pytest.mark.parametrize(
    ("heads", "queries", "keys", "block", "dim"),
    [(2, 3, 5, 128, 128), (1, 1, 1, 128, 128), (3, 7, 13, 16, 8)],
)
def test_the_plain_form_is_dense_attention_under_a_mask(
    monkeypatch: pytest.MonkeyPatch, gathered: int, heads: int, queries: int, keys: int, block: int, dim: int
) -> None:
    monkeypatch.setattr(plain, "GATHER_ELEMENTS", gathered)
    torch.manual_seed(keys)
    q = torch.randn(queries * block, heads, dim)
    stored = torch.randn(2, heads, (keys + 2) * block, dim).transpose(1, 2)
    k, v = stored
    columns = torch.randperm(keys + 2)[:keys]  # the lists are not in the stored order, some blocks are in none
    mask = torch.rand(heads, queries, keys) < 0.4
    mask[0, 0] = False
    mask[-1, -1] = True
    ours = plain.block_sparse_attention(q, k, v, lists_of(mask, columns))
    torch.testing.assert_close(ours.double(), dense(q, k, v, mask, columns, block), atol=2e-6, rtol=1e-5)
    if queries > 1:
        assert ours[:block, 0].abs().max() == 0, "a query block without keys attends to nothing"
    elsewhere = plain.block_sparse_attention(q, k.contiguous(), v.contiguous(), lists_of(mask, columns))
    assert torch.equal(elsewhere, ours), "how the tokens lie in memory changes nothing"


def test_nothing_kept_at_all() -> None:
    x = torch.randn(32, 1, 8)
    nothing = lists_of(torch.zeros(1, 2, 2, dtype=torch.bool), torch.arange(2))
    assert plain.block_sparse_attention(x, x, x, nothing).abs().max() == 0


def test_blocks_that_are_in_no_list_may_hold_anything() -> None:
    """The ring's memory is not initialised: a free slot must not come through, not even as NaN."""
    x = torch.randn(64, 1, 8)
    stored = x.clone()
    stored[:16] = math.nan
    mask = torch.tensor([[[True, False], [True, True], [False, True], [False, False]]])
    assert plain.block_sparse_attention(x, stored, stored, lists_of(mask, torch.tensor([1, 3]))).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_plain_form_keeps_the_number_format(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, columns = torch.randn(3 * BLOCK, 2, 128), torch.arange(3)
    mask = torch.rand(2, 3, 3) < 0.7
    ours = plain.block_sparse_attention(x.to(dtype), x.to(dtype), x.to(dtype), lists_of(mask, columns))
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.double(), dense(x, x, x, mask, columns, BLOCK), atol=0.05, rtol=0.05)
