"""Rotary positions against complex numbers in float64, far beyond the reference's table of 1024."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flashvsr.model.blocks import from_blocks, to_blocks
from flashvsr.model.rope import apply_rope, rope_table

CPU = torch.device("cpu")


def rotate(x: Tensor, frame: int, row: int, column: int) -> Tensor:
    """The definition for one token (heads, 128), in complex128."""
    factors = []
    for position, channels in ((frame, 44), (row, 42), (column, 42)):
        j = torch.arange(channels // 2, dtype=torch.float64)
        factors.append(torch.polar(torch.ones_like(j), position * 10000.0 ** (-2 * j / channels)))
    pairs = torch.view_as_complex(x.double().unflatten(-1, (64, 2)).contiguous())
    return torch.view_as_real(pairs * torch.cat(factors)).flatten(-2)


@pytest.mark.parametrize("start", [0, 4, 1022, 1_000_000, 123_456_788])
def test_agrees_with_complex_numbers(start: int) -> None:
    rows, columns = 8, 16
    x = torch.randn(2 * rows * columns, 3, 128)
    cos, sin = rope_table((start, start + 2), rows, columns, CPU)
    ours = from_blocks(apply_rope(x, cos, sin).flatten(1), rows, columns)
    tokens = from_blocks(x.flatten(1), rows, columns)
    for f, h, w in [(0, 0, 0), (1, 0, 0), (0, 7, 3), (1, 5, 15), (0, 1, 8)]:
        expected = rotate(tokens[f, h, w].view(3, 128), start + f, h, w)
        torch.testing.assert_close(ours[f, h, w].view(3, 128).double(), expected, atol=2e-6, rtol=0)


def test_only_distances_matter_at_any_position() -> None:
    q, k = torch.randn(2, 1, 1, 128).unbind()

    def score(query_frame: int, key_frame: int) -> float:
        (cos_q, sin_q), (cos_k, sin_k) = (
            rope_table((frame, frame + 2), 8, 8, CPU) for frame in (query_frame, key_frame)
        )
        query = apply_rope(q, cos_q[:1], sin_q[:1])
        return float((query * apply_rope(k, cos_k[:1], sin_k[:1])).sum())

    assert score(3_000_006, 3_000_000) == pytest.approx(score(6, 0), abs=1e-4)
    assert score(7, 0) != pytest.approx(score(6, 0), abs=1e-2)


def test_keeps_the_number_format() -> None:
    x = torch.randn(128, 2, 128, dtype=torch.bfloat16)
    cos, sin = rope_table((0, 2), 8, 8, CPU)
    rotated = apply_rope(x, cos, sin)
    assert rotated.dtype == torch.bfloat16
    assert cos.dtype == sin.dtype == torch.float32


def test_block_order_there_and_back() -> None:
    x = torch.arange(4 * 16 * 24 * 2).view(4, 16, 24, 2)
    tokens = to_blocks(x)
    assert torch.equal(from_blocks(tokens, 16, 24), x)
    # The first block: 2 frames x 8 x 8 tokens of the top left corner, row-major; then the block to its right.
    assert torch.equal(tokens[:128].view(2, 8, 8, 2), x[:2, :8, :8])
    assert torch.equal(tokens[128:256].view(2, 8, 8, 2), x[:2, :8, 8:16])
    assert torch.equal(tokens[6 * 128 : 7 * 128].view(2, 8, 8, 2), x[2:, :8, :8])
