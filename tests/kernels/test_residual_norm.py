"""The residual addition with its norm against the plain form, and that one against float64."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from flashvsr.kernels import residual_norm as plain
from flashvsr.kernels.gpu import residual_norm as gpu

EPS = 1e-6
# A result of about 3 may differ in its last digit, where the float32 sums differ in theirs.
TOLERANCES = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3.2e-2}


@pytest.mark.slow
@pytest.mark.parametrize("dim", [128, 384, 1536])
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize(
    ("stream", "other"),
    [(torch.float32, torch.bfloat16), (torch.bfloat16, torch.bfloat16), (torch.float16, torch.float32)],
)
@pytest.mark.parametrize("parts", ["gate and update", "update", "nothing"])
def test_as_the_plain_form(
    device: torch.device, dim: int, rows: int, stream: torch.dtype, other: torch.dtype, parts: str
) -> None:
    torch.manual_seed(dim + rows)
    x = (torch.randn(rows, dim, device=device) * 3 + 5).to(stream)
    update = torch.randn(rows, dim, device=device).to(other) if "update" in parts else None
    gate = torch.randn(dim, device=device) if "gate" in parts else None
    weight, bias = torch.randn(2, dim, device=device)
    expected_x, x_before = x.clone(), x.clone()
    expected = plain.residual_norm(expected_x, update, gate, weight, bias, EPS, other)
    ours = gpu.residual_norm(x, update, gate, weight, bias, EPS, other)
    assert ours.dtype == other
    torch.testing.assert_close(x, expected_x, rtol=TOLERANCES[stream], atol=1e-6)
    torch.testing.assert_close(ours, expected, rtol=TOLERANCES[other], atol=TOLERANCES[other])
    assert (x == x_before).all() == (update is None), "the stream changes in place, where there is an update"


@pytest.mark.parametrize("form", [plain, gpu], ids=["plain", "gpu"])
def test_the_definition(device: torch.device, form: ModuleType) -> None:
    torch.manual_seed(0)
    x, update = torch.randn(2, 3, 128, device=device)
    gate, weight, bias = torch.randn(3, 128, device=device)
    total = x.double() + gate.double() * update.double()
    deviation = (total.var(-1, correction=0, keepdim=True) + EPS).sqrt()
    expected = (total - total.mean(-1, keepdim=True)) / deviation * weight + bias
    ours = form.residual_norm(x, update, gate, weight, bias, EPS, torch.float32)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(x.double(), total, rtol=1e-6, atol=1e-6)


def test_the_norm_is_that_of_the_sum_before_rounding(device: torch.device) -> None:
    """A stream in bfloat16 that is far from zero hides small updates: the norm still sees them."""
    x = torch.full((1, 128), 256.0, device=device, dtype=torch.bfloat16)
    update = torch.linspace(0.0, 0.9, 128, device=device)[None]  # bfloat16 has 256 and 258
    one, zero = torch.ones(128, device=device), torch.zeros(128, device=device)
    ours = gpu.residual_norm(x, update, None, one, zero, EPS, torch.float32)
    assert (x == 256).all()
    torch.testing.assert_close(ours, (update - update.mean()) / update.std(correction=0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("parts", ["gate and update", "update", "nothing"])
def test_rounded_as_the_plain_form(device: torch.device, parts: str) -> None:
    torch.manual_seed(5)
    x = (torch.randn(3, 384, device=device) * 3 + 5).to(torch.bfloat16)
    update = torch.randn(3, 384, device=device).to(torch.bfloat16) if "update" in parts else None
    gate = torch.randn(384, device=device) if "gate" in parts else None
    weight, bias = torch.randn(2, 384, device=device)
    expected_x = x.clone()
    expected = plain.residual_norm_rows(expected_x, update, gate, weight, bias, EPS)
    found = gpu.residual_norm_rows(x, update, gate, weight, bias, EPS)
    torch.testing.assert_close(x, expected_x, rtol=TOLERANCES[torch.bfloat16], atol=1e-6)
    torch.testing.assert_close(found.scales, expected.scales, rtol=1e-5, atol=0)
    assert (found.values.int() - expected.values.int()).abs().max() <= 1
    assert (found.values == expected.values).float().mean() > 0.99
