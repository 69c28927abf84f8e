"""Leave out of the decoder what its zero weights make idle. The result is the same, computed with less.

Small models have such weights: channels nobody reads or changes, kernels with a middle alone, blocks that look at no
past, or that are several networks side by side. For models without any, nothing changes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from flashvsr.model.decoder import Decoder, MemoryBlock, Upsample
from flashvsr.model.split import split


@torch.no_grad()
def slim(decoder: Decoder) -> None:
    """Rebuild the layers of `decoder` in place; afterwards its weights no longer have the published shapes."""
    layers = [layer for layer in decoder.decoder.values() if not isinstance(layer, nn.ReLU)]
    for before, after in pairwise(layers):
        if isinstance(after, nn.Conv2d) and isinstance(before, Upsample):
            _drop_unread(before.conv, after, before.times)
        elif isinstance(after, nn.Conv2d) and isinstance(before, nn.Conv2d):
            _drop_unread(before, after)
    for layer in layers:
        if isinstance(layer, MemoryBlock):
            _slim_block(layer)
            if layer.conv[0].weight.is_cpu and not layer.idle:  # grouped convolutions are no gain everywhere
                split(layer)
    for module in decoder.modules():
        if isinstance(module, nn.Conv2d):
            _shrink_kernel(module)


def _drop_unread(before: nn.Conv2d, after: nn.Conv2d, groups: int = 1) -> None:
    """Channels that the next convolution does not read, in each of the groups that it reads one by one."""
    read = _some(_read(after))
    bias = None if before.bias is None else before.bias[read.repeat(groups)]
    _replace(before, before.weight[read.repeat(groups)], bias)
    _replace(after, after.weight[:, read])


def _slim_block(block: MemoryBlock) -> None:
    first, second, third = block.convolutions()
    assert first.bias is not None
    assert second.bias is not None
    assert third.bias is not None
    if not bool(third.weight.any()) and not bool(third.bias.any()):
        block.idle = True
        return
    # A hidden channel is of use if something reads it and something, a bias at least, makes it more than zero.
    hidden = _some(_made(first) & _read(second))
    _replace(second, second.weight[:, hidden])
    used = _some(_made(second) & _read(third))
    _replace(first, first.weight[hidden], first.bias[hidden])
    _replace(second, second.weight[used], second.bias[used])
    _replace(third, third.weight[:, used])
    changed = third.weight.ne(0).any(dim=(2, 3)).any(dim=1) | third.bias.ne(0)
    if not bool(changed.all()):
        _replace(third, third.weight[changed], third.bias[changed])
        block.outputs = changed.nonzero()[:, 0]
    inputs = _some(_read(first))
    if not bool(inputs.all()):
        _replace(first, first.weight[:, inputs])
        block.inputs = inputs.nonzero()[:, 0]
        block.sees_past = bool(inputs[len(inputs) // 2 :].any())


def _read(conv: nn.Conv2d) -> Tensor:
    """(inputs,) bool: which of them matter."""
    return conv.weight.ne(0).any(dim=(2, 3)).any(dim=0)


def _some(mask: Tensor) -> Tensor:
    """At least one, for a layer of no channels would be none."""
    return mask if bool(mask.any()) else torch.arange(len(mask), device=mask.device) == 0


def _made(conv: nn.Conv2d) -> Tensor:
    """(outputs,) bool: which of them can be above zero."""
    assert conv.bias is not None
    return conv.weight.ne(0).any(dim=(2, 3)).any(dim=1) | (conv.bias > 0)


def _shrink_kernel(conv: nn.Conv2d) -> None:
    """A 3x3 kernel with a middle alone becomes 1x1."""
    if conv.kernel_size != (3, 3):
        return
    around = conv.weight.clone()
    around[:, :, 1, 1] = 0
    if not bool(around.any()):
        _replace(conv, conv.weight[:, :, 1:2, 1:2])
        conv.kernel_size, conv.padding = (1, 1), (0, 0)


def _replace(conv: nn.Conv2d, weight: Tensor, bias: Tensor | None = None) -> None:
    conv.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias.contiguous(), requires_grad=False)
    conv.out_channels, conv.in_channels = weight.shape[:2]
