"""RMSNorm against the plain form, and that one against the model's."""

from __future__ import annotations

import pytest
import torch

from flashvsr.kernels import rms_norm as plain
from flashvsr.kernels.gpu import rms_norm as gpu
from flashvsr.model.attention import RMSNorm

EPS = 1e-6
# The plain form rounds twice: two units in the last place.
TOLERANCES = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


@pytest.mark.parametrize("dim", [128, 384, 1536])
@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_as_the_plain_form(device: torch.device, dim: int, rows: int, dtype: torch.dtype) -> None:
    torch.manual_seed(dim + rows)
    x = (torch.randn(rows, dim, device=device) * 4 + 1).to(dtype)
    x[0] *= 0.01
    weight = torch.randn(dim, device=device).to(dtype)
    before = x.clone()
    ours = gpu.rms_norm(x, weight, EPS)
    assert ours.dtype == dtype
    assert (x == before).all()
    tolerance = TOLERANCES[dtype]
    torch.testing.assert_close(ours, plain.rms_norm(x, weight, EPS), rtol=tolerance, atol=1e-6)


def test_a_row_of_zeros(device: torch.device) -> None:
    assert (gpu.rms_norm(torch.zeros(2, 384, device=device), torch.ones(384, device=device), EPS) == 0).all()


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_the_plain_form_is_the_models(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 256).to(dtype)
    norm = RMSNorm(256, EPS).to(dtype)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(256))
        assert (plain.rms_norm(x, norm.weight, EPS) == norm(x)).all()
