"""The arithmetic of a window, against sums done by hand."""

from __future__ import annotations

import pytest
import torch

from flashvsr.bench.random_model import PUBLISHED
from flashvsr.bench.work import decoder_work, kept_pairs, work_of
from flashvsr.model.decoder import Decoder, DecoderParams
from flashvsr.model.network import FlashVSR
from flashvsr.model.slim import slim
from flashvsr.model.stream import StreamOptions

TERA = 1e12


@pytest.fixture(scope="module")
def model() -> FlashVSR:
    with torch.device("meta"):
        return FlashVSR(PUBLISHED.dit, PUBLISHED.lq, PUBLISHED.decoder, torch.empty(1, 512, 4096))


def test_a_window_of_1408x768_by_hand(model: FlashVSR) -> None:
    work = work_of(model, 1408, 768, StreamOptions())
    tokens = 2 * 48 * 88
    # q, k, v, o; q and o of the other attention, whose keys and values are the prompt's; feed-forward.
    assert work.products == 30 * 2 * tokens * (4 * 1536 * 1536 + 2 * 1536 * 1536 + 2 * 1536 * 8960)
    # 66 blocks; 66 * 66 * 2 * 768 * 1280 / (768 * 1408) = 7920 pairs, of which the last is the threshold.
    assert work.attention == 30 * 12 * 7919 * (2 * 128 * 128 * 128 + 2 * 128 * 128 * 128)
    assert work.cross_attention == 30 * 12 * 4 * tokens * 512 * 128
    # 8 frames and 2 remembered ones make 4 steps, these and 2 remembered ones make 2.
    first, second = 4 * 4224 * (768 * 36) * 2048, 2 * 4224 * (2048 * 36) * 3072
    assert work.projection == 2 * (first + second + tokens * 3072 * 1536)
    assert work.head == 2 * tokens * 64 * 1536 * 2
    eighth, quarter, half, full = 2 * 96 * 176, 2 * 192 * 352, 4 * 384 * 704, 8 * 768 * 1408
    by_hand = (
        eighth * (9 * (784 * 512 + 512 * 512 + 3 * 4 * 512 * 512) + 512 * 512)
        + quarter * (9 * (512 * 256 + 3 * 4 * 256 * 256) + 256 * 512)
        + half * (9 * (256 * 128 + 3 * 4 * 128 * 128) + 128 * 256)
        + full * 9 * (128 * 128 + 128 * 128 + 128 * 3)
    )
    assert work.decoder == 2 * by_hand
    assert work.total == sum(work.stages.values())
    assert work.total / TERA == pytest.approx(65.96, abs=0.01)


def test_pairs_out_of_reach_are_not_counted() -> None:
    """A row of 30 blocks: each reaches 5 to either side, which is less than the budget."""
    near = 30 * 11 - 2 * (5 + 4 + 3 + 2 + 1)
    assert kept_pairs(1, 30, StreamOptions(sparse_ratio=2.0)) == 4 * near


def test_what_is_left_out_of_a_decoder_is_not_counted() -> None:
    torch.manual_seed(0)
    decoder = Decoder(DecoderParams((16, 8, 8, 8)))
    before = decoder_work(decoder, 32)
    block = decoder.decoder["17"]
    with torch.no_grad():
        for parameter in list(block.parameters())[-2:]:  # the last convolution: the block only rectifies then
            parameter.zero_()
    slim(decoder)
    half_size = 32 * 4 * 4 * 2
    assert before - decoder_work(decoder, 32) == 2 * half_size * 9 * (16 * 8 + 8 * 8 + 8 * 8)
