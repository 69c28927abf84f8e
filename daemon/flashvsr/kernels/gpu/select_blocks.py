"""Choice of block pairs without the host: scores and softmax, an exact k-th largest value, lists, and their order.

The values p of a head and query group, n*C of them, are not negative, so their bits order as they do: the threshold is
found digit by digit, the highest bits first. Whoever has the values at hand counts their next digit into a histogram
in global memory (integers, so the order of the additions does not matter), and every program of the next kernel reads
from it which digit the wanted value has. That takes three passes for any number of values and any ties, all spread
over the whole GPU: five small kernels and one that clears the histograms.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.select_blocks import BlockLists, kept_pairs

# p <= 1 has 30 bits; a digit is (shift, bits). The first one is fine, so that many programs seldom meet at a counter.
DIGITS = ((17, 13), (8, 9), (0, 8))
# Scores as exact as float32's: six products of bfloat16 thirds on tensor cores. The interpreter has no such thing.
PRECISION = "ieee" if triton.knobs.runtime.interpret else "bf16x6"
QUERIES = 16  # of one program of the softmax
SCORED = 64  # columns it scores at a time
NORMALISED = 256  # columns it turns into p at a time
PAIRS = 4096  # counted by one program
LISTED = 512  # columns listed at a time
RANKED = 16  # rows ranked by one program
COMPARED = 128  # rows they are compared with at a time


def select_blocks(q_means: Tensor, k_means: Tensor, slots: Tensor, allowed: Tensor, budget: int) -> BlockLists:
    """See the plain form: lists (heads, Q, C), counts (heads, Q) and order (heads*Q,), all int32."""
    queries, heads, _ = q_means.shape
    n, device = len(allowed), q_means.device
    columns, sets = len(slots) * n, heads * (queries // n)  # a set: the pairs of one head and query group
    pairs, rows = n * columns, heads * queries

    p = torch.empty(rows, columns, dtype=torch.float32, device=device)
    sizes = [sets << bits for _, bits in DIGITS]
    first, second, third = torch.zeros(sum(sizes), dtype=torch.int32, device=device).split(sizes)
    _softmax[(triton.cdiv(queries, QUERIES), heads)](
        q_means, k_means, slots, allowed.view(torch.uint8), p, first, queries, columns, n,
        heads, PRECISION, *DIGITS[0], QUERIES, SCORED, NORMALISED, num_warps=8, num_stages=2,
    )  # fmt: skip

    kept = kept_pairs(budget, pairs)
    known = torch.empty(2, sets, 2, dtype=torch.int32, device=device)
    for before, histogram, after, counted, (upper, lower) in (
        (None, first, known[0], second, (DIGITS[0], DIGITS[1])),
        (known[0], second, known[1], third, (DIGITS[1], DIGITS[2])),
    ):
        _count_digit[(triton.cdiv(pairs, PAIRS), sets)](
            p, before, histogram, after, counted, pairs, kept, *upper, *lower, PAIRS, num_warps=8
        )

    lists = torch.empty(heads, queries, columns, dtype=torch.int32, device=device)
    counts = torch.empty(heads, queries, dtype=torch.int32, device=device)
    order = torch.empty(rows, dtype=torch.int32, device=device)
    _list_row[(rows,)](p, known[1], third, slots, lists, counts, columns, n, DIGITS[2][1], LISTED, num_warps=4)
    _rank[(triton.cdiv(queries, RANKED), heads)](counts, order, queries, RANKED, COMPARED, num_warps=8)
    return BlockLists(lists, counts, order)


@triton.jit
def _softmax(
    q_means,
    k_means,
    slots,
    allowed,
    p,
    histogram,
    queries,
    columns,
    n,
    heads: tl.constexpr,
    precision: tl.constexpr,
    shift: tl.constexpr,
    bits: tl.constexpr,
    tile: tl.constexpr,
    width: tl.constexpr,
    wide: tl.constexpr,
):
    """p of some rows of one head, and its first digit counted for each set."""
    head = tl.program_id(1)
    query = tl.program_id(0) * tile + tl.arange(0, tile)
    in_rows = query < queries
    place = (head * queries + query).to(tl.int64) * columns  # of the rows in p
    channel = tl.arange(0, 128)[None, :]
    q = tl.load(q_means + ((query * heads + head) * 128)[:, None] + channel, mask=in_rows[:, None], other=0.0)

    largest = tl.full((tile,), float("-inf"), tl.float32)
    total = tl.zeros((tile,), tl.float32)
    for start in range(0, columns, width):
        column = start + tl.arange(0, width)
        in_columns = column < columns
        block = column % n
        slot = tl.load(slots + column // n, mask=in_columns, other=0)
        k_row = ((slot * n + block) * heads + head) * 128
        k = tl.load(k_means + k_row[:, None] + channel, mask=in_columns[:, None], other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision=precision)
        inside = in_rows[:, None] & in_columns[None, :]
        near = tl.load(allowed + (query % n)[:, None] * n + block[None, :], mask=inside, other=0) != 0
        scores = tl.where(near, scores * 0.08838834764831845, float("-inf"))  # 1 / sqrt(128)
        tl.store(p + place[:, None] + column[None, :], scores, mask=inside)

        before = largest
        largest = tl.maximum(largest, tl.max(scores, axis=1))
        finite = tl.where(largest == float("-inf"), 0.0, largest)  # nothing allowed so far
        total = total * tl.exp(before - finite) + tl.sum(tl.exp(scores - finite[:, None]), axis=1)

    largest = tl.where(largest == float("-inf"), 0.0, largest)
    total = tl.where(total == 0.0, 1.0, total)
    counter = histogram + ((head * (queries // n) + query // n) << bits)
    tl.debug_barrier()  # the scores are read by other threads than wrote them
    for start in range(0, columns, wide):
        column = start + tl.arange(0, wide)
        inside = in_rows[:, None] & (column < columns)[None, :]
        here = p + place[:, None] + column[None, :]
        value = tl.exp(tl.load(here, mask=inside, other=float("-inf")) - largest[:, None]) / total[:, None]
        tl.store(here, value, mask=inside)
        value = value.to(tl.int32, bitcast=True)
        digit = tl.minimum(value >> shift, (1 << bits) - 1)  # not beyond the histogram, even for a NaN
        # Zeros are not counted: there are many, and whatever is not counted lies below everything else.
        tl.atomic_add(counter[:, None] + digit, 1, mask=inside & (value > 0), sem="relaxed")


@triton.jit
def _digit_of_rank(histogram, rank, bits: tl.constexpr):
    """The digit of the value with `rank` larger ones before it, and its rank among those with that digit.

    Digit 0 also has all values that were not counted.
    """
    digit = tl.arange(0, 1 << bits)
    count = tl.load(histogram + digit)
    at_least = tl.sum(count) - tl.cumsum(count) + count
    found = tl.sum(((at_least > rank) & (digit > 0)).to(tl.int32))
    return found, rank - tl.sum(tl.where(digit > found, count, 0))


@triton.jit(do_not_specialize=["rank"])
def _count_digit(
    p,
    before,
    histogram,
    after,
    counted,
    pairs,
    rank,
    shift: tl.constexpr,
    bits: tl.constexpr,
    next_shift: tl.constexpr,
    next_bits: tl.constexpr,
    chunk: tl.constexpr,
):
    """Add one digit to what is known of the threshold, and count the next one of the values that begin like it."""
    number = tl.program_id(1)
    prefix = 0
    if before is not None:
        prefix = tl.load(before + number * 2)
        rank = tl.load(before + number * 2 + 1)
    digit, rank = _digit_of_rank(histogram + (number << bits), rank, bits)
    prefix += digit << shift
    if tl.program_id(0) == 0:
        tl.store(after + number * 2, prefix)
        tl.store(after + number * 2 + 1, rank)

    pair = tl.program_id(0) * chunk + tl.arange(0, chunk)
    inside = pair < pairs
    value = tl.load(p + number.to(tl.int64) * pairs + pair, mask=inside, other=0.0).to(tl.int32, bitcast=True)
    begins = (value >> shift) == (prefix >> shift)
    next_digit = (value >> next_shift) & ((1 << next_bits) - 1)
    tl.atomic_add(counted + (number << next_bits) + next_digit, 1, mask=inside & begins & (value > 0), sem="relaxed")


@triton.jit
def _list_row(
    p,
    known,
    histogram,
    slots,
    lists,
    counts,
    columns,
    n,
    bits: tl.constexpr,
    wide: tl.constexpr,
):
    """The last digit of the threshold; the stored blocks of one row above it, and how many they are."""
    row = tl.program_id(0)
    number = row // n
    last, _ = _digit_of_rank(histogram + (number << bits), tl.load(known + number * 2 + 1), bits)
    threshold = tl.load(known + number * 2) + last
    place = row.to(tl.int64) * columns
    length = 0
    for start in range(0, columns, wide):
        column = start + tl.arange(0, wide)
        inside = column < columns
        value = tl.load(p + place + column, mask=inside, other=0.0).to(tl.int32, bitcast=True)
        chosen = (value > threshold) & inside
        position = length + tl.cumsum(chosen.to(tl.int32)) - 1
        slot = tl.load(slots + column // n, mask=inside, other=0)
        tl.store(lists + place + position, slot * n + column % n, mask=chosen)
        length += tl.sum(chosen.to(tl.int32))
    tl.store(counts + row, length)


@triton.jit
def _rank(counts, order, queries, tile: tl.constexpr, wide: tl.constexpr):
    """Put some rows of a head at their places in the order: each counts the head's rows that come before it."""
    base = tl.program_id(1) * queries
    row = tl.program_id(0) * tile + tl.arange(0, tile)
    in_rows = row < queries
    length = tl.load(counts + base + row, mask=in_rows, other=0)
    place = tl.zeros((tile,), tl.int32)
    for start in range(0, queries, wide):
        other = start + tl.arange(0, wide)
        theirs = tl.load(counts + base + other, mask=other < queries, other=-1)
        longer = theirs[None, :] > length[:, None]
        earlier = (theirs[None, :] == length[:, None]) & (other[None, :] < row[:, None])
        place += tl.sum((longer | earlier).to(tl.int32), axis=1)
    tl.store(order + base + place, base + row, mask=in_rows)
