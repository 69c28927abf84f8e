"""Self-attention with a ring against a growing list and dense attention; which blocks are near; cross-attention."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from flashvsr.kernels.select_blocks import select_blocks
from flashvsr.model.attention import (
    CrossAttention,
    KeyValueRing,
    RMSNorm,
    SelfAttention,
    Sparsity,
    WindowContext,
)
from flashvsr.model.rope import apply_rope, rope_table
from flashvsr.model.windows import ring_slots, window

CPU = torch.device("cpu")


def dense(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """(heads, Q, b, D) over (heads, K, b, D), mask (heads, Q, K), in float64; empty rows give zero."""
    block = q.shape[2]
    tokens = mask.repeat_interleave(block, 1).repeat_interleave(k.shape[2], 2)
    scores = q.flatten(1, 2).double() @ k.flatten(1, 2).double().transpose(1, 2) / math.sqrt(q.shape[-1])
    p = scores.masked_fill(~tokens, -math.inf).softmax(-1).nan_to_num(0)
    return (p @ v.flatten(1, 2).double()).unflatten(1, (-1, block))


@pytest.mark.parametrize(("rows", "columns", "reach"), [(1, 1, 5), (3, 5, 1), (4, 3, 2), (2, 6, 3)])
def test_near_blocks_and_the_budget(rows: int, columns: int, reach: int) -> None:
    for local_range in (2 * reach, 2 * reach + 1):
        sparsity = Sparsity.for_grid(rows, columns, 1.3, local_range, CPU)
        assert sparsity.budget == int((rows * columns) ** 2 * 1.3)
        for query in range(rows * columns):
            for key in range(rows * columns):
                (r, c), (s, d) = divmod(query, columns), divmod(key, columns)
                near = abs(r - s) <= reach and abs(c - d) <= reach
                assert bool(sparsity.allowed[query, key]) == near


def test_far_blocks_are_never_kept() -> None:
    sparsity = Sparsity.for_grid(8, 8, 1000.0, 7, CPU)  # a budget for everything
    q, k, slots = torch.randn(64, 1, 128), torch.randn(2 * 64, 1, 128), torch.arange(2)
    mask = select_blocks(q, k, slots, sparsity.allowed, sparsity.budget).mask(2 * 64)[0].view(8, 8, 2, 8, 8)
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
        q_means, k_means = (x.mean(3).flatten(1, 2).transpose(0, 1) for x in (q, all_keys))
        slots = torch.arange(len(keys))
        chosen = select_blocks(q_means, k_means, slots, sparsity.allowed, sparsity.budget)
        mask = chosen.mask(len(k_means))
        out = dense(q.flatten(1, 2), all_keys.flatten(1, 2), all_values.flatten(1, 2), mask)
        yield attention.o(out.float().flatten(1, 2).transpose(0, 1).flatten(1))


@pytest.mark.slow
@pytest.mark.parametrize(("kv_ratio", "offload"), [(1, False), (2, False), (3, False), (3, True), (4, False)])
def test_the_ring_keeps_the_last_groups(kv_ratio: int, offload: bool) -> None:
    rows, columns, heads = 1, 2, 2
    dim, tokens = 128 * heads, 128 * rows * columns
    attention = SelfAttention(dim, 1e-6)
    sparsity = Sparsity.for_grid(rows, columns, 1.6, 11, CPU)
    starts = [window(index).groups for index in range(8)]
    windows = [torch.randn(tokens * len(groups), dim) for groups in starts]
    slots = ring_slots(kv_ratio)
    ring = KeyValueRing(heads, rows * columns, slots, torch.float32, CPU, offload)
    for part in (ring.keys, ring.values, ring.means):
        part.fill_(math.nan)  # whatever was there before must not matter
    expected = concatenated(attention, windows, starts, sparsity, kv_ratio, (8 * rows, 8 * columns))
    for index, (x, groups, wanted) in enumerate(zip(windows, starts, expected, strict=True)):
        step = window(index)
        rope = rope_table((2 * groups.start, 2 * groups.stop), 8 * rows, 8 * columns, CPU)
        context = WindowContext(*rope, *map(torch.tensor, (step.written(slots), step.attended(slots, kv_ratio))))
        ours = attention(x, context, sparsity, ring)
        torch.testing.assert_close(ours, wanted, atol=2e-6, rtol=1e-4)


def test_a_query_block_without_keys_still_gets_the_output_bias() -> None:
    attention = SelfAttention(128, 1e-6)
    sparsity = Sparsity.for_grid(1, 1, 1.0, 11, CPU)  # one pair: nothing is greater than itself
    ring = KeyValueRing(1, 1, 4, torch.float32, CPU)
    context = WindowContext(*rope_table((0, 2), 8, 8, CPU), torch.tensor([0]), torch.tensor([0]))
    out = attention(torch.randn(128, 128), context, sparsity, ring)
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
