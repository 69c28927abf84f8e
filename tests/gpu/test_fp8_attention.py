"""Attention in 8 bits for compute capability 9.x against its plain form. Skipped on other devices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

if not torch.cuda.is_available() or torch.cuda.get_device_capability()[0] != 9:
    pytest.skip("needs a CUDA device of compute capability 9.x", allow_module_level=True)

from flashvsr.kernels import fp8_attention as plain
from flashvsr.kernels.fp8_attention import FORMAT, round_values
from flashvsr.kernels.gpu import fp8_attention as gpu
from flashvsr.kernels.select_blocks import BlockLists

pytestmark = pytest.mark.gpu
HEADS = 3
STORED = 260
COUNTS = (0, 1, 2, 3, 4, 5, 15, 200, STORED)
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, BlockLists]


def inputs(strength: float = 1.0, mean: float = 0.0) -> Inputs:
    """q, k, values, their scales, scales of scores, selection; values of very different size in each block."""
    generator = torch.Generator("cuda").manual_seed(1)
    q, k, v = (
        torch.randn(blocks * 128, HEADS, 128, generator=generator, device="cuda")
        for blocks in (len(COUNTS), STORED, STORED)
    )
    sizes = torch.exp2(torch.randint(-3, 3, (STORED, 1, 1, 1), generator=generator, device="cuda").float())
    v = ((v + mean).unflatten(0, (STORED, 128)) * (1.0 if mean else sizes)).flatten(0, 1)
    counts = torch.tensor(COUNTS, dtype=torch.int32, device="cuda").expand(HEADS, -1).contiguous()
    ranks = torch.rand(HEADS, len(COUNTS), STORED, generator=generator, device="cuda")
    order = counts.flatten().argsort(descending=True, stable=True).int()
    factors = torch.tensor([4.0, 8.0, 2.0], device="cuda")
    rounded_q, rounded_k = ((x * factors[:, None]).to(FORMAT) for x in (q * strength, k))
    values, value_scales = round_values(v)
    selection = BlockLists(ranks.argsort(-1).int(), counts, order)
    return rounded_q, rounded_k, values, value_scales, 1 / factors**2, selection


def by_block(x: Tensor) -> Tensor:
    return x.float().unflatten(0, (-1, 128))


@pytest.mark.parametrize("strength", [1.0, 5.0], ids=["flat", "peaked"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_as_the_plain_form(dtype: torch.dtype, strength: float) -> None:
    given = inputs(strength)
    out, expected = (form.fp8_attention(*given, dtype) for form in (gpu, plain))
    assert out.dtype == dtype
    assert not out[:128].any()
    for index, (found, true) in enumerate(zip(by_block(out)[1:], by_block(expected)[1:], strict=True), 1):
        error = (found - true).norm() / true.norm()
        assert error < 0.04, f"{COUNTS[index]} blocks: {error}"  # weights have 3 bits of mantissa, here alone
    assert torch.equal(gpu.fp8_attention(*given, dtype), out)


def test_long_sums_are_not_cut_short() -> None:
    """In the tensor cores' own sums, values that do not cancel out come to four fifths of what they are."""
    given = inputs(mean=4.0)
    out, expected = (form.fp8_attention(*given, torch.float16) for form in (gpu, plain))
    for found, true in zip(by_block(out)[1:], by_block(expected)[1:], strict=True):
        assert float(found.mean() / true.mean()) == pytest.approx(1, abs=0.004)
