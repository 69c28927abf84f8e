"""RMS norm over channels and SiLU of the LQ projection's convolutions, in one pass that also places the rows.

The convolution leaves its rows in raster order with meaningless ones between the lines; this kernel reads only the
pixels and writes them where the next step wants them: into a raster whose border repeats the picture's edge, or as
tokens in block order.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.raster import Raster

EPS = 1e-12  # of the length that divides, as in torch.nn.functional.normalize


def norm_into_raster(x: Tensor, gamma: Tensor, out: Raster, first_frame: int) -> None:
    """x / ||x|| * sqrt(C) * gamma, SiLU, into the frames from `first_frame` on, borders repeated.

    Args:
        x: (f, rows, C), each frame's pixel (y, x) at row y * out.pitch + x.
        gamma: (C,) float32.
        out: raster of `edges` 2.
        first_frame: where the first frame of x goes.
    """
    frames, rows, channels = x.shape
    lines = out.height + 2
    _norm[(frames * lines * out.pitch,)](
        x,
        gamma,
        out.rows[first_frame * out.frame :],
        rows,
        out.pitch,
        out.height,
        out.width,
        channels,
        False,
        triton.next_power_of_2(channels),
        num_warps=8,
    )


def norm_into_blocks(x: Tensor, gamma: Tensor, pitch: int, height: int, width: int) -> Tensor:
    """The same as tokens (f*height*width, C) in block order; f is even, height and width multiples of 8."""
    frames, rows, channels = x.shape
    out = x.new_empty(frames * height * width, channels)
    _norm[(frames * height * width,)](
        x,
        gamma,
        out,
        rows,
        pitch,
        height,
        width,
        channels,
        True,
        triton.next_power_of_2(channels),
        num_warps=8,
    )
    return out


@triton.jit(do_not_specialize=["rows", "pitch", "height", "width"])
def _norm(
    x,
    gamma,
    out,
    rows,
    pitch,
    height,
    width,
    CHANNELS: tl.constexpr,
    BLOCKS: tl.constexpr,
    SPAN: tl.constexpr,
):
    program = tl.program_id(0)
    if BLOCKS:
        token = program % 128
        block = program // 128
        columns = width // 8
        group = block // (columns * (height // 8))
        frame = group * 2 + token // 64
        line = (block // columns) % (height // 8) * 8 + token % 64 // 8
        column = block % columns * 8 + token % 8
    else:
        lines = height + 2
        frame = program // (lines * pitch)
        line = min(max(program // pitch % lines - 1, 0), height - 1)
        column = min(max(program % pitch - 1, 0), width - 1)
    channel = tl.arange(0, SPAN)
    there = channel < CHANNELS
    source = (frame * rows + line * pitch + column).to(tl.int64) * CHANNELS
    value = tl.load(x + source + channel, mask=there, other=0).to(tl.float32)
    length = tl.sqrt(tl.sum(value * value, 0))
    value *= tl.load(gamma + channel, mask=there, other=0) * (CHANNELS**0.5 / tl.maximum(length, 1e-12))
    value *= tl.sigmoid(value)
    tl.store(out + program.to(tl.int64) * CHANNELS + channel, value.to(out.dtype.element_ty), mask=there)
