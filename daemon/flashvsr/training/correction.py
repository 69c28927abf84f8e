"""The learned part of the nano model: what a linear enlargement leaves out, found by a small convolutional network.

It is trained by itself, which is a hundred times faster than inside the decoder, and then laid into memory blocks 18
and 19 (`lay_correction`). So it is built of what those have: twice, three 3x3 convolutions with ReLUs at half size.

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


@dataclass(frozen=True)
class CorrectionParams:
    """Channels per frame.

    Attributes:
        early: hidden channels of block 18.
        features: what block 18 hands on to block 19, beside luma.
        late: hidden channels of block 19.
    """

    early: int = 24
    features: int = 14
    late: int = 15


class Convolution(nn.Module):
    """3x3 convolution with zeros beyond the edges.

    Args:
        inputs, outputs: channels.
        sees_luma: the first input is luma, with a zero-sum kernel, and there is one more input for the picture's
            extent: 1 inside, 0 beyond its edges.
        gain: what kernels and bias are multiplied by.
    """

    def __init__(self, inputs: int, outputs: int, *, sees_luma: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        self.sees_luma, self.gain = sees_luma, gain
        self.kernels = nn.Parameter(torch.randn(outputs, inputs, 3, 3) * (4.5 * inputs) ** -0.5)
        self.extent = nn.Parameter(torch.zeros(outputs, 1, 3, 3)) if sees_luma else None
        self.bias = nn.Parameter(torch.zeros(outputs))

    def effective(self, rounded: bool) -> tuple[Tensor, Tensor | None, Tensor]:
        """Kernels, kernels over the extent, bias; as they act, if wanted as bfloat16 holds them."""
        kernels, bias = self.gain * self.kernels, self.gain * self.bias
        extent: Tensor | None = self.extent
        if self.sees_luma:
            luma = kernels[:, :1]
            luma = LUMA_GAIN * (luma - luma.mean(dim=(-2, -1), keepdim=True))
            kernels = torch.cat([luma, kernels[:, 1:]], dim=1)
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
        early, features, late = params.early, params.features, params.late
        self.early = nn.ModuleList(
            [Convolution(1, early, sees_luma=True), Convolution(early, early), Convolution(early, features)]
        )
        self.late = nn.ModuleList(
            [
                Convolution(1 + features, late, sees_luma=True),
                Convolution(late, late),
                Convolution(late, 4, gain=OUTPUT_GAIN),
            ]
        )

    def forward(self, luma: Tensor, rounded: bool = False) -> Tensor:
        """What to add to the enlarged luma.

        Args:
            luma: (n, 1, h, w) as the decoder carries it.
            rounded: with weights as bfloat16 holds them.

        Returns:
            (n, 4, h, w): the four pixels of each 2x2 cell, row by row.
        """
        luma = luma.contiguous(memory_format=torch.channels_last)
        features = _block(self.early, luma, rounded).relu()
        return _block(self.late, torch.cat([luma, features], dim=1), rounded)


def _block(convs: nn.ModuleList, x: Tensor, rounded: bool) -> Tensor:
    first, second, third = convs
    result: Tensor = third(second(first(x, rounded).relu(), rounded).relu(), rounded)
    return result


def _rounded(weights: Tensor) -> Tensor:
    """As bfloat16 holds it; gradients pass as if nothing had happened."""
    return weights + (weights.detach().to(torch.bfloat16).float() - weights.detach())
