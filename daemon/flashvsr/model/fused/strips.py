"""Where horizontal strips of a picture lie, so that the decoder can make one after the other and get the same picture.

A convolution at the cut reads lines that are not there. What that spoils grows by a line for each further convolution,
so a strip begins so far above its own lines, and ends so far below them, that none of it arrives there. How far differs
from size to size, counted in pixels of each: the deeper a layer, the further its mistakes travel.

What it saves, counted for v1.1's channels in bfloat16 with small batches at 3840x2176, in decimal GB: whole, 4.2 for
the rasters that every frame passes through, 1.1 for those between the convolutions of a block, 2.8 for the blocks'
memories and 0.4 for the four finished frames, 8.5 in all. In four strips, which share the rasters, those take 1.2 and
0.3. Each strip has memories of its own, which overlap: 3.4. With the finished frames that makes 5.3. More strips than
four save little more, since the memories stay: eight take 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flashvsr.model.cells import LATENT_CELL


@dataclass(frozen=True)
class Strip:
    """A strip of the picture, and what has to be computed for it.

    Attributes:
        core: the lines it contributes to the finished picture.
        windows: the lines it computes of the picture at 1/8, 1/4, 1/2 and full size, in pixels of that size. Every
            strip of a picture computes equally many of them.
    """

    core: range
    windows: tuple[range, ...]

    def source(self, size: int) -> range:
        """The lines that window `size` + 1 is enlarged from, counted from the beginning of window `size`."""
        window, larger = self.windows[size], self.windows[size + 1]
        return range(larger.start // 2 - window.start, larger.stop // 2 - window.start)


def cut(rows: int, count: int, margins: Sequence[int]) -> list[Strip]:
    """Cut a picture of `rows` latent rows into at most `count` strips.

    There is only one where strips would have to compute as many latent rows as the picture has.

    Args:
        rows: height of the picture / 8.
        count: strips wanted, at least 1.
        margins: lines to compute above and below a strip's own at each size, see `margins_of`.
    """
    each = -(-rows // count)
    cores = [range(first, min(first + each, rows)) for first in range(0, rows, each)]
    windows = [_windows(cores, rows, 2**size, margin) for size, margin in enumerate(margins)]
    if len(cores) > 1 and len(windows[0][0]) >= rows:
        return cut(rows, 1, margins)
    return [
        Strip(range(LATENT_CELL * core.start, LATENT_CELL * core.stop), around)
        for core, around in zip(cores, zip(*windows, strict=True), strict=True)
    ]


def margins_of(convolutions: Sequence[int]) -> list[int]:
    """Lines above and below the strip's own that have to be computed at each size, in pixels of that size.

    Args:
        convolutions: 3x3 convolutions one behind the other at 1/8, 1/4, 1/2 and full size, without those that enlarge.
            (11, 9, 9, 2) make margins of 19, 16, 12 and 4 lines.
    """
    # From the last layer back. Where `reach` lines beyond the strip are to be right at the end of a size, as many more
    # as it has convolutions must be right at its beginning. Those come out of an enlargement, whose own 3x3 kernel
    # spoils one line more, and which makes two lines of one. What a memory block sees of the past is its input, which
    # is spoilt as far as the present one: windows on end do not add up.
    margins: list[int] = []
    reach = convolutions[-1]
    for count in reversed(convolutions[:-1]):
        reach = -(-(reach + 1) // 2)
        margins.insert(0, 2 * reach)
        reach += count
    return [reach, *margins]


def _windows(cores: Sequence[range], rows: int, scale: int, margin: int) -> list[range]:
    """The lines around each of `cores`: equally many, so those at the ends of the picture reach further inwards."""
    wanted = [
        range(max(0, scale * core.start - margin), min(scale * rows, scale * core.stop + margin)) for core in cores
    ]
    height = max(map(len, wanted))
    starts = [min(lines.start, scale * rows - height) for lines in wanted]
    return [range(start, start + height) for start in starts]
