"""8-bit rows against the plain form, and both against what the format promises."""

from __future__ import annotations

import pytest
import torch

from flashvsr.kernels import quantise_rows as plain
from flashvsr.kernels.gpu import quantise_rows as gpu


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize(
    ("rows", "dim", "dtype"), [(3, 128, torch.float32), (2, 1536, torch.bfloat16), (2, 8960, torch.float16)]
)
def test_as_the_plain_form(device: torch.device, rows: int, dim: int, dtype: torch.dtype, gelu: bool) -> None:
    torch.manual_seed(dim)
    x = (3 * torch.randn(rows, dim, device=device)).to(dtype)
    x[-1] = 0
    values, scales = gpu.quantise_rows(x, gelu)
    expected, expected_scales = plain.quantise_rows(x, gelu)
    torch.testing.assert_close(scales, expected_scales, rtol=1e-5, atol=0)
    # Numbers on the edge between two 8-bit ones may fall either way. Triton's interpreter has no better than that: it
    # forgets to carry where a number rounds up to the next power of two.
    assert (values.float() == expected.float()).float().mean() > 0.9
    if device.type == "cuda":
        torch.testing.assert_close(values.float(), expected.float(), rtol=0.13, atol=2**-9)


def test_the_largest_value_of_a_row_is_exact(device: torch.device) -> None:
    x = torch.tensor([[1.0, -7.0, 0.5], [0.0, 0.0, 0.0]], device=device)
    for form in (plain, gpu):
        values, scales = form.quantise_rows(x)
        assert (values.float() * scales)[0, 1].item() == pytest.approx(-7)
        assert not values[1].float().any()
        torch.testing.assert_close(values.float() * scales, x, rtol=2**-4, atol=0)
