"""The decoder's frame: a linear enlargement filter, laid into the network by hand.

The decoder has no way around its narrow middle, so whatever it shall show must be packed into 1/8 size, carried
through and unpacked again with an error below half an 8-bit level. Gradient descent alone takes very long to get
there. These weights do it exactly; what they leave out is learned apart (`correction`) and added in channels
without a task here.

- 1/8 size: the enlarged input averaged over 2x2 pixels (it holds no more than that), luma of all four frames pixel
  by pixel, colour of all four frames averaged over 4x4. Values of the four quarters of a cell lie in groups. What the
  squashing of the input did to colours is undone.
- 1/4 size: each pixel keeps, of the four groups, the one of its own quarter ("selection"); the others make room. What
  the squashing did to luma is undone.
- 1/2 size: the same again for the luma of a frame pair; then a 3x3 filter makes the four pixels of each 2x2 cell.
  Colour is blended from neighbours.
- full size: each pixel keeps its own of the four; back to RGB.

Selection needs to know the place of a pixel in its repeated cell. Signs that alternate from cell to cell tell it
(`_place_terms`), and ReLUs do the choosing: v - (0 where chosen, else a value above v).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flashvsr.bench.luma import LUMA
from flashvsr.model.decoder import CONDITION_CHANNELS, Decoder, MemoryBlock
from flashvsr.training.channel_layout import (
    COLOR,
    COLUMN_CARRIER,
    ENLARGED,
    LATE_HIDDEN,
    MARGIN,
    QUARTERS,
    ROW_CARRIER,
    SPAN,
    WIDE,
    empty_row,
)
from flashvsr.training.unsquashing import unsquash_colors, unsquash_lumas

# Least squares on training footage, enlarged from area- and bicubic-halved, with mirror symmetry; its sum is 1.
# Rounded to what bfloat16 holds, so that the sum stays exact.
TOP_LEFT = (
    (0.0, 11 / 128, 0.0),
    (11 / 128, 171 / 128, -40 / 128),
    (0.0, -40 / 128, 15 / 128),
)
SIDES = ((1, 0), (1, 2), (0, 1), (2, 1))  # taps of a 3x3 kernel: left, right, above, below


@torch.no_grad()
def initialise_decoder(decoder: Decoder) -> None:
    """Set the starting weights.

    Raises:
        ValueError: the decoder's channels are too few for the construction.
    """
    c8, c4, c2, c1 = decoder.params.channels
    if c8 < 4 * WIDE + 5 or c4 < 4 * WIDE + 5 or c2 < 46 or c1 < 11:
        raise ValueError(f"the decoder's channels {decoder.params.channels} are too few")
    layers = decoder.decoder
    for parameter in decoder.parameters():
        parameter.zero_()
    _pack(layers["1"])
    _tidy_carriers(layers["3"])
    unsquash_colors(layers["5"], (0, 1))
    unsquash_colors(layers["6"], (2, 3))
    _identity(layers["9"].conv)
    _repeat(layers["10"], 4 * WIDE)
    _select(layers["11"], WIDE)
    unsquash_lumas(layers["12"])
    _split_pairs(layers["15"].conv)
    _repeat(layers["16"], ENLARGED)
    _select(layers["17"], 2)
    _blend_colors(layers["17"])
    _enlarge(layers["19"])
    _split_frames(layers["21"].conv)
    _repeat(layers["22"], 6)
    _choose(layers["24"])
    _to_rgb(layers["26"])


def _pack(conv: nn.Conv2d) -> None:
    """First layer: the groups of the four quarters; the last channels are one and the carriers, twice each."""
    share = torch.tensor(LUMA)
    differences = (torch.tensor([0.0, 0.0, 1.0]) - share, torch.tensor([1.0, 0.0, 0.0]) - share)
    for group, (row, column) in enumerate(QUARTERS):
        for frame in range(4):
            for i, (y, x) in enumerate(QUARTERS):
                kernel = empty_row(conv, group * WIDE + 4 * frame + i, MARGIN + SPAN / 2)
                cell = kernel[:CONDITION_CHANNELS, 1, 1].view(3, 4, 8, 8)[:, frame]
                top, left = 4 * row + 2 * y, 4 * column + 2 * x
                cell[:, top : top + 2, left : left + 2] = SPAN / 2 / 4 * share[:, None, None]
            for i, difference in enumerate(differences):
                kernel = empty_row(conv, group * WIDE + 16 + 4 * i + frame, 0.5)
                cell = kernel[:CONDITION_CHANNELS, 1, 1].view(3, 4, 8, 8)[:, frame]
                top, left = 4 * row, 4 * column
                cell[:, top : top + 4, left : left + 4] = difference[:, None, None] / 4 / 16
    one = conv.weight.shape[0] - 5
    empty_row(conv, one, 1.0)
    for i, latent in enumerate((COLUMN_CARRIER, ROW_CARRIER)):
        for j, offset in enumerate((0.5, -0.5)):
            empty_row(conv, one + 1 + 2 * i + j, offset)[CONDITION_CHANNELS + latent, 1, 1] = 2.0


def _tidy_carriers(conv: nn.Conv2d) -> None:
    """The two copies of a carrier, 1 apart and rectified, differ by exactly 0 or 1 whatever the latents' noise."""
    channels = conv.weight.shape[0]
    for out in range(4 * WIDE):
        empty_row(conv, out)[out, 1, 1] = 1
    empty_row(conv, channels - 3)[channels - 5, 1, 1] = 1
    for i in range(2):
        row = empty_row(conv, channels - 2 + i)
        row[channels - 4 + 2 * i, 1, 1], row[channels - 3 + 2 * i, 1, 1] = 1, -1


def _identity(conv: nn.Conv2d) -> None:
    conv.weight[:, :, 0, 0] = torch.eye(conv.weight.shape[0])


def _repeat(conv: nn.Conv2d, count: int) -> None:
    """After repeating: the first `count` channels as they are, and the terms of the place as the last five.

    In come one, c and r (alternating 0 and 1) as the last three channels. With s = 2c - 1 the own sign and
    d = left - right the difference of the neighbours' c, |s + d| is 0 in the left and 2 in the right half of every
    cell. Out go one, s + d and -(s + d) for columns, the same for rows; the next ReLU makes the absolute value.
    """
    for out in range(count):
        empty_row(conv, out)[out, 1, 1] = 1
    one, base = conv.weight.shape[1] - 3, conv.weight.shape[0] - 5
    empty_row(conv, base)[one, 1, 1] = 1
    for i, (before, after) in enumerate((((1, 0), (1, 2)), ((0, 1), (2, 1)))):
        for j, sign in enumerate((1, -1)):
            row, carrier = empty_row(conv, base + 1 + 2 * i + j), one + 1 + i
            row[carrier, 1, 1] = 2 * sign
            row[carrier, before[0], before[1]] += sign
            row[carrier, after[0], after[1]] -= sign
            # Cells alternate 1, 0, ... 1, 0: beyond the picture the left neighbour is 0 as the padding is, the
            # right one would be 1. One minus the neighbour's `one` is 1 there and 0 everywhere else.
            row[one, 1, 1] = -2 * sign
            row[one, after[0], after[1]] += sign


def _off(group: int) -> tuple[float, float, float]:
    """How far a pixel is from quarter `group`: constant + a * column + b * row, 0 inside and >= 1 outside.

    Column and row are 1 in the right and in the lower half.
    """
    row, column = QUARTERS[group]
    return float(row + column), 1.0 - 2 * column, 1.0 - 2 * row


def _place_terms(row: Tensor, first: int, column: float, lower: float) -> None:
    """Add column * (is right) + lower * (is lower); four rectified place channels (0 or 2) begin at `first`."""
    row[first : first + 2, 1, 1] += column / 2
    row[first + 2 : first + 4, 1, 1] += lower / 2


def _select(block: MemoryBlock, size: int) -> None:
    """Replace the first group of `size` values by the group of the pixel's own quarter; the others become zero.

    What is added to the first group are the differences to it, let through by place and moved up by 1 on the way
    to survive the ReLUs.
    """
    channels = block.conv[0].weight.shape[0]
    places = channels - 4  # in the input, the rectified terms of the place
    hidden = 3 * size  # in the hidden layers, the same; then the three quarters as 0 or 1
    for group in range(1, 4):
        constant, column, lower = _off(group)
        for value in range(size):
            middle = (group - 1) * size + value
            row = empty_row(block.conv[0], middle, 1.0)
            row[group * size + value, 1, 1], row[value, 1, 1] = 1, -1
            row = empty_row(block.conv[2], middle, -2 * constant)
            row[middle, 1, 1] = 1
            _place_terms(row, hidden, -2 * column, -2 * lower)
            block.conv[4].weight[value, middle, 1, 1] = 1
        row = empty_row(block.conv[2], hidden + group - 1, 1.0 - constant)
        _place_terms(row, hidden, -column, -lower)
        block.conv[4].weight[:size, hidden + group - 1, 1, 1] = -1
    for i in range(4):
        empty_row(block.conv[0], hidden + i)[places + i, 1, 1] = 1
    block.conv[4].bias[size : 4 * size] = -2.0


def _next_carriers(group: Tensor) -> None:
    """Last three rows of a 1x1 convolution: one, and the place of a pixel as the carrier of the next level."""
    inputs, outputs = group.shape[1], group.shape[0]
    one = inputs - 5
    group[outputs - 3 :] = 0
    group[outputs - 3 :, one, 0, 0] = 1
    for i in range(2):
        group[outputs - 2 + i, one + 1 + 2 * i : one + 3 + 2 * i, 0, 0] = -0.5


def _split_pairs(conv: nn.Conv2d) -> None:
    """1/4 to 1/2 size: per pair of frames, four groups of two lumas, then blue, blue, red, red."""
    inputs = conv.weight.shape[1]
    for pair, group in enumerate(conv.weight.split(inputs)):
        for i in range(2):
            frame = 2 * pair + i
            for quarter in range(4):
                group[2 * quarter + i, 4 * frame + quarter, 0, 0] = 1
            for difference in range(2):
                group[COLOR + 2 * difference + i, 16 + 4 * difference + frame, 0, 0] = 1
        _next_carriers(group)


def _watch_edges(conv: nn.Conv2d, channel: int, hidden: int) -> None:
    """Five hidden channels from `hidden` on: a channel, then, by side, the channel at that edge and else nothing.

    Beyond the picture's edges the nearest pixel has to stand in; `one` ends there, which tells where the edge is.
    """
    one = conv.weight.shape[0] - 5
    empty_row(conv, hidden)[channel, 1, 1] = 1
    for side, tap in enumerate(SIDES):
        row = empty_row(conv, hidden + 1 + side)
        row[channel, 1, 1], row[one, tap[0], tap[1]] = 1, -1


def _filter(row: Tensor, hidden: int, kernel: Tensor) -> None:
    """Apply a 3x3 kernel to a channel that `_watch_edges` put at `hidden`: edges are repeated, but not corners."""
    row[hidden] += kernel
    for side, (y, x) in enumerate(SIDES):
        beyond = row[hidden + 1 + side]
        if y == 1:
            beyond[:, 1] += kernel[:, x]
        else:
            beyond[1, :] += kernel[y, :]


def _watch_corners(conv: nn.Conv2d, channel: int, hidden: int) -> None:
    """Four hidden channels from `hidden` on: a channel at one corner of the picture and else nothing."""
    one = conv.weight.shape[0] - 5
    for i, (lower, right) in enumerate(QUARTERS):
        row = empty_row(conv, hidden + i)
        row[channel, 1, 1] = 1
        row[one, 1, 2 * right] = row[one, 2 * lower, 1] = -1


def _fill_corners(row: Tensor, hidden: int, kernel: Tensor) -> None:
    """What `_filter` leaves out."""
    for i, (lower, right) in enumerate(QUARTERS):
        row[hidden + i, 1, 1] += kernel[2 * lower, 2 * right]


def _blend_colors(block: MemoryBlock) -> None:
    """Colour was repeated: blend neighbours into the bilinear enlargement."""
    first, middle, last = block.conv[0], block.conv[2], block.conv[4]
    line = torch.tensor([0.25, 0.5, 0.25])
    change = line[:, None] * line
    change[1, 1] -= 1
    for i, channel in enumerate(range(COLOR, ENLARGED)):
        hidden, passed = 10 + 5 * i, 9 + 5 * i
        _watch_edges(first, channel, hidden)
        _filter(last.weight[channel], passed, change)
        corners, passed_corners = 30 + 4 * i, 29 + 4 * i
        _watch_corners(first, channel, corners)
        _fill_corners(last.weight[channel], passed_corners, change)
        for j in range(5):
            empty_row(middle, passed + j)[hidden + j, 1, 1] = 1
        for j in range(4):
            empty_row(middle, passed_corners + j)[corners + j, 1, 1] = 1


def _enlarge(block: MemoryBlock) -> None:
    """The four pixels of a cell, frame by frame, go into channels that were empty so far."""
    first, middle, last = block.conv[0], block.conv[2], block.conv[4]
    corner = torch.tensor(TOP_LEFT)
    for luma in range(2):
        sides, corners = 5 * luma, 10 + 4 * luma
        _watch_edges(first, luma, sides)
        _watch_corners(first, luma, corners)
        for i, phase in enumerate((corner, corner.flip(1), corner.flip(0), corner.flip(0, 1))):
            row = last.weight[ENLARGED + 4 * luma + i]
            _filter(row, sides, phase)
            _fill_corners(row, corners, phase)
    for hidden in range(LATE_HIDDEN):
        empty_row(middle, hidden)[hidden, 1, 1] = 1


def _split_frames(conv: nn.Conv2d) -> None:
    """1/2 to full size: per frame, four luma values, blue, red."""
    inputs = conv.weight.shape[1]
    for frame, group in enumerate(conv.weight.split(inputs)):
        group[range(4), range(ENLARGED + 4 * frame, ENLARGED + 4 * frame + 4), 0, 0] = 1
        group[4, COLOR + frame, 0, 0] = group[5, COLOR + 2 + frame, 0, 0] = 1
        _next_carriers(group)


def _choose(conv: nn.Conv2d) -> None:
    """Full size: of the four luma values the pixel's own remains, the others become zero."""
    one = conv.weight.shape[1] - 5
    for group in range(4):
        constant, column, lower = _off(group)
        row = empty_row(conv, group)
        row[group, 1, 1], row[one, 1, 1] = 1, -constant
        _place_terms(row, one + 1, -column, -lower)
    for out in (4, 5):
        empty_row(conv, out)[out, 1, 1] = 1


def _to_rgb(conv: nn.Conv2d) -> None:
    """Luma and the two differences to red, green and blue in [0, 1]."""
    red, green, blue = LUMA
    for out, (of_blue, of_red) in enumerate(((0, 1), (-blue / green, -red / green), (1, 0))):
        row = empty_row(conv, out, -MARGIN / SPAN - of_blue - of_red)
        row[:4, 1, 1] = 1 / SPAN
        row[4, 1, 1], row[5, 1, 1] = 2 * of_blue, 2 * of_red
