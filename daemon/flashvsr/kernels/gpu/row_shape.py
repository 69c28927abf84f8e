"""How a program that holds a whole row in registers is laid out."""

from __future__ import annotations

import triton

VALUES_PER_THREAD = 16  # two loads of 16 bytes of a 16-bit format: enough in flight, few registers


def row_shape(dim: int) -> tuple[int, int]:
    """Size of the block that holds a row of `dim` values, a power of two, and the warps that share it."""
    block = triton.next_power_of_2(dim)
    return block, min(16, max(1, block // (32 * VALUES_PER_THREAD)))
