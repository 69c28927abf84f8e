"""A learned part of the nano model: what an enlargement leaves out, found by a small convolutional network.

It is trained outside the decoder, which is a hundred times faster than inside, and then laid into two memory blocks
(`lay_corrections`). So it is built of what those have: twice, three 3x3 convolutions with ReLUs.

Every frame is corrected on its own: equal frames come out equal, so that still scenes stay still. Kernels over luma
sum to zero, so that brightness means nothing and flat stays flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Weights are kept at about the size of 1 while they are learned, whatever their place needs.
LUMA_GAIN = 10.0  # local contrast is small
OUTPUT_GAIN = 0.04  # so is what a pixel lacks
PIXELS = 4  # of a 2x2 cell


@dataclass(frozen=True)
class CorrectionParams:
    """Channels per frame.

    Attributes:
        lumas: values of luma at a place, 1 or the four of a 2x2 cell.
        early: hidden channels of the first memory block, by layer.
        features: what it hands on to the second one, beside luma.
        late: hidden channels of the second memory block, by layer.
    """

    lumas: int
    early: tuple[int, int]
    features: int
    late: tuple[int, int]


class Convolution(nn.Module):
    """3x3 convolution with zeros beyond the edges.

    Args:
        inputs, outputs: channels.
        lumas: so many of the first inputs are luma, with kernels that sum to zero together. If there are any, there
            is one more input for the picture's extent: 1 inside, 0 beyond its edges.
        gain: what kernels and bias are multiplied by.
    """

    def __init__(self, inputs: int, outputs: int, *, lumas: int = 0, gain: float = 1.0) -> None:
        super().__init__()
        self.lumas, self.gain = lumas, gain
        self.kernels = nn.Parameter(torch.randn(outputs, inputs, 3, 3) * (4.5 * inputs) ** -0.5)
        self.extent = nn.Parameter(torch.zeros(outputs, 1, 3, 3)) if lumas else None
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.fixed = False

    @torch.no_grad()
    def fix(self, kernels: Tensor, extent: Tensor | None, bias: Tensor) -> None:
        """Take these, as `effective` gives them, and learn nothing any more."""
        own: tuple[tuple[nn.Parameter | None, Tensor | None], ...]
        own = ((self.kernels, kernels), (self.extent, extent), (self.bias, bias))
        for parameter, value in own:
            if parameter is not None and value is not None:
                parameter.copy_(value)
        self.requires_grad_(False)
        self.fixed = True

    def effective(self, rounded: bool) -> tuple[Tensor, Tensor | None, Tensor]:
        """Kernels, kernels over the extent, bias; as they act, if wanted as bfloat16 holds them."""
        if self.fixed:
            return self.kernels, self.extent, self.bias
        kernels, bias = self.gain * self.kernels, self.gain * self.bias
        extent: Tensor | None = self.extent
        if self.lumas:
            luma = kernels[:, : self.lumas]
            luma = LUMA_GAIN * (luma - luma.mean(dim=(1, 2, 3), keepdim=True))
            kernels = torch.cat([luma, kernels[:, self.lumas :]], dim=1)
        if rounded:
            kernels, bias = _rounded(kernels), _rounded(bias)
            extent = None if extent is None else _rounded(extent)
        return kernels, extent, bias

    def forward(self, x: Tensor, rounded: bool) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h, w)."""
        kernels, extent, bias = self.effective(rounded)
        y = F.conv2d(x, kernels, bias, padding=1)
        if extent is not None:
            y = y + F.conv2d(torch.ones_like(x[:1, :1]), extent, padding=1)
        return y


class Correction(nn.Module):
    """The network."""

    def __init__(self, params: CorrectionParams) -> None:
        super().__init__()
        self.params = params
        self.early = _block(params.lumas, 0, params.early, params.features)
        self.late = _block(params.lumas, params.features, params.late, PIXELS, gain=OUTPUT_GAIN)
        # It starts as no correction at all: one that does harm is soon switched off, with all its ReLUs, for good.
        nn.init.zeros_(self.late[-1].kernels)

    def fix(self) -> None:
        """Learn nothing any more, with the weights as bfloat16 holds them."""
        for conv in (*self.early, *self.late):
            assert isinstance(conv, Convolution)
            conv.fix(*conv.effective(rounded=True))

    def forward(self, early: Tensor, late: Tensor, rounded: bool = False) -> Tensor:
        """What to add to the four pixels of each 2x2 cell.

        Args:
            early: (n, lumas, h, w) as the first memory block finds them.
            late: the same lumas as the second one finds them.
            rounded: with weights as bfloat16 holds them.

        Returns:
            (n, 4, h, w), row by row.
        """
        early, late = (luma.contiguous(memory_format=torch.channels_last) for luma in (early, late))
        features = _run(self.early, early, rounded).relu()
        return _run(self.late, torch.cat([late, features], dim=1), rounded)


def _block(lumas: int, features: int, hidden: tuple[int, int], outputs: int, gain: float = 1.0) -> nn.ModuleList:
    first, second = hidden
    return nn.ModuleList(
        [
            Convolution(lumas + features, first, lumas=lumas),
            Convolution(first, second),
            Convolution(second, outputs, gain=gain),
        ]
    )


def _run(convs: nn.ModuleList, x: Tensor, rounded: bool) -> Tensor:
    first, second, third = convs
    result: Tensor = third(second(first(x, rounded).relu(), rounded).relu(), rounded)
    return result


def _rounded(weights: Tensor) -> Tensor:
    """As bfloat16 holds it; gradients pass as if nothing had happened."""
    return weights + (weights.detach().to(torch.bfloat16).float() - weights.detach())
