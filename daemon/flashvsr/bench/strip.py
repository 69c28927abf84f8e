"""A picture of what the numbers say: source, bicubic and model side by side, where the model gains and loses most.

Upper row: the whole frame that holds the place of the greatest gain. Below, enlarged 4 times without smoothing: that
place, then the place of the greatest loss (or least gain) in the whole video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from flashvsr.bench.luma import luma_of
from flashvsr.bench.quality import BICUBIC, MODEL, ComparedFrame
from flashvsr.video.picture import ZOOM, Picture, write_png

STEPS = 4  # places per side of a detail, where details are looked for
SEPARATOR, GREY = 8, 96  # pixels between the pictures, and their level


@dataclass(frozen=True)
class _Place:
    """A detail of a frame and how much lower the model's mean squared error is there than bicubic's."""

    gain: float
    frame: ComparedFrame
    x: int
    y: int


class PictureStrip:
    """Watches the frames go by and keeps the two that are shown. `columns`: names of what stands beside the source."""

    def __init__(self, columns: Sequence[str] = (BICUBIC, MODEL)) -> None:
        self._columns = columns
        self._best: _Place | None = None
        self._worst: _Place | None = None

    def see(self, frame: ComparedFrame) -> None:
        """Look at the next frame."""
        errors = [_error(frame, name) for name in (BICUBIC, MODEL)]
        height, width = _detail(frame.source)
        step = max(1, height // STEPS), max(1, width // STEPS)
        gains = F.avg_pool2d((errors[0] - errors[1])[None], (height, width), step)[0]
        for wanted in (1, -1):
            at = int((gains * wanted).argmax())
            row, column = divmod(at, gains.shape[1])
            place = _Place(float(gains[row, column]), frame, column * step[1], row * step[0])
            if wanted > 0 and (self._best is None or place.gain > self._best.gain):
                self._best = place
            if wanted < 0 and (self._worst is None or place.gain < self._worst.gain):
                self._worst = place

    def write(self, target: Path) -> None:
        """Write the PNG. Raises FlashVSRError or Transient; ValueError if no frame was seen."""
        if self._best is None or self._worst is None:
            raise ValueError("a strip needs a frame at least")
        places = (self._best, self._worst)
        details = [[_zoomed(picture, place) for picture in self._pictures(place.frame)] for place in places]
        rows = [[_pixels(picture) for picture in self._pictures(self._best.frame)], *details]
        write_png(_grid(rows), target)

    def _pictures(self, frame: ComparedFrame) -> list[Tensor]:
        return [frame.source, *(frame.enlarged[name] for name in self._columns)]


def _error(frame: ComparedFrame, name: str) -> Tensor:
    """Squared errors of luma, (H, W)."""
    return luma_of(frame.enlarged[name].float() - frame.source.float()).square()


def _detail(picture: Tensor) -> tuple[int, int]:
    """Size (height, width) of what is shown enlarged."""
    height, width = picture.shape[1:]
    return max(1, height // ZOOM), max(1, width // ZOOM)


def _pixels(picture: Tensor) -> Picture:
    pixels: Picture = picture.permute(1, 2, 0).cpu().numpy()
    return pixels


def _zoomed(picture: Tensor, place: _Place) -> Picture:
    height, width = _detail(picture)
    detail = _pixels(picture[:, place.y : place.y + height, place.x : place.x + width])
    return detail.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)


def _grid(rows: list[list[Picture]]) -> Picture:
    """Rows of pictures; those of a column may differ by a few pixels in width."""
    width = max(picture.shape[1] for row in rows for picture in row)
    height = sum(row[0].shape[0] + SEPARATOR for row in rows) - SEPARATOR
    grid = np.full((height, (width + SEPARATOR) * len(rows[0]) - SEPARATOR, 3), GREY, np.uint8)
    top = 0
    for row in rows:
        for column, picture in enumerate(row):
            left = column * (width + SEPARATOR)
            grid[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        top += row[0].shape[0] + SEPARATOR
    return grid
