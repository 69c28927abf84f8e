"""What the decoder does with luma, as a network to train: a correction at 1/4 size, then an enlargement from 1/2 size.

The input was enlarged before, by 2 or by 4. Of an input enlarged by 4, the correction at 1/4 size makes the picture
at 1/2 size that it lacks; one enlarged by 2 has that already, and the second step alone has something to do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flashvsr.training.channel_layout import MARGIN, SPAN
from flashvsr.training.correction import Correction, CorrectionParams
from flashvsr.training.initial_decoder import TOP_LEFT

# Four pixels in a row around the middle of a 2x2 cell, a to d, nearly keep to b - c = 0.35 (a - d) in a picture
# enlarged by 4 before, and do not in one enlarged by 2.
TELLING = (0.0, -0.35, 1.0, -1.0, 0.35, 0.0)
TELLING_NORM = 2.0
GATE = 3.0  # how strongly they close the correction at 1/4 size


@dataclass(frozen=True)
class CascadeParams:
    """The corrections at 1/4 and at 1/2 size."""

    at_quarter: CorrectionParams
    at_half: CorrectionParams


class Cascade(nn.Module):
    """From luma at half size, as the decoder carries it, to full size.

    Attributes:
        at_quarter: correction of the four lumas of each 2x2 cell.
        at_half: correction of what the linear filter makes of a luma, the four pixels of a 2x2 cell.
    """

    def __init__(self, params: CascadeParams) -> None:
        super().__init__()
        self.at_quarter, self.at_half = Correction(params.at_quarter), Correction(params.at_half)
        start_gated(self.at_quarter)

    def forward(self, carried: Tensor, rounded: bool = False) -> Tensor:
        """Enlarge.

        Args:
            carried: (n, 1, h, w), h and w even.
            rounded: with weights as bfloat16 holds them.

        Returns:
            (n, 4, h, w): the four pixels of each 2x2 cell, row by row.
        """
        cells = F.pixel_unshuffle(carried, 2)
        cells = (cells + self.at_quarter(squash(cells), cells, rounded)).relu()
        lumas = F.pixel_shuffle(cells, 2)
        return enlarge_linearly(lumas) + self.at_half(lumas, lumas, rounded)


@torch.no_grad()
def start_gated(correction: Correction) -> None:
    """Let a correction at 1/4 size start closed where the picture was enlarged by 2.

    What is right for a picture enlarged by 4 is wrong for one enlarged by 2. The first feature tells them apart: it is
    how far, on average, the neighbourhood is from what `TELLING` says. All hidden channels of the second block that
    read it are closed where it is large.
    """
    across = torch.tensor(TELLING).expand(6, 6)
    across = TELLING_NORM * across / across.norm()
    kernels = rearrange([across, -across, across.mT, -across.mT], "n (h y) (w x) -> n (y x) h w", y=2, x=2)
    first, second, third = (conv.kernels for conv in correction.early)
    first[: len(kernels)] = kernels
    for blurring, count in ((second, len(kernels)), (third, 1)):
        blurring[0] = 0
        blurring[0, :count] = 1 / 9
    feature = correction.late[0].kernels[:, correction.params.lumas]
    feature.zero_()
    feature[:, 1, 1] = -GATE


def squash(carried: Tensor) -> Tensor:
    """Luma as the decoder carries it, with the squashing of its first layer not yet undone."""
    luma = (carried - MARGIN) / SPAN * 2 - 1
    return MARGIN + SPAN * (torch.tanh(luma / 3) * 3 + 1) / 2


def enlarge_linearly(carried: Tensor) -> Tensor:
    """What the decoder does without a correction at half size: (n, 1, h, w) -> (n, 4, h, w), as `Cascade.forward`."""
    corner = torch.tensor(TOP_LEFT, device=carried.device)
    kernels = torch.stack([corner, corner.flip(1), corner.flip(0), corner.flip(0, 1)])[:, None]
    # Not F.pad: on a GPU, its gradients are not the same from run to run.
    wide = torch.cat([carried[..., :1], carried, carried[..., -1:]], dim=-1)
    return F.conv2d(torch.cat([wide[..., :1, :], wide, wide[..., -1:, :]], dim=-2), kernels)
