"""Block-sparse attention against dense attention; the choice of blocks and the ring against definitions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from flashvsr.kernels import block_sparse_attention as kernel
from flashvsr.kernels.block_sparse_attention import block_sparse_attention
from flashvsr.model.attention import (
    CrossAttention,
    KeyValueRing,
    RMSNorm,
    SelfAttention,
    Sparsity,
    WindowContext,
    attended_slots,
    select_blocks,
)
from flashvsr.model.rope import apply_rope, rope_table

CPU = torch.device("cpu")


def dense(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """(heads, Q, b, D) over (heads, K, b, D), mask (heads, Q, K), in float64; empty rows give zero."""
    block = q.shape[2]
    tokens = mask.repeat_interleave(block, 1).repeat_interleave(k.shape[2], 2)
    scores = q.flatten(1, 2).double() @ k.flatten(1, 2).double().transpose(1, 2) / math.sqrt(q.shape[-1])
    p = scores.masked_fill(~tokens, -math.inf).softmax(-1).nan_to_num(0)
    return (p @ v.flatten(1, 2).double()).unflatten(1, (-1, block))


@pytest.mark.parametrize("gathered", [kernel.GATHER_ELEMENTS, 1, 5 * 16 * 8])
@pytest.mark.parametrize(
    ("heads", "queries", "keys", "block", "dim"),
    [(2, 3, 5, 128, 128), (1, 1, 1, 128, 128), (3, 7, 13, 16, 8)],
)
def test_as_dense_attention(
    monkeypatch: pytest.MonkeyPatch, gathered: int, heads: int, queries: int, keys: int, block: int, dim: int
) -> None:
    monkeypatch.setattr(kernel, "GATHER_ELEMENTS", gathered)
    q = torch.randn(heads, queries, block, dim)
    stored = torch.randn(2, heads, keys + 2, block, dim)
    order = torch.randperm(keys + 2)[:keys]  # the mask's columns are not in the stored order, some are not shown
    mask = torch.rand(heads, queries, keys) < 0.4
    mask[0, 0] = False
    mask[-1, -1] = True
    ours = block_sparse_attention(q, *stored, mask, order)
    expected = dense(q, *stored[:, :, order], mask)
    torch.testing.assert_close(ours.double(), expected, atol=2e-6, rtol=1e-5)
    if queries > 1:
        assert ours[0, 0].abs().max() == 0, "a query block without keys attends to nothing"


def test_nothing_kept_at_all() -> None:
    x = torch.randn(1, 2, 16, 8)
    assert block_sparse_attention(x, x, x, torch.zeros(1, 2, 2, dtype=torch.bool), torch.arange(2)).abs().max() == 0


def test_blocks_that_are_not_shown_may_hold_anything() -> None:
    """The ring's memory is not initialised: a free slot must not come through, not even as NaN."""
    x = torch.randn(1, 4, 16, 8)
    stored = x.clone()
    stored[:, 2] = math.nan
    mask = torch.tensor([[[True, False], [True, True], [False, True], [False, False]]])
    assert block_sparse_attention(x, stored, stored, mask, torch.tensor([0, 3])).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keeps_the_number_format(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 128, 128)
    mask = torch.rand(2, 3, 3) < 0.7
    ours = block_sparse_attention(*(3 * [x.to(dtype)]), mask, torch.arange(3))
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.double(), dense(x, x, x, mask), atol=0.05, rtol=0.05)


def kept_pairs(scores: Tensor, rows: int, columns: int, local_range: int, budget: int, groups: int) -> Tensor:
    """The definition of the mask, pair by pair, for scores (groups*n, key groups*n) of one head."""
    n = rows * columns
    allowed = torch.zeros_like(scores, dtype=torch.bool)
    for query in range(scores.shape[0]):
        for key in range(scores.shape[1]):
            (r, c), (s, d) = divmod(query % n, columns), divmod(key % n, columns)
            allowed[query, key] = abs(r - s) <= local_range // 2 and abs(c - d) <= local_range // 2
    p = scores.float().masked_fill(~allowed, -math.inf).softmax(-1)
    kept = []
    for group in p.split(n):
        values = sorted(group.flatten().tolist(), reverse=True)
        k = min(budget - 1, len(values) - 1)
        kept.append(group > values[k])
    return torch.cat(kept)


@pytest.mark.parametrize(
    ("rows", "columns", "groups", "key_groups", "local_range", "ratio"),
    [
        (1, 1, 1, 1, 11, 1.0),
        (3, 5, 1, 4, 3, 1.3),
        (4, 3, 3, 3, 5, 0.4),
        (2, 6, 1, 3, 7, 60.0),
        (6, 1, 2, 2, 3, 0.05),
    ],
)
def test_select_blocks(rows: int, columns: int, groups: int, key_groups: int, local_range: int, ratio: float) -> None:
    n, heads = rows * columns, 2
    query, key = 2 * torch.randn(heads, groups, n, 128), torch.randn(heads, key_groups, n, 128)
    sparsity = Sparsity.for_grid(rows, columns, ratio, local_range, CPU)
    assert sparsity.budget == int(n * n * ratio)
    mask = select_blocks(query, key, sparsity)
    for head in range(heads):
        scores = query[head].flatten(0, 1) @ key[head].flatten(0, 1).T / math.sqrt(128)
        expected = kept_pairs(scores, rows, columns, local_range, max(1, sparsity.budget), groups)
        assert torch.equal(mask[head], expected)


def test_all_of_a_tie_at_the_limit_are_dropped() -> None:
    """Strictly greater than the (k+1)-th largest: of equal values at the limit none is kept."""
    key = torch.zeros(1, 1, 4, 128)
    key[0, 0, 0, 0] = 10.0  # block 0 stands out for all four query blocks, the others are equal
    query = torch.zeros(1, 1, 4, 128)
    query[..., 0] = 1.0
    for budget, columns in ((1, []), (4, []), (5, [0]), (6, [0]), (16, [0])):
        mask = select_blocks(query, key, Sparsity.for_grid(2, 2, (budget + 0.5) / 16, 11, CPU))
        assert mask[0].any(0).nonzero().flatten().tolist() == columns, budget
        assert mask.sum() == 4 * len(columns)
    uniform = select_blocks(torch.zeros_like(query), key, Sparsity.for_grid(2, 2, 0.5, 11, CPU))
    assert not uniform.any(), "all equal: nothing is greater"


def test_far_blocks_are_never_kept() -> None:
    sparsity = Sparsity.for_grid(8, 8, 1000.0, 7, CPU)  # a budget for everything
    mask = select_blocks(torch.randn(1, 1, 64, 128), torch.randn(1, 2, 64, 128), sparsity)[0].view(8, 8, 2, 8, 8)
    assert not mask[0, 0, :, 4:].any()
    assert not mask[0, 0, :, :, 4:].any()
    assert mask[0, 0, :, :4, :4].sum() >= 2 * 16 - 1  # all near ones but the smallest
    assert not mask[4, 4, :, 0].any()
    assert mask[4, 4, :, 1:].any()


def concatenated(
    attention: SelfAttention,
    windows: list[Tensor],
    starts: list[range],
    sparsity: Sparsity,
    kv_ratio: int,
    shape: tuple[int, int],
) -> Iterator[Tensor]:
    """Self-attention with a growing list of groups instead of a ring, and dense attention with the mask."""
    keys: list[Tensor] = []
    values: list[Tensor] = []
    for x, groups in zip(windows, starts, strict=True):
        rope = rope_table((2 * groups.start, 2 * groups.stop), *shape, CPU)

        def split(t: Tensor, count: int = len(groups)) -> Tensor:
            return t.unflatten(0, (count, -1, 128)).permute(3, 0, 1, 2, 4)  # (heads, groups, n, 128, 128)

        q = split(apply_rope(attention.norm_q(attention.q(x)).unflatten(-1, (-1, 128)), *rope))
        k = split(apply_rope(attention.norm_k(attention.k(x)).unflatten(-1, (-1, 128)), *rope))
        v = split(attention.v(x).unflatten(-1, (-1, 128)))
        kept = len(keys[-kv_ratio:])
        keys, values = keys[len(keys) - kept :], values[len(values) - kept :]
        keys += k.unbind(1)
        values += v.unbind(1)
        all_keys, all_values = torch.stack(keys, 1), torch.stack(values, 1)
        mask = select_blocks(q.mean(3), all_keys.mean(3), sparsity)
        out = dense(q.flatten(1, 2), all_keys.flatten(1, 2), all_values.flatten(1, 2), mask)
        yield attention.o(out.float().flatten(1, 2).transpose(0, 1).flatten(1))


@pytest.mark.parametrize(("kv_ratio", "offload"), [(1, False), (2, False), (3, False), (3, True), (4, False)])
def test_the_ring_keeps_the_last_groups(kv_ratio: int, offload: bool) -> None:
    rows, columns, heads = 1, 2, 2
    dim, tokens = 128 * heads, 128 * rows * columns
    attention = SelfAttention(dim, 1e-6)
    sparsity = Sparsity.for_grid(rows, columns, 1.6, 11, CPU)
    starts = [range(3), *(range(g, g + 1) for g in range(3, 10))]
    windows = [torch.randn(tokens * len(groups), dim) for groups in starts]
    slots = max(kv_ratio + 1, 3)
    ring = KeyValueRing(heads, rows * columns, slots, torch.float32, CPU, offload)
    for part in (ring.keys, ring.values, ring.means):
        part.fill_(math.nan)  # whatever was there before must not matter
    expected = concatenated(attention, windows, starts, sparsity, kv_ratio, (8 * rows, 8 * columns))
    for x, groups, wanted in zip(windows, starts, expected, strict=True):
        rope = rope_table((2 * groups.start, 2 * groups.stop), 8 * rows, 8 * columns, CPU)
        window = WindowContext(groups, rope, torch.tensor(attended_slots(groups, kv_ratio, slots)), sparsity)
        ours = attention(x, window, ring)
        torch.testing.assert_close(ours, wanted, atol=2e-6, rtol=1e-4)
    assert ring.keys.shape[1] == slots


def test_a_query_block_without_keys_still_gets_the_output_bias() -> None:
    attention = SelfAttention(128, 1e-6)
    sparsity = Sparsity.for_grid(1, 1, 1.0, 11, CPU)  # one pair: nothing is greater than itself
    ring = KeyValueRing(1, 1, 4, torch.float32, CPU)
    window = WindowContext(range(1), rope_table((0, 2), 8, 8, CPU), torch.tensor([0]), sparsity)
    out = attention(torch.randn(128, 128), window, ring)
    torch.testing.assert_close(out, attention.o.bias.expand(128, 128))


def test_cross_attention_is_dense_with_norms_over_the_full_width() -> None:
    attention = CrossAttention(256, 1e-6)
    for norm in (attention.norm_q, attention.norm_k):
        norm.weight.copy_(torch.rand(256) + 0.5)
    x, context = torch.randn(10, 256), torch.randn(7, 256)

    def normed(t: Tensor, weight: Tensor) -> Tensor:
        return t / (t.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight

    q = normed(attention.q(x), attention.norm_q.weight).view(10, 2, 128).transpose(0, 1)
    k = normed(attention.k(context), attention.norm_k.weight).view(7, 2, 128).transpose(0, 1)
    v = attention.v(context).view(7, 2, 128).transpose(0, 1)
    p = (q @ k.transpose(1, 2) / math.sqrt(128)).softmax(-1)
    expected = attention.o((p @ v).transpose(0, 1).flatten(1))
    torch.testing.assert_close(attention(x, attention.keys_values(context)), expected, atol=1e-6, rtol=1e-4)


def test_rms_norm_computes_in_float32() -> None:
    norm = RMSNorm(128, 1e-6).bfloat16()
    x = (300 * torch.randn(4, 128)).bfloat16()  # squares beyond what bfloat16 resolves
    expected = x.double() / (x.double().square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(norm(x).double(), expected, atol=0, rtol=2**-8)
    assert norm(x).dtype == torch.bfloat16
