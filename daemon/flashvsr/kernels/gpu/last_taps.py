"""Nine products per colour, added up in registers and written once; see the plain form for what they are."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from flashvsr.kernels.raster import Raster


def add_last_taps(products: Raster, bias: Tensor, frames: int, out: Tensor, first: int = 0) -> None:
    """See the plain form: out (3, frames, lines, width) becomes 2 * sum - 1, from the picture's line `first` on."""
    span = 128
    _add[(triton.cdiv(products.width, span), out.shape[2], frames)](
        products.rows,
        bias,
        out,
        products.pitch,
        products.frame,
        first,
        products.width,
        out.stride(0),
        out.stride(1),
        out.stride(2),
        products.rows.shape[0],
        span,
    )


@triton.jit(
    do_not_specialize=["pitch", "frame", "first", "width", "channel_stride", "frame_stride", "line_stride", "rows"]
)
def _add(x, bias, out, pitch, frame, first, width, channel_stride, frame_stride, line_stride, rows, SPAN: tl.constexpr):
    column = tl.program_id(0) * SPAN + tl.arange(0, SPAN)
    line = tl.program_id(1)
    picture = tl.program_id(2)
    at = picture * frame + (first + line) * pitch + column
    red = tl.zeros([SPAN], tl.float32)
    green = tl.zeros([SPAN], tl.float32)
    blue = tl.zeros([SPAN], tl.float32)
    for tap in tl.static_range(9):
        source = at + (tap // 3 - 1) * pitch + tap % 3 - 1
        there = (column < width) & (source >= 0) & (source < rows)
        place = x + source.to(tl.int64) * 32 + 3 * tap
        red += tl.load(place, mask=there, other=0).to(tl.float32)
        green += tl.load(place + 1, mask=there, other=0).to(tl.float32)
        blue += tl.load(place + 2, mask=there, other=0).to(tl.float32)
    target = picture.to(tl.int64) * frame_stride + line.to(tl.int64) * line_stride + column
    inside = column < width
    stride = channel_stride.to(tl.int64)
    tl.store(out + target, ((red + tl.load(bias)) * 2 - 1).to(out.dtype.element_ty), mask=inside)
    tl.store(out + target + stride, ((green + tl.load(bias + 1)) * 2 - 1).to(out.dtype.element_ty), mask=inside)
    tl.store(out + target + 2 * stride, ((blue + tl.load(bias + 2)) * 2 - 1).to(out.dtype.element_ty), mask=inside)
