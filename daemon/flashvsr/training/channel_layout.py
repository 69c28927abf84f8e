"""Where what lies in the channels of the hand-made decoder, stage by stage."""

from __future__ import annotations

from torch import Tensor, nn

COLUMN_CARRIER, ROW_CARRIER = 0, 1  # latent channels
QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))  # (row, column) of a quarter, in the order of the groups
WIDE = 16 + 8  # values per group at 1/4 size: luma (frame, row, column), colour (blue or red, frame)
# Channels at 1/2 size: four groups of the lumas of two frames, blue and red of both, enlarged luma (frame, quarter).
COLOR, ENLARGED, SPARE = 8, 12, 20
LUMA_HIDDEN = 2 * 16, 3 * 16  # hidden channels of block 12, by layer, that undo the squashing of lumas
LATE_HIDDEN = 18  # hidden channels of block 19 that the linear filter takes
MARGIN, SPAN = 0.1, 0.8  # luma y is carried as MARGIN + SPAN * y: room for overshoot on either side


def empty_row(conv: nn.Module, out: int, bias: float | None = None) -> Tensor:
    """The weights (inputs, kh, kw) of one output channel, emptied."""
    row = conv.weight[out]
    row.zero_()
    if conv.bias is not None:
        conv.bias[out] = bias or 0.0
    return row
