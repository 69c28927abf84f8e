"""Lay the learned correction into the decoder that `initial_decoder` built, in channels that have no task there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flashvsr.model.decoder import Decoder, MemoryBlock
from flashvsr.training.correction import Convolution, Correction
from flashvsr.training.initial_decoder import ENLARGED, LATE_HIDDEN, feature_channels


@torch.no_grad()
def lay_correction(correction: Correction, decoder: Decoder) -> None:
    """Write the weights of `correction` into memory blocks 18 and 19, once for each frame of a pair.

    Raises:
        ValueError: the decoder has too few channels at half size.
    """
    params, channels = correction.params, decoder.params.channels[2]
    room = feature_channels(decoder)
    if 2 * params.early > channels or 2 * params.features > len(room) or LATE_HIDDEN + 2 * params.late > channels:
        raise ValueError(f"the decoder's {channels} channels at half size are too few for {params}")
    for frame in range(2):
        features = _share(room, params.features, frame)
        early = _share(range(channels), params.early, frame)
        late = _share(range(LATE_HIDDEN, channels), params.late, frame)
        enlarged = _share(range(ENLARGED, ENLARGED + 8), 4, frame)
        _lay(correction.early, decoder.decoder["18"], [frame], early, features)
        _lay(correction.late, decoder.decoder["19"], [frame, *features], late, enlarged)


def _share(channels: list[int] | range, count: int, frame: int) -> list[int]:
    return list(channels[frame * count : (frame + 1) * count])


def _lay(convs: nn.ModuleList, block: nn.Module, inputs: list[int], hidden: list[int], outputs: list[int]) -> None:
    """Channels of the block's trunk and of its hidden layers that the three convolutions read and write."""
    assert isinstance(block, MemoryBlock)
    for i, (source, target) in enumerate(((inputs, hidden), (hidden, hidden), (hidden, outputs))):
        conv, to = convs[i], block.conv[2 * i]
        assert isinstance(conv, Convolution)
        assert isinstance(to, nn.Conv2d)
        assert to.bias is not None
        kernels, extent, bias = conv.effective(rounded=True)
        _write(to.weight, target, source, kernels)
        to.bias[target] = bias
        if extent is not None:
            one = to.weight.shape[0] - 5  # the trunk's channel that is 1 everywhere
            _write(to.weight, target, [one], extent)


def _write(weight: Tensor, rows: list[int], columns: list[int], values: Tensor) -> None:
    weight[torch.tensor(rows)[:, None], torch.tensor(columns)] = values
