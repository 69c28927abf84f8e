"""The number formats of attention in 8 bits, and its plain form."""

from __future__ import annotations

import torch

from flashvsr.kernels.block_sparse_attention import block_sparse_attention
from flashvsr.kernels.fp8_attention import FORMAT, LARGEST, Factors, fp8_attention, round_values, token_order
from flashvsr.kernels.select_blocks import BlockLists


def test_the_order_has_every_token_once_and_stays_within_sixteen() -> None:
    order = token_order()
    assert sorted(order.tolist()) == list(range(128))
    assert (order // 16 == torch.arange(128) // 16).all()
    assert order[:8].tolist() == [0, 1, 8, 9, 2, 3, 10, 11]


def test_values_come_back_by_order_and_scale() -> None:
    torch.manual_seed(0)
    values = torch.randn(2 * 128, 3, 128) * torch.tensor([0.01, 1.0, 100.0])[:, None]
    values[128:, 0] = 0
    rounded, scales = round_values(values)
    wide = torch.empty(rounded.shape)
    wide[..., token_order()] = rounded.float() * scales[..., None, None]
    back = wide.permute(0, 3, 1, 2).flatten(0, 1)
    assert not back[128:, 0].any()
    torch.testing.assert_close(back, values, rtol=2**-4, atol=2e-3 * 100)
    assert (rounded.float().abs().amax((2, 3))[scales > 1e-9] == LARGEST).all()


def test_no_query_can_leave_the_range_and_none_is_wasted() -> None:
    weight = torch.ones(256)
    weight[130] = 5.0
    factors = Factors.of(weight, 2 * weight)
    for factor, norm in ((factors.q, weight), (factors.k, 2 * weight)):
        # All of a token's length in one channel, which a rotation leaves as it is.
        largest = 256**0.5 * norm.unflatten(0, (2, 128)).amax(1) * factor
        assert (largest <= LARGEST).all()
        assert (largest > LARGEST / 2).all()
        assert (factor.log2() % 1 == 0).all(), "a power of two rounds nothing"
    torch.testing.assert_close(factors.scales * factors.q * factors.k, torch.ones(2))


def test_the_plain_form_is_near_attention_in_float32() -> None:
    torch.manual_seed(1)
    q, k, v = (torch.randn(blocks * 128, 2, 128) for blocks in (3, 5, 5))
    counts = torch.tensor([[2, 0, 5], [1, 3, 4]], dtype=torch.int32)
    lists = torch.stack([torch.stack([torch.randperm(5) for _ in range(3)]) for _ in range(2)]).int()
    selection = BlockLists(lists, counts, counts.flatten().argsort(descending=True).int())
    values, value_scales = round_values(v)
    scales = torch.full((2,), 1 / 64)
    rounded = (8 * q).to(FORMAT), (8 * k).to(FORMAT)
    found = fp8_attention(*rounded, values, value_scales, scales, selection, torch.float32)
    expected = block_sparse_attention(q, k, v, selection)
    assert not found[128:256, 0].any(), "a block that sees none"
    assert (found - expected).norm() / expected.norm() < 0.06
