"""Norm, SiLU and the way to the next step in one pass: one program for each row that is written."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.raster import Raster


def norm_into_raster(x: Tensor, gamma: Tensor, out: Raster, first_frame: int) -> None:
    """See the plain form: into the frames of `out` from `first_frame` on, borders repeated."""
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
    """See the plain form: tokens (f*height*width, C) in block order."""
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
