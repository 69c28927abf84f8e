"""Split a memory block that is several small networks side by side: a CPU computes each without the others' zeros.

The nano model's blocks are: each frame of a time step is corrected by itself, with weights of its own.
"""

from __future__ import annotations

from collections import defaultdict
from math import gcd

import torch
from torch import Tensor, nn

from flashvsr.model.decoder import MemoryBlock


@torch.no_grad()
def split(block: MemoryBlock) -> None:
    """Turn the block's convolutions into grouped ones, in place, if it falls into equal parts.

    The frames stay the same. Channels between the convolutions are put into another order; inputs that several parts
    read are given to each.
    """
    first, second, third = block.convolutions()
    groups = _groups(second, third)
    if len(groups) < 2:
        return
    read = [first.weight[hidden].ne(0).any(dim=(2, 3)).any(dim=0).nonzero()[:, 0] for hidden, _, _ in groups]
    most = max(map(len, read))
    if most == 0:
        return
    # Those that read less get one of their inputs, or any, again, with zeros for weights.
    padded = [torch.cat([own, own.new_zeros(most - len(own))]) for own in read]
    parts = [first.weight[hidden][:, own] for (hidden, _, _), own in zip(groups, padded, strict=True)]
    for part, own in zip(parts, read, strict=True):
        part[:, len(own) :] = 0
    _regroup(first, parts, [hidden for hidden, _, _ in groups])
    _regroup(second, [second.weight[to][:, hidden] for hidden, to, _ in groups], [to for _, to, _ in groups])
    _regroup(third, [third.weight[to][:, hidden] for _, hidden, to in groups], [to for _, _, to in groups])
    inputs, outputs = torch.cat(padded), torch.cat([to for _, _, to in groups])
    block.inputs = inputs if block.inputs is None else block.inputs[inputs]
    block.outputs = outputs if block.outputs is None else block.outputs[outputs]


def _groups(second: nn.Conv2d, third: nn.Conv2d) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Inputs of the second convolution, and outputs of the second and of the third one, for each part of equal size."""
    sizes = [second.weight.shape[1], second.weight.shape[0], third.weight.shape[0]]
    shapes: dict[tuple[int, ...], list[list[Tensor]]] = defaultdict(list)
    for nodes in _components(second, third):
        layers = [layer.nonzero()[:, 0] for layer in nodes.split(sizes)]
        shapes[tuple(map(len, layers))].append(layers)
    count = gcd(*(len(alike) for alike in shapes.values()))
    groups = []
    for index in range(count):
        own = [
            part for alike in shapes.values() for part in alike[index * len(alike) // count :][: len(alike) // count]
        ]
        first, middle, last = (torch.cat(layer) for layer in zip(*own, strict=True))
        groups.append((first, middle, last))
    return groups


def _components(second: nn.Conv2d, third: nn.Conv2d) -> Tensor:
    """(components, nodes) bool: what hangs together of inputs of the second and outputs of either convolution."""
    between, to = (conv.weight.ne(0).any(dim=(2, 3)) for conv in (second, third))
    inputs, hidden = between.shape[1], between.shape[1] + len(between)
    reach = torch.eye(hidden + len(to), dtype=torch.bool)
    reach[inputs:hidden, :inputs] = between
    reach[hidden:, inputs:hidden] = to
    reach = reach | reach.T
    while True:
        further = (reach.float() @ reach.float()) > 0
        if torch.equal(further, reach):
            return reach.unique(dim=0)
        reach = further


def _regroup(conv: nn.Conv2d, parts: list[Tensor], outputs: list[Tensor]) -> None:
    assert conv.bias is not None
    conv.bias = nn.Parameter(conv.bias[torch.cat(outputs)], requires_grad=False)
    conv.weight = nn.Parameter(torch.cat(parts), requires_grad=False)
    conv.groups = len(parts)
    conv.out_channels, conv.in_channels = len(conv.weight), len(parts) * conv.weight.shape[1]
