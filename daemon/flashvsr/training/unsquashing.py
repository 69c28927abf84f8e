"""What the decoder's first layer takes from its input by squashing it, given back further on.

Squashing keeps the values of a layer in range; for a picture that is to come out as it went in, it is an error.
"""

from __future__ import annotations

from flashvsr.bench.luma import LUMA
from flashvsr.model.decoder import MemoryBlock
from flashvsr.training.channel_layout import MARGIN, SPAN, WIDE, empty_row

# What squashing takes from a value is an odd function of the result, about a polygon: it bends at these places on
# either side of 0, by these slopes; within 0.15 8-bit levels.
KNOTS, BENDS = (0.30, 0.68), (0.0288, 0.0536)


def unsquash_colors(block: MemoryBlock, groups: tuple[int, ...]) -> None:
    """Undo, for colours in two of the four groups, what the decoder's first layer did to its input.

    Red, green and blue were squashed each, so what luma and the differences lack is a sum of functions of one of
    them. They are taken as means over 4x4 pixels. What follows for luma alone is left to `unsquash_lumas`.
    """
    red, green, blue = LUMA
    # Per signal: its luma share, parts of blue - luma and of red - luma.
    signals = ((red, 0.0, 1.0), (green, -blue / green, -red / green), (blue, 1.0, 0.0), (-1.0, 0.0, 0.0))
    index = 0
    for group in groups:
        for frame in range(4):
            first_luma = group * WIDE + 4 * frame
            lumas = range(first_luma, first_luma + 4)
            blue_out, red_out = (group * WIDE + 16 + 4 * i + frame for i in range(2))
            for share, of_blue, of_red in signals:
                inputs = {luma: 1 / 4 / (SPAN / 2) for luma in lumas} | {blue_out: 4 * of_blue, red_out: 4 * of_red}
                outputs = {luma: SPAN / 2 * share for luma in lumas}
                if share > 0:
                    outputs |= {blue_out: ((of_blue == 1) - share) / 4, red_out: ((of_red == 1) - share) / 4}
                offset = -(MARGIN + SPAN / 2) / (SPAN / 2) - 2 * (of_blue + of_red)
                _restore(block, index, inputs, offset, outputs)
                index += 1


def unsquash_lumas(block: MemoryBlock) -> None:
    """Undo, pixel by pixel, what the decoder's first layer did to lumas."""
    for luma in range(16):
        _restore(block, luma, {luma: 1 / (SPAN / 2)}, -(MARGIN + SPAN / 2) / (SPAN / 2), {luma: SPAN / 2})


def _restore(
    block: MemoryBlock, index: int, inputs: dict[int, float], offset: float, outputs: dict[int, float]
) -> None:
    """Add what squashing took from a signal, offset + sum(weight * input), to outputs, times their weights.

    `index` counts the signals of a block. Each takes two hidden channels of the first layer, how far it is beyond the
    first knot on either side, and three of the second: the inner pieces of the polygon, moved up to survive the ReLU,
    and how far it is beyond the second knot on either side.
    """
    first, middle, last = block.conv[0], block.conv[2], block.conv[4]
    raised = 1 / 16
    inner = empty_row(middle, 3 * index, raised)
    for side, sign in enumerate((1, -1)):
        row = empty_row(first, 2 * index + side, sign * offset - KNOTS[0])
        for channel, weight in inputs.items():
            row[channel, 1, 1] = sign * weight
        inner[2 * index + side, 1, 1] = sign * BENDS[0]
        empty_row(middle, 3 * index + 1 + side, KNOTS[0] - KNOTS[1])[2 * index + side, 1, 1] = 1
    for channel, weight in outputs.items():
        last.weight[channel, 3 * index, 1, 1] = weight
        last.weight[channel, 3 * index + 1, 1, 1] = weight * BENDS[1]
        last.weight[channel, 3 * index + 2, 1, 1] = -weight * BENDS[1]
        last.bias[channel] -= weight * raised
