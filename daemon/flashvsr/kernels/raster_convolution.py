"""3x3 convolutions of rasters, their weights in the order in which a raster meets them, and folded enlargements.

A GPU wants them as matrix products over shifted rows (`gpu/raster_convolution.py`); here they are PyTorch's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.kernels.raster import Raster


def taps_first(weight: Tensor, channels: int | None = None) -> Tensor:
    """(O, C, *kernel) -> (taps * C, O), with C filled up to `channels` by zeros."""
    missing = (channels or weight.shape[1]) - weight.shape[1]
    weight = weight.flatten(2)  # (O, C, taps)
    if missing:
        weight = F.pad(weight, (0, 0, 0, missing))
    return weight.permute(2, 1, 0).flatten(0, 1).contiguous()


def fold_enlargement(point: Tensor, kernel: Tensor, slices: int) -> Tensor:
    """Fold a 1x1 convolution, nearest x2 and a 3x3 convolution into 2x2 kernels, one for each output phase.

    An output pixel of row phase 0 sees the enlarged lines 2y-1, 2y, 2y+1, which are the lines y-1, y, y: its kernel's
    lines are the first one, and the sum of the others. Phase 1 likewise, the other way round. Sums in float64.

    Args:
        point: (slices * M, C) of the 1x1 convolution.
        kernel: (O, M, 3, 3).
        slices: frames that the 1x1 convolution makes of one.

    Returns:
        (slices * 4 phases * 4 taps * C, O) in point's dtype; phase = 2*py + px, tap = 2*dy + dx.
    """
    wide = kernel.double()
    first, second = wide[..., :1], wide[..., 1:].sum(-1, keepdim=True)
    third, fourth = wide[..., :2].sum(-1, keepdim=True), wide[..., 2:]
    columns = torch.stack([torch.cat([first, second], -1), torch.cat([third, fourth], -1)])  # (px, O, M, 3, dx)
    first, second = columns[..., :1, :], columns[..., 1:, :].sum(-2, keepdim=True)
    third, fourth = columns[..., :2, :].sum(-2, keepdim=True), columns[..., 2:, :]
    both = torch.stack([torch.cat([first, second], -2), torch.cat([third, fourth], -2)])  # (py, px, O, M, dy, dx)
    maps = point.double().view(slices, -1, point.shape[1])
    folded = torch.einsum("pqomyx,smc->spqyxco", both, maps)
    return folded.reshape(-1, kernel.shape[0]).to(point.dtype).contiguous()


def convolve(
    x: Raster,
    weight: Tensor,
    out: Raster,
    frames: int,
    *,
    bias: Tensor | None = None,
    residual: Raster | None = None,
    relu: bool = False,
    previous: int = 0,
    last: Tensor | None = None,
) -> None:
    """3x3 convolution with zeros around the picture, of the first `frames` frames of x into those of out.

    Args:
        x: rasters of `edges` 1. With `previous` = 1, frame 0 is the one before the first, and the convolution of
            each frame also reads the frame before it.
        weight: (taps * C, O), taps in the order (frame: this one, the one before; dy; dx).
        out: raster of `edges` 1 with O channels, or those of `last`; its borders become zero.
        frames: how many frames, not counting the previous one.
        bias: (O,) float32.
        residual: added before the rectifier; O channels.
        relu: whether negative values become zero.
        previous: see x.
        last: (O, L): a 1x1 map applied behind the rectifier.
    """
    pictures = _channels_first(x)[: frames + previous]
    seen = torch.cat([pictures[1:], pictures[:-1]], dim=1) if previous else pictures
    kernel = weight.float().view(1 + previous, 3, 3, x.channels, -1).permute(4, 0, 3, 1, 2).flatten(1, 2)
    made = F.conv2d(seen, kernel, bias, padding=1)
    if residual is not None:
        made = made + _channels_first(residual)[:frames]
    if relu:
        made = made.relu()
    if last is not None:
        made = torch.einsum("fchw,cl->flhw", made.to(last.dtype).float(), last.float())
    out.rows[: frames * out.frame] = 0
    out.pictures()[:frames] = made.permute(0, 2, 3, 1).to(out.rows.dtype)


def convolve_enlarged(
    x: Raster, weight: Tensor, out: Raster, frames: int, *, slices: int = 1, relu: bool = False
) -> None:
    """A 1x1 convolution into `slices` frames, nearest x2 and a 3x3 convolution, folded into 2x2 kernels.

    Args:
        x: raster of `edges` 1.
        weight: (slices * 4 phases * 4 taps * C, O), see `fold_enlargement`.
        out: raster of `edges` 1 of twice the size, slices * frames frames. Its borders are left alone.
        frames: how many frames of x.
        slices: frames made of each.
        relu: whether negative values become zero.
    """
    padded = F.pad(_channels_first(x)[:frames], (1, 1, 1, 1))
    kernels = weight.float().view(slices, 2, 2, 2, 2, x.channels, -1).permute(0, 1, 2, 6, 5, 3, 4)
    for index in range(slices):
        target = out.pictures()[index : slices * frames : slices]
        for py in range(2):
            for px in range(2):
                corner = padded[..., py : py + x.height + 1, px : px + x.width + 1]
                made = F.conv2d(corner, kernels[index, py, px])
                made = made.relu() if relu else made
                target[:, py::2, px::2] = made.permute(0, 2, 3, 1).to(out.rows.dtype)


def convolve_strided(x: Raster, weight: Tensor, out: Tensor, *, bias: Tensor) -> None:
    """3D convolution of kernel (4, 3, 3) and stride (2, 1, 1).

    Args:
        x: raster of `edges` 2 with 2f + 2 frames or more, borders filled.
        weight: (36 * C, O), taps in the order (time, dy, dx).
        out: (f, rows, O): the picture in x's raster order, from its pixel (0, 0) on. What stands between the lines,
            and behind the last one, means nothing.
        bias: (O,) float32.
    """
    whole = x.padded()[: 2 * len(out) + 2].float().permute(3, 0, 1, 2)  # (C, frames, lines, pitch)
    kernel = weight.float().view(4, 3, 3, x.channels, -1).permute(4, 3, 0, 1, 2)
    made = F.conv3d(whole[None], kernel, bias, stride=(2, 1, 1))[0].permute(1, 2, 3, 0)  # (f, height, width, O)
    for line in range(x.height):
        out[:, line * x.pitch : line * x.pitch + x.width] = made[:, line].to(out.dtype)


def _channels_first(x: Raster) -> Tensor:
    """(frames, C, height, width) float32."""
    return x.pictures().permute(0, 3, 1, 2).float()
