"""The matrix product of rows of 8-bit integers on tensor cores, which add them up exactly in 32 bits.

As many programs as run at once go through all tiles of the result. Tiles that follow each other share their rows or
their columns, so that these come from the second-level cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from flashvsr.kernels.gpu.large_tiles import HOPPER, capability_of
from flashvsr.kernels.quantise_rows import Rows


@dataclass(frozen=True)
class ProductTile:
    """Rows x columns of the result, `depth` channels at a time; `programs`: at once on each multiprocessor."""

    rows: int = 128
    columns: int = 256
    depth: int = 128
    warps: int = 8
    stages: int = 3
    programs: int = 1


WIDE = ProductTile()
NARROW = ProductTile(128, 128, 64, 4, 5, programs=2)  # where there are few tiles
THROUGH_REGISTERS = ProductTile(64, 128, 64, 4, 3, programs=2)  # on all but Hopper: larger ones spill
FEW_COLUMNS = 2048
_GROUP = 8  # tiles of rows that take turns with each tile of columns


def int8_product(x: Rows, weight: Rows, bias: Tensor, tile: ProductTile | None = None) -> Tensor:
    """See the plain form; `in` is a multiple of 16. `tile`: how the work is cut, by default as the device likes it."""
    (rows, depth), columns, device = x.values.shape, len(weight.values), x.values.device
    tile = tile or _tile_for(device, columns)
    out = torch.empty(rows, columns, dtype=bias.dtype, device=device)
    x_tiles = TensorDescriptor.from_tensor(x.values, [tile.rows, tile.depth])
    w_tiles = TensorDescriptor.from_tensor(weight.values, [tile.columns, tile.depth])
    out_tiles = TensorDescriptor.from_tensor(out, [tile.rows, tile.columns])
    tiles = triton.cdiv(rows, tile.rows) * triton.cdiv(columns, tile.columns)
    programs = min(tiles, tile.programs * _multiprocessors(device))
    _multiply[(programs,)](
        x_tiles, w_tiles, out_tiles, x.scales, weight.scales, bias, rows, columns, depth, programs,
        tile.rows, tile.columns, tile.depth, _GROUP, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return out


def _tile_for(device: torch.device, columns: int) -> ProductTile:
    if capability_of(device)[0] != HOPPER:
        return THROUGH_REGISTERS
    return NARROW if columns <= FEW_COLUMNS else WIDE


@cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 2


@triton.jit(do_not_specialize=["rows", "programs"])
def _multiply(
    x_tiles,
    w_tiles,
    out_tiles,
    x_scales,
    w_scales,
    bias,
    rows,
    columns: tl.constexpr,
    depth: tl.constexpr,
    programs,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    GROUP: tl.constexpr,
):
    row_tiles = tl.cdiv(rows, ROWS)
    COLUMN_TILES: tl.constexpr = (columns + COLUMNS - 1) // COLUMNS
    for tile in tl.range(tl.program_id(0), row_tiles * COLUMN_TILES, programs, flatten=True):
        first = tile // (GROUP * COLUMN_TILES) * GROUP
        height = tl.minimum(row_tiles - first, GROUP)
        place = tile % (GROUP * COLUMN_TILES)
        row = (first + place % height) * ROWS
        column = place // height * COLUMNS
        sums = tl.zeros([ROWS, COLUMNS], tl.int32)
        for k in range(0, depth, DEPTH):
            sums = tl.dot(x_tiles.load([row, k]), w_tiles.load([column, k]).T, sums, out_dtype=tl.int32)
        across, down = row + tl.arange(0, ROWS), column + tl.arange(0, COLUMNS)
        x_scale = tl.load(x_scales + across, mask=across < rows, other=0.0)
        w_scale = tl.load(w_scales + down, mask=down < columns, other=0.0)
        addend = tl.load(bias + down, mask=down < columns, other=0.0).to(tl.float32)
        out = sums.to(tl.float32) * x_scale[:, None] * w_scale[None, :] + addend[None, :]
        out_tiles.store([row, column], out.to(out_tiles.dtype))
