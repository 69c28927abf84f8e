"""Slim decoders: the same frames with less work."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from flashvsr.model.decoder import Decoder, DecoderParams, MemoryBlock, Upsample
from flashvsr.model.loading import load_model
from flashvsr.model.slim import slim
from flashvsr.weights.choice import nano_folder

PARAMS = DecoderParams((12, 10, 8, 6))


def decoder_with_zeros(seed: int) -> Decoder:
    """Random weights; in every layer something that idles, another thing for every seed."""
    torch.manual_seed(seed)
    decoder = Decoder(PARAMS)
    with torch.no_grad():
        for conv in (module for module in decoder.modules() if isinstance(module, nn.Conv2d)):
            outputs, inputs = conv.weight.shape[:2]
            conv.weight[torch.rand(outputs) < 0.3] = 0
            conv.weight[:, torch.rand(inputs) < 0.3] = 0
            if torch.rand(()) < 0.4 and conv.kernel_size == (3, 3):
                middle = conv.weight[:, :, 1:2, 1:2].clone()
                conv.weight.zero_()[:, :, 1:2, 1:2] = middle
        blocks = [module for module in decoder.modules() if isinstance(module, MemoryBlock)]
        for i, block in enumerate(blocks):
            first, _, third = block.convolutions()
            if i % 3 == seed % 3:
                first.weight[:, len(third.weight) :] = 0
            if i % 4 == seed % 4:
                third.weight.zero_()
                third.bias.zero_()
    return decoder


def run(decoder: Decoder) -> Tensor:
    """Two windows."""
    generator = torch.Generator().manual_seed(5)
    memory: dict[str, Tensor] = {}
    frames = []
    for latents, count in ((2, 5), (2, 8)):
        z = torch.randn(16, latents, 4, 6, generator=generator)
        condition = torch.rand(3, count, 32, 48, generator=generator) * 2 - 1
        frames.append(decoder(z, condition, memory))
    return torch.cat(frames, dim=1)


def weights(decoder: Decoder) -> int:
    return sum(parameter.numel() for parameter in decoder.parameters())


@pytest.mark.parametrize("seed", range(6))
@torch.inference_mode()
def test_the_frames_are_the_same(seed: int) -> None:
    decoder = decoder_with_zeros(seed)
    slimmed = copy.deepcopy(decoder)
    slim(slimmed)
    torch.testing.assert_close(run(slimmed), run(decoder), rtol=1e-5, atol=1e-5)
    assert weights(slimmed) < 0.9 * weights(decoder)


@torch.inference_mode()
def test_a_decoder_of_nothing_but_zeros_still_runs() -> None:
    decoder = Decoder(PARAMS)
    for parameter in decoder.parameters():
        parameter.zero_()
    decoder.decoder["26"].bias.fill_(0.75)
    decoder.decoder["11"].conv[4].bias.fill_(0.1)
    slim(decoder)
    assert torch.equal(run(decoder), torch.full((3, 13, 32, 48), 0.5))


@torch.inference_mode()
def test_a_full_decoder_stays_as_it_is() -> None:
    torch.manual_seed(0)
    decoder = Decoder(PARAMS)
    slimmed = copy.deepcopy(decoder)
    slim(slimmed)
    for (name, a), (other, b) in zip(decoder.named_parameters(), slimmed.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(a, b)
    assert torch.equal(run(slimmed), run(decoder))


@torch.inference_mode()
def test_nano_is_a_fraction_of_its_size() -> None:
    decoder = load_model(nano_folder(), "cpu", torch.float32).model.decoder
    slimmed = copy.deepcopy(decoder)
    slim(slimmed)
    assert weights(slimmed) < 0.15 * weights(decoder)
    assert sum(isinstance(layer, Upsample) for layer in slimmed.modules()) == 3
    torch.testing.assert_close(run(slimmed), run(decoder), rtol=0, atol=2e-4)
