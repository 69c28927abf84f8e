"""8-bit rows against the plain form, and both against what they promise."""

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
    found, expected = gpu.quantise_rows(x, gelu), plain.quantise_rows(x, gelu)
    torch.testing.assert_close(found.scales, expected.scales, rtol=1e-5, atol=0)
    # A number between two integers may fall either way.
    assert (found.values.int() - expected.values.int()).abs().max() <= 1
    assert (found.values == expected.values).float().mean() > 0.999


def test_no_number_is_more_than_half_a_step_off(device: torch.device) -> None:
    x = torch.tensor([[1.0, -7.0, 0.5, 0.0275], [0.0, 0.0, 0.0, 0.0]], device=device)
    for form in (plain, gpu):
        rows = form.quantise_rows(x)
        assert (rows.values.float() * rows.scales[:, None])[0, 1].item() == pytest.approx(-7)
        assert not rows.values[1].any()
        assert ((rows.values * rows.scales[:, None] - x).abs() <= rows.scales[:, None] * 0.5001).all()


def test_parts_are_the_whole(device: torch.device) -> None:
    rows = plain.quantise_rows(torch.randn(7, 16, device=device))
    parts = rows.split(3)
    assert [len(part.values) for part in parts] == [3, 3, 1]
    assert torch.equal(torch.cat([part.values for part in parts]), rows.values)
    assert torch.equal(torch.cat([part.scales for part in parts]), rows.scales)
