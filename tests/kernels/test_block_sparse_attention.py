"""The attention kernel for any GPU against attention over gathered keys in float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flashvsr.kernels.gpu.block_sparse_attention import Tile, block_sparse_attention
from flashvsr.kernels.select_blocks import BlockLists

BLOCK, STORED = 128, 5
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
    out = block_sparse_attention(q, k, v, selection, Tile(rows, columns, 8, 2))
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
