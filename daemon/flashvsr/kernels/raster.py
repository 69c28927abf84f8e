"""Rasters: pictures as rows of channels with a border, the form in which convolutions become matrix products."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Raster:
    """Pictures of height x width, each pixel a row of C channels, frame after frame, line after line.

    With `edges` = 1 each line is followed by one row and each frame by one line of zeros, which serve as the border on
    either side. With `edges` = 2 there is a border of one pixel all around, of whatever was written into it.

    Attributes:
        rows: (frames * frame, C), contiguous.
        height: lines of a picture.
        width: pixels of a line.
        edges: 1 or 2, see above.
    """

    rows: Tensor
    height: int
    width: int
    edges: int = 1

    @classmethod
    def zeros(cls, frames: int, height: int, width: int, channels: int, like: Tensor, edges: int = 1) -> Raster:
        """An empty raster on `like`'s device, of its dtype."""
        rows = frames * (height + edges) * (width + edges)
        return cls(like.new_zeros(rows, channels), height, width, edges)

    @classmethod
    def empty(cls, frames: int, height: int, width: int, channels: int, like: Tensor) -> Raster:
        """One of `edges` 1 whose content, borders too, means nothing yet."""
        return cls(like.new_empty(frames * (height + 1) * (width + 1), channels), height, width)

    @property
    def pitch(self) -> int:
        """Rows from a pixel to the one below it."""
        return self.width + self.edges

    @property
    def frame(self) -> int:
        """Rows of one frame."""
        return (self.height + self.edges) * self.pitch

    @property
    def channels(self) -> int:
        """Channels of a row."""
        return self.rows.shape[1]

    @property
    def frames(self) -> int:
        """Frames that there is room for."""
        return self.rows.shape[0] // self.frame

    def padded(self) -> Tensor:
        """View (frames, height + edges, pitch, C), borders included."""
        return self.rows.view(self.frames, self.height + self.edges, self.pitch, self.channels)

    def pictures(self) -> Tensor:
        """View (frames, height, width, C) of the pixels alone."""
        first = self.edges - 1
        return self.padded()[:, first : first + self.height, first : first + self.width]

    def from_frame(self, index: int) -> Raster:
        """The raster from frame `index` on, a view."""
        return Raster(self.rows[index * self.frame :], self.height, self.width, self.edges)

    def lines(self, lines: range) -> Raster:
        """Some lines of frame 0 as a picture, a view; of `edges` 1. All lines are the raster itself, all frames.

        Whoever looks beyond its edge finds zeros above it, and below it what follows there.
        """
        return Raster(self.rows[lines.start * self.pitch :], len(lines), self.width, self.edges)
