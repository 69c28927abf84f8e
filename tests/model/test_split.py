"""Memory blocks of several networks side by side, computed one by one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from flashvsr.model.decoder import MemoryBlock
from flashvsr.model.split import split

CHANNELS = 12


def side_by_side(parts: int, shared: int) -> MemoryBlock:
    """A block of equal networks whose channels lie among each other's; all of them read the input `shared` as well."""
    torch.manual_seed(parts)
    block = MemoryBlock(CHANNELS)
    layers = [torch.randperm(CHANNELS) % parts for _ in range(4)]  # the part of each channel, input to output
    with torch.no_grad():
        for index, conv in enumerate(block.convolutions()):
            own = layers[index].repeat(2 if index == 0 else 1) == layers[index + 1][:, None]
            if index == 0:
                own[:, shared] = True
            conv.weight *= own[:, :, None, None]
    return block


def run(block: MemoryBlock) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    x, previous = (torch.rand(steps, CHANNELS, 10, 14, generator=generator) for steps in (3, 1))
    return block(x, previous)


@torch.inference_mode()
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_the_same_comes_out(parts: int) -> None:
    block = side_by_side(parts, shared=5)
    halves = copy.deepcopy(block)
    split(halves)
    torch.testing.assert_close(run(halves), run(block), rtol=0, atol=1e-6)
    assert [conv.groups for conv in halves.convolutions()] == 3 * [parts]
    weights, before = (sum(conv.weight.numel() for conv in b.convolutions()[1:]) for b in (halves, block))
    assert weights == before // parts


@torch.inference_mode()
def test_unequal_parts_stay_together() -> None:
    block = side_by_side(2, shared=5)
    _, second, third = block.convolutions()
    second.weight[:, 0] = 0  # an input of nothing: one part is smaller than the other
    whole = copy.deepcopy(block)
    split(whole)
    assert [conv.groups for conv in whole.convolutions()] == [1, 1, 1]
    assert third.weight.shape == whole.convolutions()[2].weight.shape
    assert torch.equal(run(whole), run(block))
