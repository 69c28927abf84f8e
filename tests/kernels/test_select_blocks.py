"""The choice of block pairs against the plain form, and that one against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from flashvsr.kernels import select_blocks as plain
from flashvsr.kernels.gpu import select_blocks as gpu
from flashvsr.kernels.select_blocks import BlockLists

HUGE = 10**9
BUDGETS = (0, 1, 2, 7, 25, HUGE)


def rows_of(found: BlockLists) -> list[list[int]]:
    """The chosen blocks of each row, head by head."""
    counts = found.counts.flatten().tolist()
    return [row[:count] for row, count in zip(found.lists.flatten(0, 1).tolist(), counts, strict=True)]


def assert_same(ours: BlockLists, expected: BlockLists) -> None:
    assert [t.dtype for t in (ours.lists, ours.counts, ours.order)] == 3 * [torch.int32]
    assert ours.lists.shape == expected.lists.shape
    assert ours.counts.tolist() == expected.counts.tolist()
    assert rows_of(ours) == rows_of(expected)
    assert ours.order.tolist() == expected.order.tolist()


def int32(values: list[int], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.int32, device=device)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heads", "groups", "n", "stored", "slots", "budgets"),
    [
        (1, 1, 1, 1, [0], BUDGETS),
        (1, 3, 2, 4, [3, 0, 1], BUDGETS),
        (3, 1, 6, 4, [2, 3, 0, 1], BUDGETS),
        (2, 2, 7, 5, [4, 1], (0, 2, 25, HUGE)),
        (1, 1, 23, 4, [1, 2, 3, 0], (7, 25)),
    ],
)
def test_as_the_plain_form(
    device: torch.device, heads: int, groups: int, n: int, stored: int, slots: list[int], budgets: tuple[int, ...]
) -> None:
    torch.manual_seed(n)
    q = torch.randn(groups * n, heads, 128, device=device)
    k = torch.randn(stored * n, heads, 128, device=device)
    near = torch.arange(n, device=device)
    allowed = (near[:, None] - near).abs() <= 3
    for budget in budgets:
        given = q, k, int32(slots, device), allowed, budget
        expected = plain.select_blocks(*given)
        assert_same(gpu.select_blocks(*given), expected)
        if budget < n * n * len(slots) and budget > 1 and n > 1:
            assert expected.counts.sum() == heads * groups * min(budget - 1, int(allowed.sum()) * len(slots))


@pytest.mark.slow
def test_values_of_all_sizes(device: torch.device) -> None:
    """Sharp rows: what is kept lies anywhere between 1 and 1e-20."""
    torch.manual_seed(1)
    q, k = 3 * torch.randn(2, 40, 2, 128, device=device)
    allowed = torch.rand(10, 10, device=device) < 0.8
    for budget in (2, 30, 90, 160):
        given = q[:10], k, int32([1, 3], device), allowed, budget
        assert_same(gpu.select_blocks(*given), plain.select_blocks(*given))


def test_more_columns_than_fit_at_once(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SCORED": 16, "NORMALISED": 16, "PAIRS": 32, "LISTED": 8, "RANKED": 2, "COMPARED": 4}
    for name, size in sizes.items():
        monkeypatch.setattr(gpu, name, size)
    torch.manual_seed(2)
    q, k = torch.randn(5, 1, 128, device=device), torch.randn(20, 1, 128, device=device)
    allowed = torch.ones(5, 5, dtype=torch.bool, device=device)
    for budget in (3, 40):
        given = q, k, int32([0, 1, 2, 3], device), allowed, budget
        assert_same(gpu.select_blocks(*given), plain.select_blocks(*given))


@pytest.mark.parametrize("budget", [0, 1, 5, HUGE])
def test_equal_values(device: torch.device, budget: int) -> None:
    """Nothing is strictly greater than what it equals."""
    same = torch.ones(8, 2, 128, device=device)
    everything = torch.ones(4, 4, dtype=torch.bool, device=device)
    given = same[:4], same, int32([1, 0], device), everything, budget
    found = gpu.select_blocks(*given)
    assert found.counts.abs().max() == 0
    assert found.order.tolist() == list(range(8)), "equally long rows by their number"
    assert_same(found, plain.select_blocks(*given))


@pytest.mark.parametrize(("budget", "kept"), [(1, 0), (2, 0), (3, 2), (4, 2), (8, 2), (9, 8), (HUGE, 8)])
def test_equal_values_at_the_threshold(device: torch.device, budget: int, kept: int) -> None:
    """Blocks that see one other are twice as sure as blocks that see two: 2 values of 1, then 6 of 1/2, the rest 0."""
    same = torch.ones(5, 1, 128, device=device)
    allowed = torch.zeros(5, 5, dtype=torch.bool, device=device)
    for query, near in enumerate([[0], [1, 4], [0, 3], [2], [2, 3]]):
        allowed[query, near] = True
    given = same, same, int32([0], device), allowed, budget
    found = gpu.select_blocks(*given)
    assert found.counts.sum() == kept
    assert_same(found, plain.select_blocks(*given))


def test_rows_with_nothing_allowed(device: torch.device) -> None:
    torch.manual_seed(3)
    q, k = torch.randn(2, 8, 2, 128, device=device)
    allowed = torch.ones(4, 4, dtype=torch.bool, device=device)
    allowed[2] = False
    for budget in (4, HUGE):
        given = q, k, int32([1, 0], device), allowed, budget
        found = gpu.select_blocks(*given)
        assert (found.counts[:, [2, 6]] == 0).all()
        assert found.counts.sum() == min(2 * 2 * (budget - 1), 2 * 6 * 8)
        assert_same(found, plain.select_blocks(*given))
    nothing = q, k, int32([1, 0], device), torch.zeros_like(allowed), 4
    assert_same(gpu.select_blocks(*nothing), plain.select_blocks(*nothing))
    assert gpu.select_blocks(*nothing).counts.abs().max() == 0


def test_blocks_that_are_not_attended_to_may_hold_anything(device: torch.device) -> None:
    torch.manual_seed(4)
    q, k = torch.randn(3, 1, 128, device=device), torch.randn(9, 1, 128, device=device)
    allowed = torch.ones(3, 3, dtype=torch.bool, device=device)
    expected = plain.select_blocks(q, k, int32([2, 0], device), allowed, 6)
    k[3:6] = math.nan
    assert_same(gpu.select_blocks(q, k, int32([2, 0], device), allowed, 6), expected)


def test_a_head_without_sense_leaves_the_others_alone(device: torch.device) -> None:
    torch.manual_seed(6)
    q, k = torch.randn(2, 5, 3, 128, device=device)
    everything = torch.ones(5, 5, dtype=torch.bool, device=device)
    expected = rows_of(plain.select_blocks(q, k, int32([0], device), everything, 9))
    q[2, 1] = math.nan
    found = rows_of(gpu.select_blocks(q, k, int32([0], device), everything, 9))
    assert found[:5] == expected[:5]
    assert found[10:] == expected[10:]


def by_definition(scores: Tensor, allowed: Tensor, budget: int) -> Tensor:
    """The mask of scores (Q, C) of one head, value by value."""
    n = len(allowed)
    near = allowed.repeat(len(scores) // n, scores.shape[1] // n)
    p = scores.masked_fill(~near, -math.inf).softmax(-1)
    kept = []
    for group in p.split(n):
        values = sorted(group.flatten().tolist(), reverse=True)
        kept.append(group > values[min(max(1, budget) - 1, len(values) - 1)])
    return torch.cat(kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("rows", "columns", "groups", "slots", "local_range", "ratio"),
    [
        (1, 1, 1, [0], 11, 1.0),
        (3, 5, 1, [3, 0, 2, 1], 3, 1.3),
        (4, 3, 3, [2, 0, 1], 5, 0.4),
        (2, 6, 1, [1, 2, 3], 7, 60.0),
        (6, 1, 2, [0, 3], 3, 0.05),
    ],
)
def test_the_plain_form_by_its_definition(
    rows: int, columns: int, groups: int, slots: list[int], local_range: int, ratio: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(rows)
    n, heads = rows * columns, 2
    q, k = (2 * torch.randn(groups * n, heads, 128)).to(dtype), torch.randn(4 * n, heads, 128).to(dtype)
    place = [divmod(block, columns) for block in range(n)]
    reach = local_range // 2
    allowed = torch.tensor([[abs(r - s) <= reach and abs(c - d) <= reach for s, d in place] for r, c in place])
    found = plain.select_blocks(q, k, int32(slots, torch.device("cpu")), allowed, int(n * n * ratio))
    stored = torch.tensor([slot * n + block for slot in slots for block in range(n)])
    for head in range(heads):
        scores = (q[:, head] @ k[stored, head].T / math.sqrt(128)).float()
        expected = by_definition(scores, allowed, int(n * n * ratio))
        assert torch.equal(found.mask(4 * n)[head][:, stored], expected)
        assert rows_of(found)[head * groups * n :][: groups * n] == [stored[row].tolist() for row in expected]
    lengths = found.counts.flatten().tolist()
    assert found.order.tolist() == sorted(range(len(lengths)), key=lambda row: (row // (groups * n), -lengths[row]))
    assert found.mask(4 * n).sum() == sum(lengths), "nothing but blocks of the attended slots"


def test_all_of_a_tie_at_the_limit_are_dropped() -> None:
    """Strictly greater than the (k+1)-th largest: of equal values at the limit none is kept."""
    key = torch.zeros(4, 1, 128)
    key[0, 0, 0] = 10.0  # block 0 stands out for all four query blocks, the others are equal
    query = torch.zeros(4, 1, 128)
    query[..., 0] = 1.0
    slots, everything = int32([0], torch.device("cpu")), torch.ones(4, 4, dtype=torch.bool)
    for budget, columns in ((1, []), (4, []), (5, [0]), (6, [0]), (16, [0])):
        found = plain.select_blocks(query, key, slots, everything, budget)
        assert rows_of(found) == 4 * [columns], budget
    uniform = plain.select_blocks(torch.zeros_like(query), key, slots, everything, 8)
    assert not uniform.counts.any(), "all equal: nothing is greater"


@pytest.mark.parametrize("junk", [0, 4, 2**30])
def test_a_mask_has_what_the_lists_have(junk: int) -> None:
    torch.manual_seed(2)
    mask = torch.rand(2, 3, 5) < 0.5
    mask[0, 1], mask[1, 2] = False, True
    lists = torch.full(mask.shape, junk, dtype=torch.int32)
    for head, query in torch.cartesian_prod(torch.arange(2), torch.arange(3)).tolist():
        kept = mask[head, query].nonzero()[:, 0].flip(0)  # in any order
        lists[head, query, : len(kept)] = kept
    counts = mask.sum(-1, dtype=torch.int32)
    found = BlockLists(lists, counts, counts.flatten()).mask(5)
    assert torch.equal(found, mask)
    assert found.is_contiguous()
