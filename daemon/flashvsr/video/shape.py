"""Pictures whose shape changes on the way: broadcasts go from 4:3 to 16:9 between films and between the parts of one.

A result has one shape, the first one. Parts of another are fitted into it, with black bars, so that circles stay round.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from flashvsr.video.pyav import fraction

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

_ALIKE = Fraction(1, 50)  # of a shape; sizes are rounded, and so are the shapes of pixels


class PixelShapes:
    """Follows the shape of a stream's pixels, which PyAV tells of the decoder and not of a frame."""

    def __init__(self) -> None:
        self._now: Fraction | None = None
        self._coming: Fraction | None = None

    def decoded(self, context: VideoCodecContext) -> None:
        """Look at the decoder, after it has taken a packet."""
        found = fraction(context.sample_aspect_ratio)
        if found is not None and found != self._now:
            self._coming = found

    def of(self, frame: VideoFrame) -> Fraction:
        """The shape of the pixels of the next frame shown. It changes with a key frame, which may come out later."""
        if self._coming is not None and (frame.key_frame or self._now is None):
            self._now, self._coming = self._coming, None
        return self._now or Fraction(1)


@dataclass(frozen=True)
class Fitted:
    """The place (x, y) and size (width, height) of a picture within its frame, in pixels."""

    place: tuple[int, int]
    size: tuple[int, int]


class Frame:
    """The frame into which all pictures are fitted: `size` (width, height), shaped as the first picture.

    `changes`: how often the shape changed.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.changes = 0
        self._size = size
        self._first: Fraction | None = None
        self._last: Fraction | None = None

    def fit(self, width: int, height: int, pixel: Fraction) -> Fitted:
        """Where a picture of `width` x `height` pixels of the shape `pixel` goes."""
        shape = Fraction(width, height) * pixel
        if self._first is None or self._last is None:
            self._first = self._last = shape
        if abs(shape - self._last) > _ALIKE * self._last:
            self.changes += 1
            self._last = shape
        wider, (full_width, full_height) = shape / self._first, self._size
        if abs(wider - 1) <= _ALIKE:
            return Fitted((0, 0), self._size)
        inner = (full_width, _even(full_height / wider)) if wider > 1 else (_even(full_width * wider), full_height)
        return Fitted(((full_width - inner[0]) // 2, (full_height - inner[1]) // 2), inner)


def _even(length: Fraction) -> int:
    return max(2, 2 * round(length / 2))
