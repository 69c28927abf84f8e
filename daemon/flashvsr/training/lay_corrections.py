"""Lay the learned corrections into the decoder that `initial_decoder` built, in channels that have no task there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from flashvsr.model.decoder import Decoder, MemoryBlock
from flashvsr.training.cascade import Cascade
from flashvsr.training.channel_layout import COLOR, ENLARGED, LATE_HIDDEN, LUMA_HIDDEN, SPARE, WIDE
from flashvsr.training.correction import PIXELS, Convolution, Correction


@dataclass(frozen=True)
class _Place:
    """Where one size has room for a correction.

    Attributes:
        early, late: names of its two memory blocks.
        taken_early, taken_late: hidden channels that have a task there, the first ones, by layer.
        features: channels of the trunk that are 0 before the first block and read by nothing.
        lumas: channels of the trunk that hold a frame's lumas, frame by frame.
        results: those that its four pixels are added to.
    """

    early: str
    late: str
    taken_early: tuple[int, int]
    taken_late: tuple[int, int]
    features: list[int]
    lumas: list[range]
    results: list[range]


def lay_corrections(cascade: Cascade, decoder: Decoder) -> None:
    """Write the weights of both corrections into memory blocks 12, 13 and 18, 19, once for each frame of a time step.

    Raises:
        ValueError: the decoder has too few channels for them.
    """
    for correction, place in ((cascade.at_quarter, _at_quarter(decoder)), (cascade.at_half, _at_half(decoder))):
        for frame in range(len(place.lumas)):
            for conv, to, sources, targets in _layers(correction, decoder, place, frame):
                _lay(conv, to, sources, targets)


@torch.no_grad()
def fix_half(cascade: Cascade, decoder: Decoder) -> None:
    """Read the correction at half size back from a decoder that it was laid into; it learns nothing any more.

    Raises:
        ValueError: the decoder has too few channels for such a correction.
    """
    for conv, to, sources, targets in _layers(cascade.at_half, decoder, _at_half(decoder), frame=0):
        assert to.bias is not None
        rows = torch.tensor(targets)[:, None]
        extent = to.weight[rows, [_one(to)]] if conv.lumas else None
        conv.fix(to.weight[rows, torch.tensor(sources)], extent, to.bias[targets])


def _at_quarter(decoder: Decoder) -> _Place:
    lumas = [range(PIXELS * frame, PIXELS * (frame + 1)) for frame in range(4)]
    return _Place("12", "13", LUMA_HIDDEN, (0, 0), list(range(WIDE, decoder.params.channels[1] - 5)), lumas, lumas)


def _at_half(decoder: Decoder) -> _Place:
    spare = [*range(2, COLOR), *range(SPARE, decoder.params.channels[2] - 5)]
    enlarged = [range(ENLARGED + PIXELS * frame, ENLARGED + PIXELS * (frame + 1)) for frame in range(2)]
    return _Place("18", "19", (0, 0), (LATE_HIDDEN, LATE_HIDDEN), spare, [range(1), range(1, 2)], enlarged)


def _layers(
    correction: Correction, decoder: Decoder, place: _Place, frame: int
) -> Iterator[tuple[Convolution, nn.Conv2d, list[int], list[int]]]:
    """A correction's convolutions, where each one lies in the decoder, channels that it reads and writes there."""
    params, blocks = correction.params, (decoder.decoder[place.early], decoder.decoder[place.late])
    features = _share(place.features, params.features, frame)
    lumas, results = list(place.lumas[frame]), list(place.results[frame])
    for convs, block, hidden, taken, sources, targets in (
        (correction.early, blocks[0], params.early, place.taken_early, lumas, features),
        (correction.late, blocks[1], params.late, place.taken_late, [*lumas, *features], results),
    ):
        assert isinstance(block, MemoryBlock)
        layers = block.convolutions()
        first, second = (
            _share(range(begin, to.out_channels), count, frame)
            for begin, count, to in zip(taken, hidden, layers[:2], strict=True)
        )
        for conv, to, read, written in zip(
            convs, layers, (sources, first, second), (first, second, targets), strict=True
        ):
            assert isinstance(conv, Convolution)
            yield conv, to, read, written


def _share(channels: Sequence[int], count: int, frame: int) -> list[int]:
    share = list(channels[frame * count : (frame + 1) * count])
    if len(share) < count:
        raise ValueError(f"the decoder's {len(channels)} free channels are too few: {count} a frame are needed")
    return share


@torch.no_grad()
def _lay(conv: Convolution, to: nn.Conv2d, sources: list[int], targets: list[int]) -> None:
    assert to.bias is not None
    kernels, extent, bias = conv.effective(rounded=True)
    rows = torch.tensor(targets)[:, None]
    to.weight[rows, torch.tensor(sources)] = kernels
    to.bias[targets] = bias
    if extent is not None:
        to.weight[rows, [_one(to)]] = extent


def _one(conv: nn.Conv2d) -> int:
    """The trunk's channel that is 1 everywhere."""
    return conv.out_channels - 5
