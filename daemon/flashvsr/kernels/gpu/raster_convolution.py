"""3x3 convolutions as matrix products over shifted rows of a raster: one Triton kernel for all of the model's.

A tile of consecutive rows meets each tap of the kernel by one descriptor load at a shifted row, so the sum over taps
and channels is one long matrix product, fed by the copy engine from compute capability 9.0 on. Bias, residual and
rectifier are applied before the tile is stored; nothing is padded, unfolded or concatenated in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from flashvsr.kernels.gpu.large_tiles import takes_large_tiles
from flashvsr.kernels.raster import Raster


@dataclass(frozen=True)
class Tile:
    """Shape of one program's work: rows x columns of the output, `depth` channels at a time."""

    rows: int = 128
    columns: int = 128
    depth: int = 64
    warps: int = 8
    stages: int = 3


TILE = Tile()
THROUGH_REGISTERS = Tile(128, 128, 32, 8, 3)  # where large tiles do not fit: larger ones spill


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
    tile: Tile = TILE,
) -> None:
    """See the plain form; `last` has 16 columns or more. `tile`: how the work is cut."""
    geometry = (x.pitch, x.frame, x.height, x.width)
    rows = frames * x.frame
    _launch(
        tile,
        x,
        weight,
        out.rows[: rows if last is None else None],
        None if residual is None else residual.rows,
        bias,
        last,
        row_tiles=triton.cdiv(rows, tile.rows),
        pieces=1,
        geometry=geometry,
        in_first=previous * x.frame,
        in_step=0,
        out_step=0,
        group_step=-x.frame,
        groups=1 + previous,
        side=3,
        relu=relu,
        border=True,
    )


def convolve_enlarged(
    x: Raster, weight: Tensor, out: Raster, frames: int, *, slices: int = 1, relu: bool = False, tile: Tile = TILE
) -> None:
    """See the plain form. `tile`: how the work is cut."""
    _launch(
        tile,
        x,
        weight,
        out.rows,
        None,
        None,
        None,
        row_tiles=triton.cdiv(x.height * x.pitch, tile.rows),
        pieces=frames,
        geometry=(x.pitch, x.frame, x.height, x.width),
        in_first=0,
        in_step=x.frame,
        out_step=0,
        group_step=0,
        groups=1,
        side=2,
        slices=slices,
        relu=relu,
        border=False,
        out_pitch=out.pitch,
        out_frame=out.frame,
    )


def convolve_strided(x: Raster, weight: Tensor, out: Tensor, *, bias: Tensor, tile: Tile = TILE) -> None:
    """See the plain form; `out` has `strided_rows(x, tile)` rows for each frame. `tile`: how the work is cut."""
    frames, rows, channels = out.shape
    _launch(
        tile,
        x,
        weight,
        out.view(frames * rows, channels),
        None,
        bias,
        None,
        row_tiles=rows // tile.rows,
        pieces=frames,
        geometry=(x.pitch, x.frame, x.height, x.width),
        in_first=x.pitch + 1,
        in_step=2 * x.frame,
        out_step=rows,
        group_step=x.frame,
        groups=4,
        side=3,
        relu=False,
        border=False,
    )


def strided_rows(x: Raster, tile: Tile = TILE) -> int:
    """Rows per frame that `convolve_strided` writes: whole tiles."""
    return triton.cdiv((x.height - 1) * x.pitch + x.width, tile.rows) * tile.rows


def _launch(
    tile: Tile,
    x: Raster,
    weight: Tensor,
    out: Tensor,
    residual: Tensor | None,
    bias: Tensor | None,
    last: Tensor | None,
    *,
    row_tiles: int,
    pieces: int,
    geometry: tuple[int, int, int, int],
    in_first: int,
    in_step: int,
    out_step: int,
    group_step: int,
    groups: int,
    side: int,
    relu: bool,
    border: bool,
    slices: int = 1,
    out_pitch: int = 0,
    out_frame: int = 0,
) -> None:
    if not takes_large_tiles(x.rows.device):
        tile = replace(THROUGH_REGISTERS, rows=tile.rows)
    outputs = weight.shape[1]
    columns = min(tile.columns, outputs)
    last_columns = 0 if last is None else last.shape[1]
    kinds = slices * (4 if side == 2 else 1)
    x_tiles = TensorDescriptor.from_tensor(x.rows, [tile.rows, tile.depth])
    w_tiles = TensorDescriptor.from_tensor(weight, [tile.depth, columns])
    out_tiles = TensorDescriptor.from_tensor(out, [tile.rows, last_columns or columns])
    residual_tiles = out_tiles if residual is None else TensorDescriptor.from_tensor(residual, [tile.rows, columns])
    _convolve[(row_tiles * pieces * kinds * (outputs // columns),)](
        x_tiles,
        w_tiles,
        residual_tiles,
        out_tiles,
        out,
        out if bias is None else bias,
        out if last is None else last,
        row_tiles,
        *geometry,
        in_first,
        in_step,
        out_step,
        group_step,
        out_pitch,
        out_frame,
        groups,
        side,
        x.channels,
        outputs,
        slices,
        bias is not None,
        residual is not None,
        relu,
        border,
        last_columns,
        tile.rows,
        columns,
        tile.depth,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )


_VARYING = [
    "row_tiles",
    "pitch",
    "frame",
    "height",
    "width",
    "in_first",
    "in_step",
    "out_step",
    "group_step",
    "out_pitch",
    "out_frame",
]


@triton.jit(do_not_specialize=_VARYING)
def _convolve(
    x_tiles,
    w_tiles,
    residual_tiles,
    out_tiles,
    out,
    bias,
    last,
    row_tiles,
    pitch,
    frame,
    height,
    width,
    in_first,
    in_step,
    out_step,
    group_step,
    out_pitch,
    out_frame,
    GROUPS: tl.constexpr,
    SIDE: tl.constexpr,
    CHANNELS: tl.constexpr,
    OUT_CHANNELS: tl.constexpr,
    SLICES: tl.constexpr,
    BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr,
    RELU: tl.constexpr,
    BORDER: tl.constexpr,
    LAST: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    PHASES: tl.constexpr = 4 if SIDE == 2 else 1
    TAPS: tl.constexpr = GROUPS * SIDE * SIDE
    CHUNKS: tl.constexpr = CHANNELS // DEPTH
    COLUMN_TILES: tl.constexpr = OUT_CHANNELS // COLUMNS

    program = tl.program_id(0)
    column = (program % COLUMN_TILES) * COLUMNS
    program //= COLUMN_TILES
    kind = program % (PHASES * SLICES)
    program //= PHASES * SLICES
    first = (program % row_tiles) * ROWS
    piece = program // row_tiles
    phase = kind % PHASES

    corner = in_first + piece * in_step + first - pitch - 1
    if PHASES > 1:
        corner += (phase // 2) * pitch + phase % 2
    weight_row = kind * (TAPS * CHANNELS)

    acc = tl.zeros([ROWS, COLUMNS], tl.float32)
    if RESIDUAL:
        acc = residual_tiles.load([first, column]).to(tl.float32)
    for i in range(TAPS * CHUNKS):
        tap = i // CHUNKS
        place = tap % (SIDE * SIDE)
        row = corner + (tap // (SIDE * SIDE)) * group_step + (place // SIDE) * pitch + place % SIDE
        x = x_tiles.load([row, (i % CHUNKS) * DEPTH])
        w = w_tiles.load([weight_row + i * DEPTH, column])
        acc = tl.dot(x, w, acc)

    if BIAS:
        acc += tl.load(bias + column + tl.arange(0, COLUMNS))[None, :]
    if RELU:
        acc = tl.maximum(acc, 0)
    rows = first + tl.arange(0, ROWS)
    if PHASES == 1:
        if LAST > 0:
            w = tl.load(last + tl.arange(0, COLUMNS)[:, None] * LAST + tl.arange(0, LAST)[None, :])
            value = tl.dot(acc.to(w.dtype), w)
        else:
            value = acc
        if BORDER:
            y = (rows % frame) // pitch
            value = tl.where(((y < height) & (rows % pitch < width))[:, None], value, 0)
        out_tiles.store([piece * out_step + first, column], value.to(out_tiles.dtype))
    else:
        # Positions count from the tile's own first line of pixels, so that 32 bits suffice for the offsets.
        line = first // pitch
        y = rows // pitch
        x = rows % pitch
        target = (y - line) * 2 * out_pitch + 2 * x
        base = (piece * SLICES + kind // PHASES).to(tl.int64) * out_frame
        base += (2 * line + phase // 2).to(tl.int64) * out_pitch + phase % 2
        out += base * OUT_CHANNELS + column
        inside = (y < height) & (x < width)
        HALF: tl.constexpr = COLUMNS // 2
        low, high = acc.reshape(ROWS, 2, HALF).permute(0, 2, 1).split()
        offsets = target[:, None] * OUT_CHANNELS + tl.arange(0, HALF)[None, :]
        tl.store(out + offsets, low.to(out.dtype.element_ty), mask=inside[:, None])
        tl.store(out + HALF + offsets, high.to(out.dtype.element_ty), mask=inside[:, None])
