"""The decoder's starting weights: a linear enlargement filter, laid into the network by hand.

The decoder has no way around its narrow middle, so whatever it shall show must be packed into 1/8 size, carried
through and unpacked again with an error below half an 8-bit level. Gradient descent alone takes very long to get
there. We start from weights that do it exactly:

- 1/8 size: the enlarged input averaged over 2x2 pixels (it holds no more than that), luma of all four frames pixel
  by pixel, colour of all four frames averaged over 4x4. Values of the four quarters of a cell lie in groups.
- 1/4 size: each pixel keeps, of the four groups, the one of its own quarter ("selection").
- 1/2 size: the same again for the luma of a frame pair; then filters of 3x3 and 5x5 make the four pixels of each 2x2
  cell. Colour is blended from neighbours.
- full size: each pixel keeps its own of the four; back to RGB.

Selection needs to know the place of a pixel in its repeated cell. Signs that alternate from cell to cell tell it
(`_place`), and ReLUs do the choosing: v - (0 where chosen, else a value above v). Channels without a task start at
random and are read by nothing at first: they are the room for what training finds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flashvsr.model.decoder import CONDITION_CHANNELS, Decoder, MemoryBlock
from flashvsr.training.luma import LUMA

COLUMN_CARRIER, ROW_CARRIER = 0, 1  # latent channels
QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))  # (row, column) of a quarter, in the order of the groups
WIDE = 16 + 8  # values per group at 1/4 size: luma (frame, row, column), colour (blue or red, frame)
# Channels at 1/2 size: four groups of the lumas of two frames, blue and red of both, enlarged luma (frame, quarter).
COLOR, ENLARGED, SPARE = 8, 12, 20
MARGIN, SPAN = 0.1, 0.8  # luma y is carried as MARGIN + SPAN * y: room for overshoot on either side
# Least squares on training footage, enlarged from area- and bicubic-halved, with mirror symmetry; each sums to 1.
# Rounded to what bfloat16 holds, so that the sums stay exact.
SHARPEN = (
    (44 / 512, -169 / 512, 44 / 512),
    (-169 / 512, 1012 / 512, -169 / 512),
    (44 / 512, -169 / 512, 44 / 512),
)
TOP_LEFT = (
    (8 / 1024, -4 / 1024, 0.0, 0.0, -4 / 1024),
    (-4 / 1024, 35 / 1024, 197 / 1024, -49 / 1024, 16 / 1024),
    (0.0, 197 / 1024, 776 / 1024, -102 / 1024, 65 / 1024),
    (0.0, -49 / 1024, -102 / 1024, -13 / 1024, -9 / 1024),
    (-4 / 1024, 16 / 1024, 65 / 1024, -9 / 1024, -2 / 1024),
)
COLOR_KNOTS = (-0.78, -0.45, 0.0, 0.45, 0.78)  # where polygons that undo the squashing bend
LUMA_KNOTS = (-0.82, -0.6, -0.32, 0.32, 0.6, 0.82)
SIDES = ((1, 0), (1, 2), (0, 1), (2, 1))  # taps of a 3x3 kernel: left, right, above, below


@torch.no_grad()
def initialise_decoder(decoder: Decoder) -> None:
    """Set the starting weights.

    Raises:
        ValueError: the decoder's channels are too few for the construction.
    """
    c8, c4, c2, c1 = decoder.params.channels
    if c8 < 4 * WIDE + 5 or c4 < 4 * WIDE + 5 or c2 < 32 or c1 < 11:
        raise ValueError(f"the decoder's channels {decoder.params.channels} are too few")
    layers = decoder.decoder
    for layer in layers.values():
        if isinstance(layer, MemoryBlock):
            _silence(layer)
    _pack(layers["1"])
    _tidy_carriers(layers["3"])
    _identity(layers["9"].conv)
    _repeat(layers["10"], 4 * WIDE)
    _select(layers["11"], WIDE)
    _unsquash_colors(layers["12"])
    _split_pairs(layers["15"].conv)
    _repeat(layers["16"], ENLARGED)
    layers["16"].weight[ENLARGED:SPARE] = 0
    _select(layers["17"], 2)
    _blend_colors(layers["17"])
    _sharpen(layers["18"])
    _enlarge(layers["19"])
    _split_frames(layers["21"].conv)
    _repeat(layers["22"], 6)
    _choose(layers["24"])
    _to_rgb(layers["26"])


def free_rows(decoder: Decoder) -> dict[nn.Conv2d, list[int]]:
    """Output channels that training may change: those without a task, and those that sum up what the others found.

    The rest (packing, places, selection) is exact as it is, and a step in any of it would cost precision.
    """
    _, c4, c2, c1 = decoder.params.channels
    convolutions = dict(decoder.named_modules())

    def pick(name: str, *spans: tuple[int, int], groups: int = 1) -> tuple[nn.Conv2d, list[int]]:
        conv = convolutions[f"decoder.{name}"]
        assert isinstance(conv, nn.Conv2d)
        size = conv.weight.shape[0] // groups
        return conv, [size * g + row for g in range(groups) for span in spans for row in range(*span)]

    sums = ((0, 2), (COLOR, ENLARGED), (SPARE, c2 - 5))
    chosen = [pick(f"13.conv.{layer}", (0, c4)) for layer in (0, 2)]
    chosen += [pick("13.conv.4", (0, WIDE), (4 * WIDE, c4 - 5))]
    chosen += [pick("15.conv", (ENLARGED, c4 - 3), groups=2), pick("16", (SPARE, c2 - 5))]
    chosen += [pick("17.conv.0", (30, c2)), pick("17.conv.2", (29, c2)), pick("17.conv.4", *sums)]
    chosen += [pick("18.conv.0", (30, c2)), pick("18.conv.2", (30, c2)), pick("18.conv.4", *sums)]
    chosen += [pick("19.conv.0", (18, c2)), pick("19.conv.2", (26, c2)), pick("19.conv.4", (COLOR, c2 - 5))]
    chosen += [pick("21.conv", (6, c2 - 3), groups=2)]
    chosen += [pick("22", (6, c1 - 5)), pick("24", (6, c1)), pick("26", (0, 3))]
    return dict(chosen)


def _silence(block: MemoryBlock) -> None:
    """The block passes its input on; its own result starts at zero."""
    block.conv[4].weight.zero_()
    block.conv[4].bias.zero_()


def _row(conv: nn.Module, out: int, bias: float | None = None) -> Tensor:
    """The weights (inputs, kh, kw) of one output channel, emptied."""
    row = conv.weight[out]
    row.zero_()
    if conv.bias is not None:
        conv.bias[out] = bias or 0.0
    return row


def _pack(conv: nn.Conv2d) -> None:
    """First layer: the groups of the four quarters; the last channels are one and the carriers, twice each."""
    share = torch.tensor(LUMA)
    differences = (torch.tensor([0.0, 0.0, 1.0]) - share, torch.tensor([1.0, 0.0, 0.0]) - share)
    for group, (row, column) in enumerate(QUARTERS):
        for frame in range(4):
            for i, (y, x) in enumerate(QUARTERS):
                kernel = _row(conv, group * WIDE + 4 * frame + i, MARGIN + SPAN / 2)
                cell = kernel[:CONDITION_CHANNELS, 1, 1].view(3, 4, 8, 8)[:, frame]
                top, left = 4 * row + 2 * y, 4 * column + 2 * x
                cell[:, top : top + 2, left : left + 2] = SPAN / 2 / 4 * share[:, None, None]
            for i, difference in enumerate(differences):
                kernel = _row(conv, group * WIDE + 16 + 4 * i + frame, 0.5)
                cell = kernel[:CONDITION_CHANNELS, 1, 1].view(3, 4, 8, 8)[:, frame]
                top, left = 4 * row, 4 * column
                cell[:, top : top + 4, left : left + 4] = difference[:, None, None] / 4 / 16
    one = conv.weight.shape[0] - 5
    conv.weight[:, CONDITION_CHANNELS:] = 0  # of the latents, only the carriers
    _row(conv, one, 1.0)
    for i, latent in enumerate((COLUMN_CARRIER, ROW_CARRIER)):
        for j, offset in enumerate((0.5, -0.5)):
            _row(conv, one + 1 + 2 * i + j, offset)[CONDITION_CHANNELS + latent, 1, 1] = 2.0


def _tidy_carriers(conv: nn.Conv2d) -> None:
    """The two copies of a carrier, 1 apart and rectified, differ by exactly 0 or 1 whatever the latents' noise."""
    channels = conv.weight.shape[0]
    for out in range(4 * WIDE):
        _row(conv, out)[out, 1, 1] = 1
    _row(conv, channels - 3)[channels - 5, 1, 1] = 1
    for i in range(2):
        row = _row(conv, channels - 2 + i)
        row[channels - 4 + 2 * i, 1, 1], row[channels - 3 + 2 * i, 1, 1] = 1, -1


def _identity(conv: nn.Conv2d) -> None:
    conv.weight.zero_()
    conv.weight[:, :, 0, 0] = torch.eye(conv.weight.shape[0])


def _repeat(conv: nn.Conv2d, count: int) -> None:
    """After repeating: the first `count` channels as they are, and the terms of the place as the last five.

    In come one, c and r (alternating 0 and 1) as the last three channels. With s = 2c - 1 the own sign and
    d = left - right the difference of the neighbours' c, |s + d| is 0 in the left and 2 in the right half of every
    cell. Out go one, s + d and -(s + d) for columns, the same for rows; the next ReLU makes the absolute value.
    """
    for out in range(count):
        _row(conv, out)[out, 1, 1] = 1
    one, base = conv.weight.shape[1] - 3, conv.weight.shape[0] - 5
    _row(conv, base)[one, 1, 1] = 1
    for i, (before, after) in enumerate((((1, 0), (1, 2)), ((0, 1), (2, 1)))):
        for j, sign in enumerate((1, -1)):
            row, carrier = _row(conv, base + 1 + 2 * i + j), one + 1 + i
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
    """Replace the first group of `size` values by the group of the pixel's own quarter.

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
            row = _row(block.conv[0], middle, 1.0)
            row[group * size + value, 1, 1], row[value, 1, 1] = 1, -1
            row = _row(block.conv[2], middle, -2 * constant)
            row[middle, 1, 1] = 1
            _place_terms(row, hidden, -2 * column, -2 * lower)
            block.conv[4].weight[value, middle, 1, 1] = 1
        row = _row(block.conv[2], hidden + group - 1, 1.0 - constant)
        _place_terms(row, hidden, -column, -lower)
        block.conv[4].weight[:size, hidden + group - 1, 1, 1] = -1
    for i in range(4):
        _row(block.conv[0], hidden + i)[places + i, 1, 1] = 1


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
        group[:ENLARGED] = 0
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
    _row(conv, hidden)[channel, 1, 1] = 1
    for side, tap in enumerate(SIDES):
        row = _row(conv, hidden + 1 + side)
        row[channel, 1, 1], row[one, tap[0], tap[1]] = 1, -1


def _filter(row: Tensor, hidden: int, kernel: Tensor) -> None:
    """Apply a 3x3 kernel to a channel that `_watch_edges` put at `hidden`: edges are repeated, except in corners."""
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
        row = _row(conv, hidden + i)
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
        for j in range(5):
            _row(middle, passed + j)[hidden + j, 1, 1] = 1
        _filter(last.weight[channel], passed, change)


def _sharpen(block: MemoryBlock) -> None:
    """Sharpen both lumas, and undo what the decoder's first layer did to them: it squashes its input.

    The inverse is a polygon: hidden channels hold by how much a value exceeds each of a few knots.
    """
    first, middle, last = block.conv[0], block.conv[2], block.conv[4]
    # In carried values v = shift + scale * squashed.
    scale, shift = SPAN / 2, MARGIN + SPAN / 2
    constant, slope, bends = _fit_unsquash(LUMA_KNOTS)
    change = torch.tensor(SHARPEN)
    change[1, 1] += slope - 1
    for luma in range(2):
        _watch_edges(first, luma, 5 * luma)
        _filter(last.weight[luma], 5 * luma, change)
        _watch_corners(first, luma, 22 + 4 * luma)
        _fill_corners(last.weight[luma], 22 + 4 * luma, change)
        last.bias[luma] = scale * constant - slope * shift
        for i, (knot, bend) in enumerate(zip(LUMA_KNOTS, bends, strict=True)):
            hidden = 10 + len(LUMA_KNOTS) * luma + i
            _row(first, hidden, -shift - scale * knot)[luma, 1, 1] = 1
            last.weight[luma, hidden, 1, 1] = bend
    for i in range(18 + 2 * len(LUMA_KNOTS)):
        _row(middle, i)[i, 1, 1] = 1


def _fit_unsquash(knots: tuple[float, ...]) -> tuple[float, float, list[float]]:
    """What to add to a squashed value s: about constant + slope * s + sum(bend * max(0, s - knot))."""
    original = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    squashed = torch.tanh(original / 3) * 3
    bends = (squashed - torch.tensor(knots).double()[:, None]).clamp_min(0)
    basis = torch.stack([torch.ones_like(squashed), squashed, *bends], dim=1)
    fit: list[float] = torch.linalg.lstsq(basis, (original - squashed)[:, None]).solution[:, 0].tolist()
    return fit[0], fit[1], fit[2:]


def _unsquash_colors(block: MemoryBlock) -> None:
    """Undo, for colours, what the decoder's first layer did to its input.

    Red, green and blue were squashed each, so what luma and the differences lack is a sum of functions of one of
    them. They are taken as means over 4x4 pixels. What follows for luma alone is left to `_sharpen`, pixel by pixel.
    """
    first, middle, last = block.conv[0], block.conv[2], block.conv[4]
    red, green, blue = LUMA
    # Per signal: its luma share, parts of blue - luma and of red - luma, and knots. A knot below all values makes a
    # plain linear term; luma's is the sum of the others'.
    signals = (
        (red, 0.0, 1.0, (-1.0, *COLOR_KNOTS)),
        (green, -blue / green, -red / green, (-1.0, *COLOR_KNOTS)),
        (blue, 1.0, 0.0, (-1.0, *COLOR_KNOTS)),
        (-1.0, 0.0, 0.0, LUMA_KNOTS),
    )
    constant, slope, bends = _fit_unsquash(COLOR_KNOTS)
    luma_constant, luma_slope, luma_bends = _fit_unsquash(LUMA_KNOTS)
    hidden = 0
    for frame in range(4):
        blue_out, red_out = 16 + frame, 20 + frame
        for share, of_blue, of_red, knots in signals:
            own = [-b for b in luma_bends] if share < 0 else [slope, *bends]
            for knot, bend in zip(knots, own, strict=True):
                start = -(MARGIN + SPAN / 2) / (SPAN / 2) - 2 * (of_blue + of_red) - knot
                row = _row(first, hidden, start)
                row[4 * frame : 4 * frame + 4, 1, 1] = 1 / 4 / (SPAN / 2)
                row[blue_out, 1, 1], row[red_out, 1, 1] = 4 * of_blue, 4 * of_red
                _row(middle, hidden)[hidden, 1, 1] = 1
                if share < 0:
                    last.weight[4 * frame : 4 * frame + 4, hidden, 1, 1] = SPAN / 2 * bend
                else:
                    level = share * (bend - luma_slope * (knot == -1.0))
                    last.weight[4 * frame : 4 * frame + 4, hidden, 1, 1] = SPAN / 2 * level
                    last.weight[blue_out, hidden, 1, 1] = ((of_blue == 1) - share) * bend / 4
                    last.weight[red_out, hidden, 1, 1] = ((of_red == 1) - share) * bend / 4
                hidden += 1
        # The linear terms count from -1.
        last.bias[4 * frame : 4 * frame + 4] = SPAN / 2 * (constant - slope - luma_constant + luma_slope)


def _enlarge(block: MemoryBlock) -> None:
    """The four pixels of a cell, frame by frame, go into channels that were empty so far.

    The second layer holds each luma shifted by 0 or 1 in every direction, edges repeated; one more tap in the last
    layer makes the filter 5x5.
    """
    first, middle, last = block.conv[0], block.conv[2], block.conv[4]
    corner = torch.tensor(TOP_LEFT)
    phases = (corner, corner.flip(1), corner.flip(0), corner.flip(0, 1))
    for luma in range(2):
        _watch_edges(first, luma, 5 * luma)
        _watch_corners(first, luma, 10 + 4 * luma)
        for i in range(4):
            _row(middle, 18 + 4 * luma + i)[5 * luma + 1 + i, 1, 1] = 1
        for y in range(3):
            for x in range(3):
                shifted = torch.zeros(3, 3)
                shifted[y, x] = 1
                row = _row(middle, 9 * luma + 3 * y + x)
                _filter(row, 5 * luma, shifted)
                _fill_corners(row, 10 + 4 * luma, shifted)
        for i, phase in enumerate(phases):
            row = last.weight[ENLARGED + 4 * luma + i]
            for y in range(5):
                for x in range(5):
                    # Shift as far as shifts go, the rest is left to the tap.
                    shift = [min(2, max(0, a - 1)) for a in (y, x)]
                    tap = [a - b for a, b in zip((y, x), shift, strict=True)]
                    row[9 * luma + 3 * shift[0] + shift[1], tap[0], tap[1]] = phase[y, x]
            for side in range(4):
                # At an edge, a shift by 2 finds nothing, not even a repeated edge.
                far = phase[:, 4 * (side % 2)] if side < 2 else phase[4 * (side % 2), :]
                line = torch.stack([far[0] + far[1], far[2], far[3] + far[4]])
                beyond = row[18 + 4 * luma + side]
                if side < 2:
                    beyond[:, 1] = line
                else:
                    beyond[1, :] = line


def _split_frames(conv: nn.Conv2d) -> None:
    """1/2 to full size: per frame, four luma values, blue, red."""
    inputs = conv.weight.shape[1]
    for frame, group in enumerate(conv.weight.split(inputs)):
        group[:6] = 0
        group[range(4), range(ENLARGED + 4 * frame, ENLARGED + 4 * frame + 4), 0, 0] = 1
        group[4, COLOR + frame, 0, 0] = group[5, COLOR + 2 + frame, 0, 0] = 1
        _next_carriers(group)


def _choose(conv: nn.Conv2d) -> None:
    """Full size: of the four luma values the pixel's own remains, the others become zero."""
    one = conv.weight.shape[1] - 5
    for group in range(4):
        constant, column, lower = _off(group)
        row = _row(conv, group)
        row[group, 1, 1], row[one, 1, 1] = 1, -constant
        _place_terms(row, one + 1, -column, -lower)
    for out in (4, 5):
        _row(conv, out)[out, 1, 1] = 1


def _to_rgb(conv: nn.Conv2d) -> None:
    """Luma and the two differences to red, green and blue in [0, 1]."""
    red, green, blue = LUMA
    for out, (of_blue, of_red) in enumerate(((0, 1), (-blue / green, -red / green), (1, 0))):
        row = _row(conv, out, -MARGIN / SPAN - of_blue - of_red)
        row[:4, 1, 1] = 1 / SPAN
        row[4, 1, 1], row[5, 1, 1] = 2 * of_blue, 2 * of_red
