"""Products of 8-bit rows: the tensor cores' against exact sums."""

from __future__ import annotations

import pytest
import torch

from flashvsr.kernels import int8_product as plain
from flashvsr.kernels.gpu import int8_product as gpu
from flashvsr.kernels.gpu.int8_product import ProductTile
from flashvsr.kernels.quantise_rows import Rows, quantise_rows

SMALL = ProductTile(32, 32, 32, 4, 2)


def rows_of(count: int, depth: int, device: torch.device) -> Rows:
    values = torch.randint(-127, 128, (count, depth), device=device, dtype=torch.int8)
    return Rows(values, torch.rand(count, device=device) + 0.1)


@pytest.mark.parametrize(
    ("tokens", "depth", "columns", "tile"),
    [(1, 16, 32, SMALL), (70, 48, 96, SMALL), (300, 96, 32, SMALL), (33, 64, 80, SMALL), (130, 144, 272, None)],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_as_the_plain_form(
    device: torch.device, tokens: int, depth: int, columns: int, tile: ProductTile | None, dtype: torch.dtype
) -> None:
    """Tiles that end beyond the last row and column, and more of them than programs."""
    torch.manual_seed(tokens)
    x, weight = rows_of(tokens, depth, device), rows_of(columns, depth, device)
    bias = torch.randn(columns, device=device).to(dtype)
    found, expected = gpu.int8_product(x, weight, bias, tile), plain.int8_product(x, weight, bias)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=2e-6 if dtype == torch.float32 else 8e-3, atol=1e-4)


def test_the_largest_sum_fits(device: torch.device) -> None:
    x = Rows(torch.full((1, 8960), 127, dtype=torch.int8, device=device), torch.ones(1, device=device))
    weight = Rows(torch.full((16, 8960), -127, dtype=torch.int8, device=device), torch.ones(16, device=device))
    for form in (plain, gpu):
        found = form.int8_product(x, weight, torch.zeros(16, device=device))
        torch.testing.assert_close(found, torch.full((1, 16), -127.0 * 127 * 8960, device=device))


def test_it_is_near_the_product_of_the_numbers(device: torch.device) -> None:
    torch.manual_seed(3)
    x, weight = torch.randn(40, 512, device=device), torch.randn(64, 512, device=device)
    found = plain.int8_product(quantise_rows(x), quantise_rows(weight), torch.zeros(64, device=device))
    exact = x @ weight.t()
    assert (found - exact).norm() / exact.norm() < 0.015
