"""Adam that hardly moves what flat pictures become.

All values inside the decoder are positive and mostly follow brightness, so that a plain step, small in every
weight, adds up to a shift of brightness by far more than the half 8-bit level that matters here; the picture never
gets precise enough to learn detail. We therefore find, for every convolution, the inputs that flat pictures of any
colour make, and take the part of a step that answers to them much smaller than the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REACH = 8  # positions on either side of the middle that are looked at: all places in a repeated cell
TOLERANCE = 1e-7  # of the largest eigenvalue: directions of flat inputs that count


@dataclass(frozen=True)
class FreeConvolution:
    """A convolution in training.

    Attributes:
        conv: the layer.
        mask: (outputs, 1) float, 1 for the outputs that may change.
        flat: (inputs, r) orthonormal directions of the inputs that flat pictures make; weights and bias as one row.
    """

    conv: nn.Conv2d
    mask: Tensor
    flat: Tensor

    def read(self) -> Tensor:
        """The weights as rows (outputs, inputs), the bias last."""
        rows = self.conv.weight.detach().flatten(1)
        return rows if self.conv.bias is None else torch.cat([rows, self.conv.bias.detach()[:, None]], dim=1)

    def write(self, rows: Tensor) -> None:
        """Opposite of `read`."""
        if self.conv.bias is not None:
            self.conv.bias.copy_(rows[:, -1])
            rows = rows[:, :-1]
        self.conv.weight.copy_(rows.view_as(self.conv.weight))


class GuardedAdam:
    """Adam over some output channels of some convolutions.

    Args:
        rows: the convolutions and their output channels that may change.
        show: runs the model on a flat picture of a colour (3,) in [-1, 1].
        flat_share: how much of a step remains in the directions of flat pictures.
    """

    def __init__(
        self, rows: Mapping[nn.Conv2d, Sequence[int]], show: Callable[[Tensor], object], flat_share: float
    ) -> None:
        self.flat_share = flat_share
        flat = _flat_directions(list(rows), show)
        self.free = []
        for conv, chosen in rows.items():
            mask = torch.zeros(len(conv.weight), 1, device=conv.weight.device)
            mask[list(chosen)] = 1
            self.free.append(FreeConvolution(conv, mask, flat[conv]))
            conv.requires_grad_(True)
        parameters = [p for conv in rows for p in conv.parameters()]
        self.adam = torch.optim.Adam(parameters, betas=(0.9, 0.99), fused=parameters[0].is_cuda)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step with the gradients at hand, which are then dropped."""
        for group in self.adam.param_groups:
            group["lr"] = rate
        before = [free.read().clone() for free in self.free]
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        for free, old in zip(self.free, before, strict=True):
            step = (free.read() - old) * free.mask
            step -= (1 - self.flat_share) * (step @ free.flat) @ free.flat.T
            free.write(old + step)


@torch.no_grad()
def _flat_directions(
    convolutions: Sequence[nn.Conv2d], show: Callable[[Tensor], object], colors: int = 16
) -> dict[nn.Conv2d, Tensor]:
    moments: dict[nn.Module, Tensor] = {}

    def watch(conv: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(conv, nn.Conv2d)
        x = inputs[0][-1:]
        middle = [side // 2 for side in x.shape[2:]]
        margin = REACH + conv.padding[0] if isinstance(conv.padding[0], int) else REACH
        top, left = (max(0, m - margin) for m in middle)
        x = x[:, :, top : middle[0] + margin, left : middle[1] + margin]
        patches = F.unfold(x, conv.kernel_size)[0].T.double()
        if conv.bias is not None:
            patches = torch.cat([patches, patches.new_ones(len(patches), 1)], dim=1)
        moments[conv] = moments.get(conv, 0) + patches.T @ patches / len(patches)

    handles = [conv.register_forward_pre_hook(watch) for conv in convolutions]
    generator = torch.Generator().manual_seed(0)
    for i in range(colors):
        color = torch.rand(3, generator=generator) * 1.8 - 0.9
        show(color if i % 3 else color[:1].expand(3))
    for handle in handles:
        handle.remove()
    directions = {}
    for conv in convolutions:
        values, vectors = torch.linalg.eigh(moments[conv])
        count = min(int((values > TOLERANCE * values[-1]).sum()), len(values) // 3)
        directions[conv] = vectors[:, -count:].float()
    return directions
