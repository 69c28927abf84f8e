"""RMS norm over channels and SiLU of the LQ projection's convolutions, on the way to the next step.

The convolution leaves its rows in raster order with meaningless ones between the lines. What is read are the pixels
alone; they go into a raster whose border repeats the picture's edge, or become tokens in block order.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels.raster import Raster
from flashvsr.kernels.shapes import BLOCK_FRAMES, BLOCK_SIDE


def norm_into_raster(x: Tensor, gamma: Tensor, out: Raster, first_frame: int) -> None:
    """x / ||x|| * sqrt(C) * gamma, SiLU, into the frames from `first_frame` on, borders repeated.

    Args:
        x: (f, rows, C), each frame's pixel (y, x) at row y * out.pitch + x.
        gamma: (C,) float32.
        out: raster of `edges` 2.
        first_frame: where the first frame of x goes.
    """
    made = _normed(x, gamma, out.pitch, out.height, out.width).permute(0, 3, 1, 2)
    bordered = F.pad(made, (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)
    out.padded()[first_frame : first_frame + len(x)] = bordered.to(out.rows.dtype)


def norm_into_blocks(x: Tensor, gamma: Tensor, pitch: int, height: int, width: int) -> Tensor:
    """The same as tokens (f*height*width, C) in block order; f is even, height and width multiples of 8."""
    made = _normed(x, gamma, pitch, height, width)
    blocks = made.view(
        len(x) // BLOCK_FRAMES, BLOCK_FRAMES, height // BLOCK_SIDE, BLOCK_SIDE, width // BLOCK_SIDE, BLOCK_SIDE, -1
    )
    return blocks.permute(0, 2, 4, 1, 3, 5, 6).flatten(0, 5).to(x.dtype)


def _normed(x: Tensor, gamma: Tensor, pitch: int, height: int, width: int) -> Tensor:
    """(f, height, width, C) float32."""
    pixels = x[:, : (height - 1) * pitch + width].float()
    pixels = F.pad(pixels, (0, 0, 0, pitch - width)).unflatten(1, (height, pitch))[:, :, :width]
    return F.silu(F.normalize(pixels, dim=-1) * pixels.shape[-1] ** 0.5 * gamma)
