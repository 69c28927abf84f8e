"""The decoder's last convolution from products that are already there.

A 3x3 convolution to three channels reads a wide picture for little work. The convolution before it therefore multiplies
each of its pixels by all 27 weights at once and stores the 27 products instead of its channels; what is left here is to
add up nine of them per colour, each from the neighbour that it belongs to.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels.raster import Raster

PRODUCTS = 32  # 27, filled up to what the matrix unit takes


def products_weight(kernel: Tensor) -> Tensor:
    """(3, C, 3, 3) -> (C, 32): column 3 * tap + colour."""
    columns = kernel.permute(1, 2, 3, 0).flatten(1)  # (C, 9 taps * 3)
    return F.pad(columns, (0, PRODUCTS - columns.shape[1])).contiguous()


def add_last_taps(products: Raster, bias: Tensor, frames: int, out: Tensor, first: int = 0) -> None:
    """Add up the products of `frames` frames and map [0, 1] to [-1, 1].

    Args:
        products: raster of `edges` 1 with 32 channels.
        bias: (3,) float32.
        frames: how many frames.
        out: (3, frames, lines, width), any strides but the last; written as 2 * sum - 1.
        first: line of the picture that `out` begins with.
    """
    lines = slice(first, first + out.shape[2])
    padded = F.pad(products.pictures()[:frames].float(), (0, 0, 1, 1, 1, 1))  # (frames, height + 2, width + 2, 32)
    total = torch.zeros(frames, products.height, products.width, 3, device=out.device)
    for tap in range(9):
        y, x = divmod(tap, 3)
        total += padded[:, y : y + products.height, x : x + products.width, 3 * tap : 3 * tap + 3]
    out.copy_(((total[:, lines] + bias) * 2 - 1).permute(3, 0, 1, 2))
