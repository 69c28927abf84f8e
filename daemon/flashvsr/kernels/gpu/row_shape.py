"""How a program that holds a whole row in registers is laid out."""

from __future__ import annotations

import triton

VALUES_PER_THREAD = 16  # two loads of 16 bytes of a 16-bit format: enough in flight, few registers


def two_blocks(dim: int) -> tuple[int, int, int]:
    """Sizes of two blocks that hold a row of `dim` values together, and the warps that share them.

    Both are powers of two, the second one 0 where one block is enough: less of them lies idle than of one.
    """
    whole, _ = row_shape(dim)
    first = whole if whole == dim else whole // 2
    second = triton.next_power_of_2(dim - first) if dim > first else 0
    if first + second >= whole:
        first, second = whole, 0
    return first, second, row_shape(first + second)[1]


def row_shape(dim: int) -> tuple[int, int]:
    """Size of the block that holds a row of `dim` values, a power of two, and the warps that share it."""
    block = triton.next_power_of_2(dim)
    return block, min(16, max(1, block // (32 * VALUES_PER_THREAD)))
